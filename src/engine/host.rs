//! What is worth knowing of this host when a verdict is doubted later.

use std::fs;

/// Name and value, as reports show them.
pub(super) fn facts() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
    let memory = read("/proc/meminfo").lines().find_map(|l| l.strip_prefix("MemTotal:").map(|v| v.trim().to_owned()));
    let swaps = read("/proc/swaps").lines().count();
    let unified = fs::metadata("/sys/fs/cgroup/cgroup.controllers").is_ok();
    vec![
        ("kernel".to_owned(), read("/proc/sys/kernel/osrelease")),
        ("cpus".to_owned(), std::thread::available_parallelism().map_or_else(|_| "?".to_owned(), |n| n.to_string())),
        ("memory".to_owned(), memory.unwrap_or_else(|| "?".to_owned())),
        ("swap".to_owned(), if swaps > 1 { "yes" } else { "none" }.to_owned()),
        ("cgroup".to_owned(), if unified { "v2" } else { "v1" }.to_owned()),
    ]
}

//! Whether the disk below a lab is full: a line in a log says so too, and anybody can print one.

use std::time::Duration;

use crate::exec::{Cmd, Shell};

/// Less than this is as good as nothing.
const LITTLE_KB: u64 = 64 << 10;
/// A lab whose share began smaller than this had too little from the start.
const SHARE_KB: u64 = 4 << 20;

/// Looks from the machine itself, not from within a service: its root is the host's disk, and its engine has a share of it. A
/// share of a good size that is full was filled by the submission, which is the submission's doing.
pub async fn full(shell: &dyn Shell) -> bool {
    let df = Cmd::new(["df", "-k", "--output=avail,size", "/", "/var/lib/docker"]).timeout(Duration::from_secs(5));
    match shell.run(&df).await {
        Ok(output) if output.ok() => of_table(&output.out()),
        // It cannot be asked: what the log says stands.
        _ => true,
    }
}

fn of_table(table: &str) -> bool {
    let rows: Vec<(u64, u64)> = table
        .lines()
        .filter_map(|line| {
            let (free, size) = line.trim().split_once(char::is_whitespace)?;
            Some((free.parse().ok()?, size.trim().parse().ok()?))
        })
        .collect();
    let host = rows.first().is_none_or(|(free, _)| *free < LITTLE_KB);
    host || rows.get(1).is_some_and(|(free, size)| *free < LITTLE_KB && *size < SHARE_KB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_full_disk_is_told_from_a_share_that_was_filled() {
        let table =
            |host: u64, free: u64, size: u64| format!("  Avail 1K-blocks\n{host} 263174212\n {free}   {size}\n");
        assert!(!of_table(&table(70 << 20, 20 << 20, 32 << 20)), "room enough");
        assert!(of_table(&table(100, 20 << 20, 32 << 20)), "the host's is full");
        assert!(!of_table(&table(70 << 20, 0, 32 << 20)), "its own share was filled");
        assert!(of_table(&table(400 << 10, 0, 3 << 20)), "a share that was too small");
        assert!(of_table("df: nothing"));
    }
}

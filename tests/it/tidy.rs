//! What the compiler does not watch: the layers, complete tables, a doc at every file's top, files of one thing each,
//! output and time only where they belong. ARCHITECTURE.md says why; each test names the file and the line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The most lines of code a file may have, tests not counted.
const LONGEST: usize = 400;

struct Source {
    /// Relative to `src`: `probe/http.rs`.
    path: String,
    text: String,
}

impl Source {
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        matches!(name, "tests.rs" | "accuracy.rs" | "fixture.rs" | "testing.rs") || self.path.contains("/tests/")
    }

    /// The top module that the file belongs to: `probe`.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Lines with their numbers, up to the test module inside; comments are left empty.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut lines: Vec<_> = self.text.lines().enumerate().map(|(n, line)| (n + 1, line)).collect();
        let inline_tests =
            lines.windows(2).position(|w| w[0].1.trim() == "#[cfg(test)]" && w[1].1.starts_with("mod tests {"));
        lines.truncate(inline_tests.unwrap_or(lines.len()));
        for line in &mut lines {
            if line.1.trim_start().starts_with("//") {
                line.1 = "";
            }
        }
        lines
    }
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let files = walkdir::WalkDir::new(src()).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path());
    let rust = files.filter(|path| path.extension().is_some_and(|e| e == "rs"));
    rust.map(|path| Source {
        path: path.strip_prefix(src()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(&path).unwrap(),
    })
    .collect()
}

/// The modules of `lib.rs`, in its order, which is that of the data.
fn layers() -> Vec<String> {
    let module = Regex::new(r"(?m)^pub mod ([a-z_]+);").unwrap();
    let lib = fs::read_to_string(src().join("lib.rs")).unwrap();
    module.captures_iter(&lib).map(|c| c[1].to_owned()).collect()
}

fn no_complaints(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// The top modules that a piece of code names: `crate::a::b`, `use crate::{a, b::{c, d}}`.
fn names_of(code: &str) -> Vec<String> {
    let single = Regex::new(r"\bcrate::([a-z_]+)\b").unwrap();
    let mut names: Vec<String> = single.captures_iter(code).map(|c| c[1].to_owned()).collect();
    for (at, open) in code.match_indices("crate::{") {
        let mut depth = 0;
        let mut name = String::new();
        for c in code[at + open.len()..].chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => names.push(std::mem::take(&mut name)),
                _ if depth == 0 => name.push(c),
                _ => {}
            }
        }
        names.push(name);
    }
    let top = |name: String| name.split("::").next().unwrap_or_default().trim().to_owned();
    names.into_iter().map(top).filter(|name| !name.is_empty()).collect()
}

#[test]
fn a_module_uses_only_those_above_it() {
    let layers = layers();
    assert!(layers.len() > 10 && layers.first().is_some_and(|first| first != "cli"), "lib.rs was not read: {layers:?}");
    let place = |name: &str| layers.iter().position(|layer| layer == name);
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| !s.is_test()) {
        let Some(own) = place(source.module()) else { continue };
        let code: Vec<&str> = source.code().into_iter().map(|(_, line)| line).collect();
        for used in BTreeSet::from_iter(names_of(&code.join("\n"))) {
            if place(&used).is_some_and(|place| place > own) {
                complaints.push(format!(
                    "src/{}: `{}` uses `{used}`, which comes after it in lib.rs",
                    source.path,
                    source.module()
                ));
            }
        }
    }
    no_complaints(complaints);
}

#[test]
fn uses_are_found_in_every_form() {
    assert_eq!(names_of("use crate::engine::run;"), ["engine"]);
    assert_eq!(names_of("let x = crate::cli::exit::OK;"), ["cli"]);
    let grouped = "use crate::{grade::{Grade, grade}, report, plan::{self, Plan}};";
    assert_eq!(names_of(grouped), ["grade", "report", "plan"]);
}

#[test]
fn every_kind_and_every_format_is_in_its_table() {
    let mut complaints = Vec::new();
    for (folder, row, table) in
        [("probe", "KIND", "PROBES"), ("report", "FORMAT", "FORMATS"), ("fault", "FAULT", "FAULTS")]
    {
        let table_text = fs::read_to_string(src().join(folder).join("mod.rs")).unwrap();
        let rows = table_text
            .split(&format!("pub static {table}"))
            .nth(1)
            .and_then(|t| t.split(';').next())
            .unwrap_or_default();
        let defines = format!("pub static {row}: ");
        let files: Vec<Source> = sources().into_iter().filter(|s| s.module() == folder).collect();
        for source in files.iter().filter(|s| s.text.contains(&defines) && !s.path.ends_with("/mod.rs")) {
            let name = source.path.trim_start_matches(folder).trim_start_matches('/').trim_end_matches(".rs");
            if !rows.contains(&format!("&{}::{row}", name.replace('/', "::"))) {
                complaints.push(format!("src/{}: its {row} is not in {table} of src/{folder}/mod.rs", source.path));
            }
        }
    }
    no_complaints(complaints);
}

#[test]
fn every_file_is_part_of_the_crate() {
    let all: BTreeSet<String> = sources().into_iter().map(|s| s.path).collect();
    let mut complaints = Vec::new();
    for path in all.iter().filter(|path| !matches!(path.as_str(), "lib.rs" | "main.rs")) {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        let (parent, name) = match file {
            "mod.rs" => folder.rsplit_once('/').unwrap_or(("", folder)),
            _ => (folder, file.trim_end_matches(".rs")),
        };
        let declared_in = match parent {
            "" => "lib.rs".to_owned(),
            parent if all.contains(&format!("{parent}.rs")) => format!("{parent}.rs"),
            parent => format!("{parent}/mod.rs"),
        };
        let text = fs::read_to_string(src().join(&declared_in)).unwrap_or_default();
        if !Regex::new(&format!(r"(?m)^\s*(pub(\([a-z]+\))? )?mod {name};")).unwrap().is_match(&text) {
            complaints.push(format!("src/{path}: no `mod {name};` in src/{declared_in}, so that nobody compiles it"));
        }
    }
    no_complaints(complaints);
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|s| !s.text.starts_with("//! "));
    no_complaints(silent.map(|s| format!("src/{}: begins with no `//!` line", s.path)).collect());
}

#[test]
fn no_file_is_long() {
    let length = |s: &Source| s.code().len();
    let long = sources().into_iter().filter(|s| !s.is_test() && length(s) > LONGEST);
    no_complaints(
        long.map(|s| format!("src/{}: {} lines of code; {LONGEST} are enough", s.path, length(&s))).collect(),
    );
}

/// Complains of each line of code that a pattern matches, in files that `concerns`.
fn none_matches(pattern: &str, why: &str, concerns: impl Fn(&Source) -> bool) {
    let pattern = Regex::new(pattern).unwrap();
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|s| concerns(s)) {
        for (n, line) in source.code() {
            if pattern.is_match(line) {
                complaints.push(format!("src/{}:{n}: {why}: {}", source.path, line.trim()));
            }
        }
    }
    no_complaints(complaints);
}

#[test]
fn output_leaves_through_the_command_line_alone() {
    let outside = |s: &Source| !s.path.starts_with("cli/") && s.path != "main.rs" && !s.is_test();
    none_matches(r"\be?print(ln)?!\(", "prints", outside);
}

#[test]
fn time_is_tokios_and_nothing_sleeps_a_thread() {
    let outside = |s: &Source| s.path != "time.rs" && !s.is_test();
    let pattern = r"thread::sleep|std::time::(\{[^}]*\bInstant\b|Instant\b)";
    none_matches(pattern, "reads the clock or sleeps past tokio's, so that no test can pause it", outside);
}

#[test]
fn nothing_is_run_through_a_shell() {
    let outside = |s: &Source| !s.is_test();
    none_matches(r#""(ba)?sh",\s*"-l?c""#, "a shell string", outside);
}

//! Where a build failed: the Dockerfile's instruction, the line of the requirements; and what a container is started with.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

use super::{LookAt, View, shown};
use crate::submission::dockerfile;
use crate::text::Text;

/// The classic builder's step, or the failed one of BuildKit, as the Dockerfile writes it.
static STEP: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:Step (\d+)/\d+ : (.+)| > \[[^\]]*\b\d+/\d+\] (.+?):?)$"));
/// A line that is named: of the parser's complaint, or below the failed step of BuildKit.
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)(?:dockerfile parse error (?:on )?line |^\S*dockerfile\S*:)(\d+)(?:\D|$)"));
/// What pip calls the package that it could not install.
static PACKAGE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:No matching distribution found for|satisfies the requirement|Failed building wheel for|build wheels for) ([A-Za-z0-9._-]+?)(?:[\s,=<>~!\[(]|$)",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled in a test")
}

impl View<'_> {
    /// The instruction that a failed build ended at.
    pub fn failed_instruction(self, service: &str, log: &str) -> Option<LookAt> {
        let (file, text) = self.dockerfile(service)?;
        let steps = dockerfile::steps(&text);
        let what = |line: usize| {
            let said = shown(text.lines().nth(line - 1).unwrap_or_default());
            Text::new(format!("the build fails here: `{said}`"), format!("la construcción falla aquí: `{said}`"))
        };
        if let Some(line) = named_line(log) {
            let there = steps.iter().any(|(begins, _)| *begins == line);
            return there.then(|| LookAt::new(&file, line, what(line)));
        }
        let step = log.lines().rev().find_map(|line| STEP.captures(line))?;
        let said = bare(step.get(2).or(step.get(3))?.as_str());
        let same: Vec<usize> =
            steps.iter().filter(|(_, written)| bare(written) == said).map(|(line, _)| *line).collect();
        // Of several alike, the one of that number.
        let number = step.get(1).and_then(|n| n.as_str().parse::<usize>().ok());
        let counted = number.and_then(|n| steps.get(n.checked_sub(1)?)).map(|(line, _)| *line);
        let line = match same.as_slice() {
            [only] => *only,
            several => counted.filter(|line| several.contains(line))?,
        };
        Some(LookAt::new(&file, line, what(line)))
    }

    /// The line of a requirements file that names the package that a build could not install.
    pub fn requirement(self, service: &str, log: &str) -> Option<LookAt> {
        let package = log.lines().rev().find_map(|line| Some(PACKAGE.captures(line)?.get(1)?.as_str()))?;
        let context = self.build(service)?.context.clone()?;
        let mut found = Vec::new();
        let foreign = self.foreign(service);
        for file in self.submission.requirements.iter().filter(|file| file.starts_with(&context) && !foreign(file)) {
            let text = self.text(file)?;
            let lines = text.lines().enumerate().filter(|(_, line)| normal(name_of(line)) == normal(package));
            found.extend(lines.map(|(n, line)| (file.clone(), n + 1, shown(line))));
        }
        let [(file, line, said)] = found.as_slice() else { return None };
        let what = Text::new(format!("`{said}` does not install"), format!("`{said}` no se instala"));
        Some(LookAt::new(file, *line, what))
    }

    /// What a build stands on.
    pub fn base(self, service: &str) -> Option<LookAt> {
        let build = self.build(service)?;
        let (file, text) = self.dockerfile(service)?;
        let below = build.dockerfile.chain(build.target.as_deref()).len();
        let mut froms = dockerfile::steps(&text)
            .into_iter()
            .filter(|(_, step)| step.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("from")));
        // Of a file with several stages it is not said which one it was.
        let (line, _) = froms.next().filter(|_| below == 1 && froms.next().is_none())?;
        let said = shown(text.lines().nth(line - 1)?);
        Some(LookAt::new(&file, line, Text::new(format!("stands on `{said}`"), format!("parte de `{said}`"))))
    }

    /// What the container is started with: the compose file's word goes before the Dockerfile's.
    pub fn start_command(self, service: &str) -> Option<LookAt> {
        if let Some(key) = self.at_key(service, &["command", "entrypoint"]) {
            return Some(key);
        }
        let (file, text) = self.dockerfile(service)?;
        let starts = |step: &str| {
            let word = step.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            word == "CMD" || word == "ENTRYPOINT"
        };
        let (line, _) = dockerfile::steps(&text).into_iter().rfind(|(_, step)| starts(step))?;
        let said = shown(text.lines().nth(line - 1)?);
        Some(LookAt::new(&file, line, Text::new(format!("started with `{said}`"), format!("se arranca con `{said}`"))))
    }

    /// The file that the container runs, where it is the only one of code that the service has.
    pub fn only_code(self, service: &str) -> Option<LookAt> {
        const CODE: [&str; 10] = ["py", "js", "mjs", "cjs", "ts", "php", "rb", "java", "go", "pl"];
        let is_code = |file: &Path| {
            file.extension()
                .is_some_and(|ending| CODE.contains(&ending.to_string_lossy().to_ascii_lowercase().as_str()))
        };
        let own = self.own_files(service);
        let mut files = own.files.iter().filter(|file| !own.cut && is_code(file));
        let file = files.next().filter(|_| files.next().is_none())?;
        let what = Text::new("the only code of the service", "el único código del servicio");
        Some(LookAt::new(file, 1, what))
    }

    /// The service's Dockerfile, by its path in the submission, and its text.
    fn dockerfile(self, service: &str) -> Option<(PathBuf, String)> {
        let file = self.build(service)?.file.as_deref().map(Path::to_owned)?;
        let text = self.text(&file)?;
        Some((file, text))
    }
}

/// The line that the builder names: where it says so after all output of the steps, or where no step ran at all. What a step
/// prints itself may look the same.
fn named_line(log: &str) -> Option<usize> {
    let lines: Vec<&str> = log.lines().collect();
    let from = match lines.iter().rposition(|line| line.trim_end() == "------") {
        Some(rule) => rule + 1,
        None if lines.iter().any(|line| STEP.is_match(line)) => return None,
        None => 0,
    };
    // The classic builder draws no such line: there it is a step's.
    if lines[..from].iter().any(|line| line.starts_with("Step ") && STEP.is_match(line)) {
        return None;
    }
    lines[from..].iter().rev().find_map(|line| NAMED.captures(line)?.get(1)?.as_str().parse().ok())
}

/// What two spellings of an instruction have in common: how a builder joins lines is its own.
fn bare(step: &str) -> String {
    step.chars().filter(|c| !c.is_whitespace() && *c != '\\').collect::<String>().to_lowercase()
}

/// The package that a line of a requirements file asks for.
fn name_of(line: &str) -> &str {
    line.trim().split(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).next().unwrap_or_default()
}

fn normal(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

//! Where a compose file is refused: the place that the tool names, the service and key that it speaks of, or what our own
//! reader saw.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::{LookAt, View};
use crate::expect::Place;
use crate::notice::Notice;
use crate::text::Text;

/// PyYAML's mark, as the tool prints it.
static MARK: LazyLock<Regex> = LazyLock::new(|| pattern(r#"in "(?:\./)?([^"]+)", line (\d+)(?:, column (\d+))?"#));
/// Docker compose 2: `yaml: line 7: …`.
static YAML_LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\byaml: line (\d+):"));
static PATH: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bservices\.([A-Za-z0-9._-]+)"));
static SERVICE: LazyLock<Regex> = LazyLock::new(|| pattern(r#"(?i)\bservice ["']([^"']+)["']"#));
static QUOTED: LazyLock<Regex> = LazyLock::new(|| pattern(r#"["']([A-Za-z0-9_.-]+)["']"#));

/// What a message speaks of, and the keys that it may mean.
const ABOUT: [(&str, &[&str]); 4] = [
    ("depends on", &["depends_on"]),
    ("link", &["links"]),
    ("volume", &["volumes"]),
    ("network", &["networks", "network_mode"]),
];

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled in a test")
}

impl View<'_> {
    /// Where the compose tool's message leads.
    pub fn refused_by_the_tool(self, message: &str) -> Vec<LookAt> {
        // It reads on as long as it can: a line that is out of its column is noticed at the next.
        let here = || {
            Text::new(
                "the compose tool stops here: look at this line and the one before",
                "la herramienta compose se detiene aquí: mire esta línea y la anterior",
            )
        };
        // The first mark is where it began to read what it could not end; the last where it could not.
        if let Some(at) = MARK.captures_iter(message).last().and_then(|c| self.mark(&c)) {
            return self.told(&at, here()).into_iter().collect();
        }
        let own = self.submission.compose_error.as_ref();
        if let Some((at, error)) = own.and_then(|error| Some((error.at.clone()?, error))) {
            // What is wrong may be in a file that this one extends.
            let alone = self.text(Path::new(&at.file)).is_some_and(|text| !text.contains("extends"));
            let place = if alone { self.told(&at, error.text.clone()) } else { None };
            return place.into_iter().collect();
        }
        if let Some(at) = self.compose().zip(YAML_LINE.captures(message)).and_then(|(file, c)| {
            Some(Place { file: file.path.display().to_string(), line: c.get(1)?.as_str().parse().ok()?, column: 1 })
        }) {
            return self.told(&at, here()).into_iter().collect();
        }
        let found = self.keys_named(message);
        if found.is_empty() { self.unknown_keys(message) } else { found }
    }

    fn mark(self, found: &regex::Captures<'_>) -> Option<Place> {
        let number = |n: usize| found.get(n).and_then(|text| text.as_str().parse().ok());
        let file = found.get(1)?.as_str();
        self.text(Path::new(file)).is_some().then_some(())?;
        Some(Place { file: file.to_owned(), line: number(2)?, column: number(3).unwrap_or(1) })
    }

    /// Of the service that the message names, the keys that it names, else the service.
    fn keys_named(self, message: &str) -> Vec<LookAt> {
        let path = PATH.captures(message).and_then(|c| c.get(1)).map(|m| m.as_str().trim_end_matches('.'));
        let services = self.compose().map(|file| file.services.as_slice()).unwrap_or_default();
        let by_path = path.and_then(|path| {
            let names = services.iter().filter(|s| {
                path.strip_prefix(s.name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            names.max_by_key(|s| s.name.len())
        });
        let by_name = || SERVICE.captures(message).and_then(|c| self.service(c.get(1)?.as_str()));
        let Some(service) = by_path.or_else(by_name) else { return Vec::new() };
        let below = path.and_then(|path| path.strip_prefix(&format!("{}.", service.name)));
        let key = below.and_then(|rest| self.at_key(&service.name, &[rest.split('.').next()?]));
        if let Some(key) = key {
            return vec![key];
        }
        let quoted = QUOTED.captures_iter(message).filter_map(|c| c.get(1));
        let named: Vec<LookAt> = quoted.filter_map(|key| self.noted_key(&service.name, key.as_str())).collect();
        if !named.is_empty() {
            return named;
        }
        let lower = message.to_ascii_lowercase();
        let about = ABOUT.iter().find(|(word, _)| lower.contains(word)).map_or(&[][..], |(_, keys)| keys);
        self.at_key_or_service(&service.name, about).into_iter().collect()
    }

    /// A key that is none is said with what was meant.
    fn noted_key(self, service: &str, key: &str) -> Option<LookAt> {
        let at = self.service(service)?.keys.get(key)?;
        let noted = self.submission.notices.iter().find(|n| n.id == "compose.unknown_key" && n.at.as_ref() == Some(at));
        match noted {
            Some(notice) => self.noted(at, key, Some(service), notice.text.clone()),
            None => self.at_key(service, &[key]),
        }
    }

    /// Keys that are none and that the message names, of the file's top or deeper in a service.
    fn unknown_keys(self, message: &str) -> Vec<LookAt> {
        let keys: Vec<&str> = QUOTED.captures_iter(message).filter_map(|c| Some(c.get(1)?.as_str())).collect();
        let unknown = self.submission.notices.iter().filter(|notice| notice.id == "compose.unknown_key");
        let place = |notice: &Notice| {
            let key = keys.iter().find(|key| notice.text.en.starts_with(&format!("`{key}`")))?;
            self.noted(notice.at.as_ref()?, key, notice.service.as_deref(), notice.text.clone())
        };
        unknown.filter_map(place).collect()
    }
}

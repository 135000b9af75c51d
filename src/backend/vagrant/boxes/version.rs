//! Versions of boxes and what a Vagrantfile asks of them (`box_version`), as Ruby's own rules have it. Pure.

use std::cmp::Ordering;

/// `2004.01`, `1.0.0-beta2`.
#[derive(Clone, Debug)]
pub(super) struct Version(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Number(u64),
    /// Of what is not released yet.
    Word(String),
}

impl Version {
    /// Nothing where it is none to Ruby.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
        if !plain || !text.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let mut parts: Vec<Part> = Vec::new();
        for piece in text.replace('-', ".pre.").split('.') {
            // `1.0beta2` is `1.0.beta.2`.
            let mut rest = piece;
            while let Some(first) = rest.chars().next() {
                let digits = first.is_ascii_digit();
                let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
                let (part, after) = rest.split_at(end);
                parts.push(if digits { Part::Number(part.parse().ok()?) } else { Part::Word(part.to_owned()) });
                rest = after;
            }
        }
        Some(Self(parts))
    }

    fn released(&self) -> Self {
        Self(self.0.iter().take_while(|part| matches!(part, Part::Number(_))).cloned().collect())
    }

    /// The first that `~>` refuses: `1.3` of `1.2.5`.
    fn bump(&self) -> Self {
        let mut parts = self.released().0;
        if parts.len() > 1 {
            parts.pop();
        }
        if let Some(Part::Number(last)) = parts.last_mut() {
            *last = last.saturating_add(1);
        }
        Self(parts)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let none = Part::Number(0);
        for at in 0..self.0.len().max(other.0.len()) {
            let (one, two) = (self.0.get(at).unwrap_or(&none), other.0.get(at).unwrap_or(&none));
            let ordered = match (one, two) {
                (Part::Number(one), Part::Number(two)) => one.cmp(two),
                (Part::Word(one), Part::Word(two)) => one.cmp(two),
                (Part::Word(_), Part::Number(_)) => Ordering::Less,
                (Part::Number(_), Part::Word(_)) => Ordering::Greater,
            };
            if ordered != Ordering::Equal {
                return ordered;
            }
        }
        Ordering::Equal
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether a version is what was asked for: `>= 1.0, < 2`. What cannot be read is met by nothing.
pub(super) fn meets(version: &Version, asked: &str) -> bool {
    asked.split(',').all(|one| {
        let one = one.trim();
        let end = one.find(|c: char| c.is_ascii_digit()).unwrap_or(one.len());
        let (operator, wanted) = one.split_at(end);
        let Some(wanted) = Version::read(wanted) else { return false };
        match operator.trim() {
            "" | "=" => *version == wanted,
            "!=" => *version != wanted,
            ">" => *version > wanted,
            "<" => *version < wanted,
            ">=" => *version >= wanted,
            "<=" => *version <= wanted,
            "~>" => *version >= wanted && version.released() < wanted.bump(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::read(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_as_ruby_orders_them() {
        let ordered = ["1.0.0-beta2", "1.0.0", "1.0.1", "1.2", "1.10", "1905.1", "2004.01", "20210101.0.0"];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0"), version("1.0.0"));
        assert_eq!(version("1.0b2"), version("1.0.b.2"));
        assert!(Version::read("latest").is_none() && Version::read("1.0 beta").is_none());
    }

    #[test]
    fn a_version_meets_what_was_asked_or_not() {
        for (asked, yes, no) in [
            ("1905.1", "1905.01", "2004.01"),
            (">= 0", "0", "0.a"),
            ("~> 1.2.3", "1.2.9", "1.3"),
            ("~> 1", "1.9", "2.0"),
            (">= 1.0, < 2", "1.5", "2.0"),
            ("!= 1.0", "1.1", "1.0.0"),
        ] {
            assert!(meets(&version(yes), asked), "{yes} is {asked}");
            assert!(!meets(&version(no), asked), "{no} is not {asked}");
        }
        assert!(!meets(&version("1.0"), "=> 1.0") && !meets(&version("1.0"), ""));
    }
}

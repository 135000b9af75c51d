//! Texts for people, in the two languages that our users read.
//!
//! A text is kept in both languages in the record, so that a run can be shown again in the other one without running it.

use serde::{Deserialize, Serialize};

/// The language of what a person reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    #[default]
    En,
    Es,
}

impl Lang {
    /// The language of a locale (`es_CO.UTF-8`): Spanish where it says `es`, English elsewhere.
    pub fn of(locale: Option<&str>) -> Self {
        if locale.is_some_and(|l| l == "es" || l.starts_with("es_") || l.starts_with("es.")) {
            Self::Es
        } else {
            Self::En
        }
    }
}

/// A sentence in both languages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub en: String,
    pub es: String,
}

impl Text {
    pub fn new(en: impl Into<String>, es: impl Into<String>) -> Self {
        Self { en: en.into(), es: es.into() }
    }

    /// What is the same in every language: a name, a command, a log line.
    pub fn same(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { en: text.clone(), es: text }
    }

    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Es => &self.es,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.en.is_empty() && self.es.is_empty()
    }
}

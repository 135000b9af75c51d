//! `services: {on: first, with: auto}`: where the services of a scenario are brought up, and by what.

use super::decoder::Decoder;

/// Where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// On the lab's own engine, beside the machines.
    #[default]
    Lab,
    /// On the first machine that the Vagrantfile defines.
    First,
    /// On the machine of this name.
    Named(String),
}

/// By what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum With {
    /// What the playbook itself started is taken as it is; else a Swarm file is deployed where the machine manages a swarm,
    /// and any other is brought up by compose.
    #[default]
    Auto,
    Compose,
    Stack,
    /// Nothing is brought up: the playbook has done so, or nothing runs.
    Playbook,
}

impl With {
    /// By its name in a scenario.
    pub const ALL: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("compose", Self::Compose), ("stack", Self::Stack), ("playbook", Self::Playbook)];
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Serving {
    pub on: On,
    pub with: With,
}

pub(super) fn serving(d: &mut Decoder<'_>) -> Option<Serving> {
    let on = match d.text("on").as_deref().map(str::trim) {
        None | Some("lab") => On::Lab,
        Some("first") => On::First,
        Some("") => {
            d.problem_with("on", "`on` names no machine", Some("`lab`, `first` or a machine's name"));
            On::Lab
        }
        Some(name) => On::Named(name.to_owned()),
    };
    let with = match d.text("with") {
        None => With::Auto,
        Some(word) => match With::ALL.iter().find(|(name, _)| *name == word.trim()) {
            Some((_, with)) => *with,
            None => {
                let hint = crate::nearest::hint(&word, With::ALL.iter().map(|(name, _)| *name));
                d.problem_with("with", format!("services are not brought up with `{word}`"), Some(&hint));
                With::Auto
            }
        },
    };
    if on == On::Lab && !matches!(with, With::Auto | With::Compose) {
        d.problem_with("with", "only machines have a swarm, or what a playbook started", Some("add `on: first`"));
    }
    Some(Serving { on, with })
}

//! `package`: whether a package is installed in a machine, by its own package manager.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{Looks, On, OnMachines, Seen};
use crate::expect::{FactSpec, Facts, Unit};
use crate::probe::command::asked;
use crate::probe::common::Found;
use crate::probe::{Probe, ProbeError, ProbeKind};
use crate::scenario::tree::Decoder;
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "package",
    summary: "A package is installed in a machine, as its own package manager says: testimony, since a student is root there. The name is that of the node's system (Debian), and a node may have the package from its image on, so that this alone does not show that a playbook installed it: `ansible` tells what one did",
    facts: &[
        FactSpec { name: "installed", unit: Unit::Bool, summary: "it is there, wholly (testimony)" },
        FactSpec { name: "version", unit: Unit::Text, summary: "as the package manager writes it (testimony)" },
    ],
    example: "{id: gluster-installed, points: 0, package: {on: all, name: glusterfs-server}, expect: {installed: true}}",
    schema: || {
        json!({"type": "object", "additionalProperties": false, "required": ["name"], "properties": {
            "name": {"type": "string", "description": "as the package manager of the node calls it"},
            "on": On::schema()
        }})
    },
    decode: |d| decode(d).map(|probe| Box::new(probe) as Box<dyn Probe>),
};

struct Package {
    name: String,
    on: On,
}

fn decode(d: &mut Decoder<'_>) -> Option<Package> {
    let (name, on) = (d.required_text("name"), On::decode(d, "on"));
    let name = name?;
    // A word of the command line, where an option would be something else.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:".contains(c)) || name.starts_with('-') {
        d.problem_with("name", format!("`{name}` is no name of a package"), None);
    }
    Some(Package { name, on })
}

impl OnMachines for Package {
    fn on(&self) -> &On {
        &self.on
    }
}

#[async_trait]
impl Looks for Package {
    async fn at(&self, stack: &Stack, node: &Node, body: &Body, timeout: Duration) -> Result<Seen, ProbeError> {
        let argv = ["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}\\n", "--", &self.name];
        let ran = match asked(stack, node, body, &argv, timeout).await? {
            Found::Here(ran) => ran,
            Found::Absent(why) => {
                return Ok(Seen { facts: self.without(Some(node)), why: Some(why), ..Seen::default() });
            }
        };
        let out = String::from_utf8_lossy(&ran.stdout);
        // 1 is its word for a package that it does not know.
        match (ran.status, version(&out)) {
            (Some(0), Some(version)) => Ok(Seen::of([("installed", json!(true)), ("version", json!(version))])),
            (Some(0 | 1), _) => Ok(Seen::of([("installed", json!(false))]).because(Text::new(
                format!("{} is not installed", self.name),
                format!("{} no está instalado", self.name),
            ))),
            _ => Err(ran.unable()),
        }
    }

    fn without(&self, _node: Option<&Node>) -> Facts {
        Facts::new()
    }
}

/// `ii  10.3-5`: wanted and installed; what was removed and left its configuration is `rc`.
fn version(out: &str) -> Option<String> {
    out.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (state, version) = (words.next()?, words.next()?);
        (state.chars().nth(1) == Some('i')).then(|| crate::sanitize::line(version, 100))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::tree;

    #[test]
    fn only_what_is_wholly_there_has_a_version() {
        assert_eq!(version("ii  10.3-5\n").as_deref(), Some("10.3-5"));
        assert_eq!(version("hi  1:2.0\n").as_deref(), Some("1:2.0"), "held back, and installed");
        assert_eq!(version("rc  10.3-5\n"), None);
        assert_eq!(version("iU  10.3-5\n"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn a_name_is_no_option() {
        let problems = |text: &str| {
            let node = tree::read(text, "s.yaml").unwrap();
            let mut problems = Vec::new();
            let mut d = Decoder::new(&node, &mut problems);
            decode(&mut d);
            d.finish();
            problems.into_iter().map(|p| p.message).collect::<Vec<_>>()
        };
        assert_eq!(problems("{name: docker.io, on: others}"), [""; 0]);
        assert_eq!(problems("{name: --version}"), ["`--version` is no name of a package"]);
        assert_eq!(problems("{on: all}"), ["`name` is missing"]);
    }
}

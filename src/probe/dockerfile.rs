//! `dockerfile`: what the Dockerfile of a role's build says, read as the submission's reader reads it; nothing is built for it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::common::bound;
use super::{Attempt, Observation, Phase, Probe, ProbeError, ProbeKind};
use crate::expect::{FactSpec, Facts, Unit};
use crate::nearest;
use crate::notice::Reason;
use crate::stack::Stack;
use crate::submission::builds::Build;
use crate::submission::dockerfile::{INSTRUCTIONS, Stage};
use crate::text::Text;

pub static KIND: ProbeKind = ProbeKind {
    name: "dockerfile",
    summary: "What the Dockerfile of a role's build says, read before anything starts; of several stages, the one that is built and those it stands on",
    facts: &[
        FactSpec {
            name: "found",
            unit: Unit::Bool,
            summary: "the service is built, and from a Dockerfile that was handed in",
        },
        FactSpec { name: "path", unit: Unit::Text, summary: "where it is in what was handed in" },
        FactSpec { name: "base", unit: Unit::Text, summary: "the image that it stands on, build arguments filled in" },
        FactSpec { name: "exposes", unit: Unit::List, summary: "the ports of EXPOSE, as numbers" },
        FactSpec { name: "workdir", unit: Unit::Text, summary: "the last WORKDIR; none where there is none" },
        FactSpec { name: "cmd", unit: Unit::Text, summary: "as written" },
        FactSpec { name: "cmd_form", unit: Unit::Text, summary: "exec (a JSON list) or shell" },
        FactSpec { name: "entrypoint", unit: Unit::Text, summary: "as written" },
        FactSpec { name: "entrypoint_form", unit: Unit::Text, summary: "exec or shell" },
        FactSpec { name: "user", unit: Unit::Text, summary: "the last USER; none where there is none" },
        FactSpec { name: "copies", unit: Unit::List, summary: "what COPY and ADD take from the build's folder" },
        FactSpec { name: "runs", unit: Unit::List, summary: "the lines of RUN" },
        FactSpec { name: "stages", unit: Unit::Number, summary: "how many FROM" },
        FactSpec { name: "instructions", unit: Unit::Number, summary: "how many instructions, of all stages" },
        FactSpec { name: "unknown", unit: Unit::List, summary: "words at a line's beginning that are no instruction" },
    ],
    example: "{id: image-as-described, points: 0, dockerfile: {role: app}, expect: {base: {matches: '^python:3'}, exposes: {contains: 5000}, workdir: {matches: '^/'}, cmd: {contains: app.py}}}",
    schema: || {
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["role"],
            "properties": {"role": {"type": "string", "description": "whose build"}}
        })
    },
    decode: |d| d.role("role").map(|role| Box::new(DockerfileOf { role }) as Box<dyn Probe>),
};

struct DockerfileOf {
    role: String,
}

#[async_trait]
impl Probe for DockerfileOf {
    fn phase(&self) -> Phase {
        Phase::Static
    }

    fn roles(&self) -> Vec<String> {
        vec![self.role.clone()]
    }

    fn excusable(&self) -> bool {
        false
    }

    async fn observe(&self, stack: &Arc<Stack>, _attempt: Attempt) -> Result<Observation, ProbeError> {
        let Some(service) = bound(stack, &self.role)? else {
            let why = stack.roles.get(&self.role).map(|b| b.why.clone());
            return Ok(none(why.unwrap_or_default()));
        };
        let submission = &stack.submission;
        match submission.builds.get(&service) {
            Some(build) if !build.dockerfile.stages.is_empty() || build.file.is_some() => Ok(read(build)),
            // From a repository elsewhere, or a folder outside of what was handed in: it was not read, and may be good.
            Some(build) if build.context.is_none() => Err(ProbeError::new(
                Reason::NotHere,
                format!("{service} is built from a folder that was not handed in: its Dockerfile was not read"),
                format!("{service} se construye desde una carpeta que no se entregó: su Dockerfile no se leyó"),
            )),
            Some(_) => Ok(none(Text::new(
                format!("{service} is built from a folder without the Dockerfile that it names"),
                format!("{service} se construye desde una carpeta sin el Dockerfile que nombra"),
            ))),
            None => Ok(none(Text::new(
                format!("{service} is not built: it runs an image as it is"),
                format!("{service} no se construye: corre una imagen tal como es"),
            ))),
        }
    }
}

fn none(why: Text) -> Observation {
    Observation { explanation: Some(why), ..Observation::of(Facts::from([("found".to_owned(), json!(false))])) }
}

fn read(build: &Build) -> Observation {
    let file = &build.dockerfile;
    let chain = file.chain(build.target.as_deref());
    // What a stage does not say, the one that it stands on does.
    let of = |get: fn(&Stage) -> Option<&String>| chain.iter().find_map(|stage| get(stage));
    let text = |value: Option<&String>| value.map_or(Value::Null, |value| json!(value));
    let (cmd, entrypoint) = (of(|s| s.cmd.as_ref()), of(|s| s.entrypoint.as_ref()));
    let mut exposes: Vec<u16> = chain.iter().rev().flat_map(|stage| stage.expose.clone()).collect();
    exposes.dedup();
    let copies: Vec<String> =
        chain.iter().rev().flat_map(|stage| &stage.copies).flat_map(|c| c.sources.clone()).collect();
    let runs: Vec<&String> = chain.iter().rev().flat_map(|stage| &stage.runs).collect();
    let path = build.file.as_ref().map(|path| path.to_string_lossy().into_owned());
    let mut facts = Facts::from([
        ("found".to_owned(), json!(true)),
        ("path".to_owned(), json!(path)),
        ("base".to_owned(), json!(build.base())),
        ("exposes".to_owned(), json!(exposes)),
        ("copies".to_owned(), json!(copies)),
        ("runs".to_owned(), json!(runs)),
        ("stages".to_owned(), json!(file.stages.len())),
        ("instructions".to_owned(), json!(file.instructions)),
        ("unknown".to_owned(), json!(file.unknown.iter().map(|(_, word)| word).collect::<Vec<_>>())),
    ]);
    facts.extend([
        ("workdir".to_owned(), text(of(|s| s.workdir.as_ref()))),
        ("user".to_owned(), text(of(|s| s.user.as_ref()))),
        ("cmd".to_owned(), text(cmd)),
        ("cmd_form".to_owned(), form(cmd)),
        ("entrypoint".to_owned(), text(entrypoint)),
        ("entrypoint_form".to_owned(), form(entrypoint)),
    ]);
    // What is not there is no fact, or it would be a text like any other.
    facts.retain(|_, value| !value.is_null());
    let explanation = file.unknown.first().map(|(line, word)| {
        let near = nearest::nearest(word, INSTRUCTIONS.iter().copied())
            .map(|near| (format!("; {near}?"), format!("; ¿{near}?")));
        let (en, es) = near.unwrap_or_default();
        let word = crate::sanitize::line(word, 60);
        Text::new(
            format!("line {line} of the Dockerfile begins with `{word}`, which is no instruction{en}"),
            format!("la línea {line} del Dockerfile empieza con `{word}`, que no es una instrucción{es}"),
        )
    });
    Observation { explanation, ..Observation::of(facts) }
}

/// As the builder takes it: what is no JSON list of texts is a line for a shell.
fn form(line: Option<&String>) -> Value {
    let Some(line) = line else { return Value::Null };
    json!(if serde_json::from_str::<Vec<String>>(line).is_ok() { "exec" } else { "shell" })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::submission::dockerfile;

    fn seen(text: &str) -> Observation {
        read(&Build { dockerfile: dockerfile::parse(text, &BTreeMap::new()), ..Build::default() })
    }

    fn fact(text: &str, name: &str) -> Value {
        seen(text).subjects[0].1.get(name).cloned().unwrap_or_default()
    }

    #[test]
    fn the_seed_file_says_what_it_should() {
        let text = "FROM python:3.6\nEXPOSE 5000\nWORKDIR /app\nCOPY app.py .\nRUN pip install -r requirements.txt\nUSER nobody\nCMD [\"python\", \"app.py\"]\n";
        assert_eq!((fact(text, "base"), fact(text, "exposes")), (json!("python:3.6"), json!([5000])));
        assert_eq!((fact(text, "workdir"), fact(text, "user")), (json!("/app"), json!("nobody")));
        assert_eq!((fact(text, "cmd"), fact(text, "cmd_form")), (json!("[\"python\", \"app.py\"]"), json!("exec")));
        assert_eq!((fact(text, "instructions"), fact(text, "stages")), (json!(7), json!(1)));
        assert_eq!(
            (fact(text, "copies"), fact(text, "runs")),
            (json!(["app.py"]), json!(["pip install -r requirements.txt"]))
        );
        assert_eq!(fact(text, "entrypoint"), Value::Null, "what is not there is not said");
    }

    #[test]
    fn a_stage_has_what_it_stands_on() {
        let text = "FROM python:3.9 AS base\nENV PUERTO=5000\nEXPOSE $PUERTO\nWORKDIR /srv\nFROM base\nCMD python app.py\nFROM node\nFROM base\nENTRYPOINT x\n";
        assert_eq!((fact(text, "base"), fact(text, "exposes")), (json!("python:3.9"), json!([5000])));
        assert_eq!((fact(text, "workdir"), fact(text, "cmd")), (json!("/srv"), Value::Null));
        assert_eq!((fact(text, "entrypoint_form"), fact(text, "stages")), (json!("shell"), json!(4)));
    }

    #[test]
    fn what_is_no_instruction_is_named() {
        let seen = seen("FROM a\nEXPOSE 80\n\nRUNN pip install x\n");
        assert_eq!(seen.subjects[0].1["unknown"], json!(["RUNN"]));
        assert_eq!(
            seen.explanation.unwrap().en,
            "line 4 of the Dockerfile begins with `RUNN`, which is no instruction; RUN?"
        );
    }
}

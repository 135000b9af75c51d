//! What a lab contains and nothing else does: asked for on the host's own engine, none of it is started.

use serde_json::Value;

use super::{Action, Found, Hit, Rule, View, rows, truth};
use crate::submission::{ComposeFile, Submission};
use crate::text::Text;

/// Beside the table: keys that only a lab makes harmless. No scenario allows them.
static RULE: Rule = Rule {
    name: "uncontained",
    action: Action::Refuse,
    summary: "programs, volumes and builds that act on the machine itself",
    check: keys,
};

/// Keys of a service that run a program of the machine or give the engine away.
const SERVICE: [&str; 5] = ["provider", "use_api_socket", "volume_driver", "credential_spec", "models"];
/// Keys of a build that reach out of it.
const BUILD: [&str; 5] = ["privileged", "entitlements", "ssh", "secrets", "additional_contexts"];

/// Hits that the host's own engine adds to those of a lab: binds of folders that a lab would make, what the scenario allows,
/// and [`RULE`]. Where there is one, the submission needs a lab; that is not held against it.
pub fn only_in_a_lab(submission: &Submission, compose: &ComposeFile, actions: &[(String, Action)]) -> Vec<Hit> {
    let contained = super::judge(submission, compose, actions);
    let view = View { submission, compose, uncontained: true };
    let known = |hit: &Hit| {
        contained
            .iter()
            .any(|c| c.action != Action::Allow && c.rule == hit.rule && c.service == hit.service && c.text == hit.text)
    };
    let table = super::RULES.iter().chain([&RULE]);
    rows(&view, table, &[]).into_iter().filter(|hit| !known(hit)).collect()
}

fn keys(view: &View<'_>, found: &mut Vec<Found>) {
    let set = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
        _ => true,
    };
    for service in view.services() {
        let build = &service.raw["build"];
        let mut keys: Vec<String> =
            SERVICE.iter().filter(|k| set(&service.raw[**k])).map(|k| (*k).to_owned()).collect();
        keys.extend(BUILD.iter().filter(|k| set(&build[**k])).map(|k| format!("build.{k}")));
        if build["network"] == "host" {
            keys.push("build.network".to_owned());
        }
        for hook in ["post_start", "pre_stop"] {
            let steps = service.raw[hook].as_array().into_iter().flatten();
            if steps.into_iter().any(|step| truth(&step["privileged"])) {
                keys.push(hook.to_owned());
            }
        }
        for key in keys {
            let first = key.split('.').next().unwrap_or_default().to_owned();
            let name = &service.name;
            found.push(Found::at_key(
                service,
                &first,
                format!("`{name}` asks for `{key}`, which only a lab contains"),
                format!("`{name}` pide `{key}`, que solo un laboratorio contiene"),
            ));
        }
    }
    for (name, def) in &view.compose.volumes {
        let kind = def["driver_opts"]["type"].as_str().unwrap_or("none");
        let local = matches!(def["driver"].as_str(), None | Some("local"));
        if !local || !matches!(kind, "none" | "bind" | "tmpfs") {
            let text = Text::new(
                format!("the volume `{name}` is not a local one, which only a lab contains"),
                format!("el volumen `{name}` no es local, y eso solo lo contiene un laboratorio"),
            );
            let keys = vec!["volumes".to_owned(), name.clone()];
            found.push(Found { service: None, text, at: crate::expect::Place::default(), keys });
        }
    }
}

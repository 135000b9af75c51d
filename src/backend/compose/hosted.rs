//! A compose file on the host's own engine: a copy of the resolved file in which everything bears the run's labels and
//! nothing has a name that the user's own things may have.
//!
//! Images keep no name of the submission: what is built is named after the run's project, and a stand-in is used under its
//! own name, in the file and in the copy of a Dockerfile, so that no tag of the user's (`mysql:5.7`) is ever moved.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::backend::{BackendError, Hosting, Request, Source};
use crate::submission::policy::{self, Action, Hit};
use crate::submission::{ComposeFile, dockerfile};
use crate::text::Text;

/// References of the submission by the names that serve for them here.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    pub fn of(file: &ComposeFile, sources: &BTreeMap<String, Source>, project: &str) -> Self {
        let mut names = BTreeMap::new();
        for (reference, source) in sources {
            if let Source::StandIn(stand_in) = source {
                names.insert(reference.clone(), format!("imparcial/{}:latest", stand_in.name));
            }
        }
        for service in file.services.iter().filter(|s| s.build.is_some()) {
            if let Some(image) = &service.image {
                names.insert(image.clone(), built(project, &service.name));
            }
        }
        Self(names)
    }

    /// What serves for a reference, where it is another name.
    pub fn local(&self, reference: &str) -> Option<&str> {
        let latest = || self.0.get(reference.strip_suffix(":latest")?);
        let tagged = || self.0.get(&format!("{reference}:latest"));
        self.0.get(reference).or_else(latest).or_else(tagged).map(String::as_str)
    }

    /// A Dockerfile that stands on what serves here; none where nothing of it has another name.
    pub fn in_dockerfile(&self, text: &str, args: &BTreeMap<String, Option<String>>) -> Option<String> {
        let read = dockerfile::parse(text, args);
        let is_from =
            |line: &&str| line.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("from"));
        if text.lines().filter(is_from).count() != read.stages.len() {
            return None;
        }
        let mut stages = read.stages.iter();
        let mut changed = false;
        let lines = text.lines().map(|line| {
            let local = if is_from(&line) { stages.next().and_then(|s| self.local(&s.from)) } else { None };
            let Some(local) = local else { return line.to_owned() };
            changed = true;
            let mut words: Vec<&str> = line.split_whitespace().collect();
            if let Some(word) = words.iter_mut().skip(1).find(|word| !word.starts_with("--")) {
                *word = local;
            }
            words.join(" ")
        });
        let text = lines.collect::<Vec<_>>().join("\n") + "\n";
        changed.then_some(text)
    }
}

/// The name of what a service builds.
pub fn built(project: &str, service: &str) -> String {
    format!("{project}_{}", service.to_lowercase())
}

/// What only a lab contains: said before anything of it starts.
pub fn admit(request: &Request, file: &ComposeFile) -> Result<(), BackendError> {
    let hits = policy::only_in_a_lab(&request.submission, file, &request.policy);
    if hits.is_empty() {
        return Ok(());
    }
    let all = |of: fn(&Text) -> &String| hits.iter().map(|h| of(&h.text).as_str()).collect::<Vec<_>>().join("; ");
    Err(BackendError::Other(Text::new(
        format!("this submission needs a lab, so nothing of it was started on the host: {}", all(|t| &t.en)),
        format!(
            "esta entrega necesita un laboratorio, así que nada de ella se inició en el anfitrión: {}",
            all(|t| &t.es)
        ),
    )))
}

/// The resolved file as it may run on the host. `folder` is the project's name as the student saw it.
pub fn confine(file: Value, hits: &[Hit], names: &Names, hosting: &Hosting, folder: &str) -> Value {
    let mut file = policy::strip(file, hits);
    let refused = hits.iter().any(|h| h.action == Action::Refuse && h.service.is_none());
    let Some(top) = file.as_object_mut().filter(|_| !refused) else { return json!({"services": {}}) };
    top.remove("name");
    for section in ["networks", "volumes"] {
        let section = top.entry(section).or_insert_with(|| json!({}));
        if !section.is_object() {
            *section = json!({});
        }
        for def in section.as_object_mut().into_iter().flat_map(Map::values_mut) {
            own(def, hosting);
        }
    }
    // The one that is not written must bear the labels as well.
    if let Some(networks) = top.get_mut("networks").and_then(Value::as_object_mut) {
        let default = networks.entry("default").or_insert_with(|| json!({}));
        own(default, hosting);
    }
    let services = top.get_mut("services").and_then(Value::as_object_mut);
    for (name, service) in services.into_iter().flatten() {
        let Some(service) = service.as_object_mut() else { continue };
        label(service, hosting);
        if let Some(build) = service.get_mut("build") {
            if let Value::String(context) = build {
                *build = json!({"context": context});
            }
            if let Some(build) = build.as_object_mut() {
                label(build, hosting);
            }
            service.insert("image".to_owned(), json!(built(&hosting.project, name)));
        } else if let Some(local) = service.get("image").and_then(Value::as_str).and_then(|i| names.local(i)) {
            service.insert("image".to_owned(), json!(local));
        }
        also_known_as(service, name, folder);
    }
    file
}

/// A network or volume of this run alone: its own name could be one of the user's.
fn own(def: &mut Value, hosting: &Hosting) {
    if !def.is_object() {
        *def = json!({});
    }
    if let Some(def) = def.as_object_mut() {
        def.remove("name");
        label(def, hosting);
    }
}

fn label(map: &mut Map<String, Value>, hosting: &Hosting) {
    let labels = map.entry("labels").or_insert_with(|| json!({}));
    match labels {
        Value::Array(list) => list.extend(hosting.labels.iter().map(|(k, v)| json!(format!("{k}={v}")))),
        Value::Object(map) => map.extend(hosting.labels.iter().map(|(k, v)| (k.clone(), json!(v)))),
        other => *other = json!(hosting.labels),
    }
}

/// The names that its container would have had under the submission's own project.
fn also_known_as(service: &mut Map<String, Value>, name: &str, folder: &str) {
    if service.contains_key("network_mode") || service.contains_key("container_name") {
        return;
    }
    let networks = service.entry("networks").or_insert_with(|| json!({"default": null}));
    for network in networks.as_object_mut().into_iter().flat_map(Map::values_mut) {
        if network.is_null() {
            *network = json!({});
        }
        let Some(network) = network.as_object_mut() else { continue };
        let aliases = network.entry("aliases").or_insert_with(|| json!([]));
        if let Some(aliases) = aliases.as_array_mut() {
            aliases.extend([format!("{folder}_{name}_1"), format!("{folder}-{name}-1")].map(Value::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::StandIn;
    use crate::submission::{BuildDef, ServiceDef};

    fn names() -> Names {
        let mut file = ComposeFile::default();
        let build = Some(BuildDef::default());
        file.services.push(ServiceDef {
            name: "App".into(),
            image: Some("mine".into()),
            build,
            ..ServiceDef::default()
        });
        let stand_in = |name: &str| {
            Source::StandIn(StandIn { reference: String::new(), name: name.into(), version: String::new() })
        };
        let sources = BTreeMap::from([
            ("mysql:5.7".to_owned(), stand_in("mysql")),
            ("python:3.6".to_owned(), stand_in("python")),
            ("busybox".to_owned(), Source::Registry),
        ]);
        Names::of(&file, &sources, "imparcial-r")
    }

    #[test]
    fn nothing_keeps_a_name_that_could_be_the_users() {
        let file = json!({
            "name": "x",
            "services": {
                "App": {"build": {"context": "/c"}, "image": "mine"},
                "again": {"image": "mine:latest", "network_mode": "none"},
                "db": {"image": "mysql:5.7", "labels": ["a=b"], "networks": {"back": {"aliases": ["sql"]}}},
                "box": {"image": "busybox", "container_name": "box"},
            },
            "networks": {"back": {"name": "users", "driver": "bridge"}},
            "volumes": {"data": null},
        });
        let labels = BTreeMap::from([("imparcial.run".to_owned(), "r".to_owned())]);
        let hosting = Hosting { labels, project: "imparcial-r".into() };
        let out = confine(file, &[], &names(), &hosting, "exam");
        let labels = json!({"imparcial.run": "r"});
        let aliases = json!(["sql", "exam_db_1", "exam-db-1"]);
        assert_eq!(
            out,
            json!({
                "services": {
                    "App": {"build": {"context": "/c", "labels": labels}, "image": "imparcial-r_app", "labels": labels,
                        "networks": {"default": {"aliases": ["exam_App_1", "exam-App-1"]}}},
                    "again": {"image": "imparcial-r_app", "network_mode": "none", "labels": labels},
                    "db": {"image": "imparcial/mysql:latest", "labels": ["a=b", "imparcial.run=r"],
                        "networks": {"back": {"aliases": aliases}}},
                    "box": {"image": "busybox", "container_name": "box", "labels": labels},
                },
                "networks": {"back": {"driver": "bridge", "labels": labels}, "default": {"labels": labels}},
                "volumes": {"data": {"labels": labels}},
            })
        );
    }

    #[test]
    fn a_dockerfile_stands_on_what_serves_here() {
        let text = "ARG V=3.6\nFROM --platform=linux/amd64 python:$V AS one\nRUN x\nfrom one\nFROM mine\n";
        let out = names().in_dockerfile(text, &BTreeMap::new()).unwrap();
        assert_eq!(
            out,
            "ARG V=3.6\nFROM --platform=linux/amd64 imparcial/python:latest AS one\nRUN x\nfrom one\nFROM imparcial-r_app\n"
        );
        assert_eq!(names().in_dockerfile("FROM busybox\n", &BTreeMap::new()), None);
    }
}

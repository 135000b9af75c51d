//! Where in the submission to look for what a check found: by its kind, what it saw, the services and machines it looks at,
//! their logs.
//!
//! Pure but for reading the submission's own files. Only what failed, and an error that is about the submission's own files,
//! has places; where none is sure, there is none.

mod clue;
mod drills;
mod machines;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

pub(super) use self::clue::Clue;
use crate::notice::Reason;
use crate::plan::Plan;
use crate::record::{CheckRecord, Verdict};
use crate::stack::machines::Machines;
use crate::stack::{LeftOut, Service, Stack};
use crate::submission::bind::Binding;
use crate::submission::machines::Vagrantfile;
use crate::submission::policy::{Action, Hit};
use crate::submission::whereabouts::{LookAt, View};

/// More places are no help.
const MOST: usize = 3;
/// A run does not wait longer for them.
const LONGEST: Duration = Duration::from_secs(10);
/// The facts that say that a service ended, each for what it printed last.
const ENDED: [&str; 5] = ["state", "quiet_for_s", "until_end", "restarts", "exit_code"];

/// The run as far as places are read from it.
struct Scene<'a> {
    view: View<'a>,
    /// What the compose tool said of a file that it refuses.
    refused: &'a str,
    policy: &'a [Hit],
    /// Of it, what stops the layer.
    stopping: Vec<&'a Hit>,
    /// The services were started by compose, and by us.
    by_compose: bool,
    services: &'a BTreeMap<String, Service>,
    roles: &'a BTreeMap<String, Binding>,
    logs: &'a BTreeMap<String, String>,
    vagrantfile: Option<&'a Vagrantfile>,
    machines: &'a Machines,
}

/// What is asked of the scene: a check as it was planned.
struct Asked {
    kind: &'static str,
    roles: Vec<String>,
    published: Option<String>,
    /// Of a drill's objective: the fault.
    fault: &'static str,
}

/// Marks every check that failed, or is undecided for something in the submission's own files. What is read was written by
/// others: what takes too long is left, and the run goes on without it.
pub(super) async fn mark(
    plan: &Plan,
    stack: &Arc<Stack>,
    logs: BTreeMap<String, String>,
    clues: Vec<Clue>,
    checks: &mut [CheckRecord],
) {
    let asked = |planned: &crate::plan::PlannedCheck| Asked {
        kind: planned.kind.name,
        roles: planned.probe.roles(),
        published: planned.probe.published().map(str::to_owned),
        fault: planned.probe.breaks().map_or("", |breaking| breaking.fault),
    };
    let asked: Vec<Asked> = plan.checks.iter().map(asked).collect();
    let (stack, seen) = (stack.clone(), checks.to_vec());
    let found = in_time(move |late| {
        let scene = Scene {
            view: View::of(&stack.submission),
            refused: &stack.config.message,
            policy: &stack.policy,
            stopping: stack.policy.iter().filter(|hit| stack.is_stopped_by(hit)).collect(),
            by_compose: !stack.swarm && !stack.provisioned,
            services: &stack.services,
            roles: &stack.roles,
            logs: &logs,
            vagrantfile: stack.submission.vagrantfile.as_ref(),
            machines: &stack.machines,
        };
        let all = asked.iter().zip(&clues).zip(&seen).take_while(|_| !late.load(Ordering::Relaxed));
        all.map(|((asked, clue), check)| scene.places(asked, clue, check)).collect::<Vec<_>>()
    });
    for (check, places) in checks.iter_mut().zip(found.await.unwrap_or_default()) {
        check.look_at = places;
    }
}

/// What comes of reading files, beside everything else; none where it takes too long. It is told that it is late.
async fn in_time<T: Send + 'static>(reading: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Option<T> {
    let late = Arc::new(AtomicBool::new(false));
    let told = late.clone();
    let read = tokio::task::spawn_blocking(move || reading(&late));
    let read = tokio::time::timeout(LONGEST, read).await;
    told.store(true, Ordering::Relaxed);
    read.ok()?.ok()
}

impl Scene<'_> {
    fn places(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Vec<LookAt> {
        let mut places = match (check.verdict, check.reason) {
            (Verdict::Fail, _) => self.of_failure(asked, clue, check),
            (Verdict::Error, Some(Reason::Ambiguous)) => self.candidates(asked),
            (Verdict::Error, Some(Reason::Image | Reason::Age)) => self.not_to_be_had(asked),
            _ => Vec::new(),
        };
        // Two things of one line are one place.
        let mut seen = BTreeSet::new();
        places.retain(|look| seen.insert((look.place.file.clone(), look.place.line)));
        places.truncate(MOST);
        places
    }

    fn of_failure(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Vec<LookAt> {
        // What was left out tells why it does not run, answer or dial.
        let left_out = self.left_out(asked);
        if !left_out.is_empty() && !matches!(asked.kind, "compose" | "policy" | "limits" | "dockerfile") {
            return left_out;
        }
        let service = asked.roles.first().and_then(|role| self.service(role));
        let app = || asked.roles.iter().find_map(|role| self.service(role));
        match asked.kind {
            "compose" if clue.fact("valid") == Some(&Value::Bool(false)) => self.view.refused_by_the_tool(self.refused),
            "policy" => self.refused_keys(),
            "container" => self.container(asked, clue, check),
            "limits" | "enforced" => self.limits(asked, clue, check),
            "tcp" => self.door(asked, clue, check).into_iter().collect(),
            // The store's role comes first.
            "dials" => asked
                .roles
                .get(1)
                .and_then(|role| self.service(role))
                .map_or_else(Vec::new, |name| self.view.written(name, &clue.dialled, &clue.tried())),
            "mysql" => service.map_or_else(Vec::new, |name| self.database(name, clue)),
            "page" | "http" => app().map_or_else(Vec::new, |name| self.page(name, clue)),
            "round_trip" => self.round_trip(asked),
            "drill" => self.drill(asked, clue, check),
            _ => self.of_machines(asked, check),
        }
    }

    fn service(&self, role: &str) -> Option<&str> {
        self.roles.get(role)?.service.as_deref()
    }

    fn log(&self, service: &str) -> &str {
        self.logs.get(service).map_or("", String::as_str)
    }

    /// The services that a check looks at and that were never started for a fault of the submission's.
    fn left_out(&self, asked: &Asked) -> Vec<LookAt> {
        let services = asked.roles.iter().filter_map(|role| self.services.get(self.service(role)?));
        let own = services.filter(|s| matches!(s.left_out, Some(LeftOut { reason: None, .. })));
        own.flat_map(|service| self.no_image(service)).collect()
    }

    /// Why a service has no image: what policy refused, the instruction that failed, or the image that nobody has.
    fn no_image(&self, service: &Service) -> Vec<LookAt> {
        let name = &service.name;
        let refused: Vec<LookAt> =
            self.hits().filter(|hit| hit.service.as_ref() == Some(name)).filter_map(|h| self.hit(h)).collect();
        if !refused.is_empty() {
            return refused;
        }
        if self.view.service(name).is_some_and(|def| def.build.is_none()) {
            return self.view.at_key_or_service(name, &["image"]).into_iter().collect();
        }
        let log = &service.image.log;
        let built = [self.view.requirement(name, log), self.view.failed_instruction(name, log)];
        let built: Vec<LookAt> = built.into_iter().flatten().collect();
        if built.is_empty() { self.view.at_key_or_service(name, &["build"]).into_iter().collect() } else { built }
    }

    /// An image that nobody here has, or a requirement that has gone.
    fn not_to_be_had(&self, asked: &Asked) -> Vec<LookAt> {
        let services = asked.roles.iter().filter_map(|role| self.services.get(self.service(role)?));
        let left_out = services.filter_map(|s| Some((s, s.left_out.as_ref()?.reason?)));
        left_out
            .flat_map(|(service, reason)| {
                let (name, log) = (&service.name, &service.image.log);
                let built = self.view.service(name).is_some_and(|def| def.build.is_some());
                let places = match reason {
                    Reason::Image if built => vec![self.view.base(name)],
                    Reason::Image => vec![self.view.at_key(name, &["image"])],
                    Reason::Age => vec![self.view.requirement(name, log), self.view.failed_instruction(name, log)],
                    _ => Vec::new(),
                };
                places.into_iter().flatten()
            })
            .collect()
    }

    /// The services that fit a role equally well.
    fn candidates(&self, asked: &Asked) -> Vec<LookAt> {
        let bindings = asked.roles.iter().filter_map(|role| self.roles.get(role));
        bindings.flat_map(|b| &b.candidates).filter_map(|name| self.view.at_service(name)).collect()
    }

    fn hits(&self) -> impl Iterator<Item = &Hit> {
        self.policy.iter().filter(|hit| hit.action == Action::Refuse)
    }

    fn hit(&self, hit: &Hit) -> Option<LookAt> {
        let service = hit.service.as_deref();
        let key = hit.keys.last().and_then(|key| key.split('.').next()).unwrap_or_default();
        // A mount has a line of its own, with what is mounted.
        let mounts = service.and_then(|name| self.view.service(name)).map_or(&[][..], |def| &def.mounts);
        let mounted = mounts.iter().find(|mount| mount.at == hit.at).and_then(|mount| mount.source.as_deref());
        let noted = self.view.noted(&hit.at, mounted.unwrap_or(key), service, hit.text.clone());
        noted.or_else(|| self.view.at_key_or_service(service?, &[key]))
    }

    /// The keys that refuse the app or its store.
    fn refused_keys(&self) -> Vec<LookAt> {
        self.stopping.iter().filter_map(|hit| self.hit(hit)).collect()
    }

    /// The service of a subject: a role's, or the only one's.
    fn subject<'s>(&'s self, asked: &'s Asked, subject: &'s str) -> Option<&'s str> {
        let role = if subject.is_empty() { asked.roles.first()? } else { subject };
        self.service(role)
    }

    fn container(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Vec<LookAt> {
        let mut places = Vec::new();
        for (subject, facts) in &clue.subjects {
            let failed =
                |fact: &str| check.findings.iter().any(|f| !f.holds && &f.subject == subject && f.fact == fact);
            let any = check.findings.iter().any(|f| !f.holds && &f.subject == subject);
            let Some(name) = self.subject(asked, subject).filter(|_| any) else { continue };
            let killed = facts.get("oom_killed") == Some(&Value::Bool(true));
            if failed("fails_at_twice_its_limit") || killed {
                places.extend(self.view.at_limit(name, true));
            } else if failed("built_from_submission") && self.view.service(name).is_some_and(|s| s.build.is_none()) {
                places.extend(self.view.at_key_or_service(name, &["image"]));
            } else if ENDED.iter().any(|fact| failed(fact)) {
                places.extend(self.ended(name));
            }
        }
        places
    }

    /// Why a service does not stay up: the SQL that it refuses, what its own code raised or said last, how it is started,
    /// else the service.
    fn ended(&self, name: &str) -> Option<LookAt> {
        let log = self.log(name);
        let last = log.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let not_there = last.contains("can't open file '") || last.contains("executable file not found");
        let started = not_there.then(|| self.view.start_command(name)).flatten();
        let raised = || self.view.raised_at_end(name, log).or_else(|| self.view.said_by(name, last));
        let refused = self.view.refused_statement(&self.view.scripts(name), log);
        refused.or(started).or_else(raised).or_else(|| self.view.at_service(name))
    }

    fn limits(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Vec<LookAt> {
        let failed = |subject: &str| check.findings.iter().any(|f| !f.holds && f.subject == subject);
        let subjects = clue.subjects.iter().filter(|(subject, _)| failed(subject));
        let places = subjects.filter_map(|(subject, facts)| {
            let memory = !facts.contains_key("declared_cpus");
            self.view.at_limit(self.subject(asked, subject)?, memory)
        });
        places.collect()
    }

    fn ports(&self, name: &str) -> Vec<LookAt> {
        self.view.at_key_or_service(name, &["ports"]).into_iter().collect()
    }

    /// A published port that does not answer: `ports` where it is not published, or for the machine alone; else what the app
    /// listens on, where it says so.
    fn door(&self, asked: &Asked, clue: &Clue, check: &CheckRecord) -> Option<LookAt> {
        let name = self.service(asked.published.as_deref()?)?;
        let published = clue.fact("published")?.as_bool()?;
        let loopback = clue.fact("address").and_then(Value::as_str) == Some("loopback");
        if !published || (loopback && check.findings.iter().any(|f| !f.holds && f.fact == "address")) {
            return self.view.at_key_or_service(name, &["ports"]);
        }
        let refused = clue.fact("connected") == Some(&Value::Bool(false));
        if refused { self.view.listens_to_itself(name) } else { None }
    }

    /// What the server refused, else where the scripts should be given to it and what they would make.
    fn database(&self, name: &str, clue: &Clue) -> Vec<LookAt> {
        let (tables, rows) = (clue.list("missing_tables"), clue.list("missing_rows"));
        if tables.is_empty() && rows.is_empty() {
            return Vec::new();
        }
        let scripts = self.view.scripts(name);
        if let Some(refused) = self.view.refused_statement(&scripts, self.log(name)) {
            return vec![refused];
        }
        let mut places = Vec::new();
        if scripts.given.is_empty() {
            places.extend(self.view.at_key_or_service(name, &["volumes"]));
        }
        let texts = self.view.read(&scripts);
        places.extend(tables.iter().take(MOST).filter_map(|table| self.view.creates(&texts, table)));
        let of = rows.iter().filter_map(|row| Some(row.split_once(':')?.0)).collect::<BTreeSet<_>>();
        places.extend(of.into_iter().take(MOST).filter_map(|table| self.view.fills(&texts, table)));
        if places.len() < 2 && scripts.given.is_empty() {
            places.extend(self.view.script(&scripts));
        }
        places
    }

    /// A server error: what the app's own code raised; else whom it dials; else, where nothing answers, its ports.
    fn page(&self, name: &str, clue: &Clue) -> Vec<LookAt> {
        let Some(status) = clue.fact("status").and_then(Value::as_u64) else {
            let none = self.view.service(name).is_some_and(|service| service.ports.is_empty());
            return if none { self.ports(name) } else { Vec::new() };
        };
        if status < 500 && clue.fact("database_error") != Some(&Value::Bool(true)) {
            return Vec::new();
        }
        let mut places = self.view.written(name, &clue.dialled, &clue.ports);
        let raised = self.view.raised_on_page(name, &clue.page);
        places.extend(raised.or_else(|| self.view.raised(name, &clue.printed)));
        places
    }

    /// A page that does not come from the database: rows in the code, else the only file that can be meant.
    fn round_trip(&self, asked: &Asked) -> Vec<LookAt> {
        let mut services = asked.roles.iter().map(|role| self.service(role));
        let (Some(Some(app)), Some(Some(store))) = (services.next(), services.next()) else { return Vec::new() };
        let values = self.view.values(&self.view.scripts(store));
        let place = self.view.constants(app, &values).or_else(|| self.view.only_code(app));
        place.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;

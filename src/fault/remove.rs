//! `remove`: a service's container is removed with its anonymous volumes, and brought up anew as its owner would do it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::service::{containers, docker};
use super::target::Kinds;
use super::{At, Fault, FaultError, FaultKind, Ground, Proof, Target, Undo, Victim};
use crate::backend::compose::tool::Tool;
use crate::backend::compose::tool_of;
use crate::docker::Container;
use crate::docker::container::{ONE_OFF, PROJECT, SERVICE};
use crate::exec::Cmd;
use crate::stack::Stack;
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "remove",
    summary: "A service's container is removed, with its layer and its anonymous volumes but no named volume and no folder; afterwards it is brought up anew, in a swarm by that",
    example: "{remove: {role: db}}",
    schema: || Target::schema(Kinds::Services),
    decode: |d| Some(Box::new(Remove { target: Target::decode(d, Kinds::Services)? }) as Box<dyn Fault>),
};

/// Bringing one service up: its image is there.
const UP: Duration = Duration::from_secs(90);

struct Remove {
    target: Target,
}

#[async_trait]
impl Fault for Remove {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        (ground == Ground::Attached).then(|| {
            Text::new(
                "a container of a stack that is somebody else's is not removed: it could not be made again as it was",
                "no se retira un contenedor de un stack ajeno: no se podría volver a crear como estaba",
            )
        })
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        if stack.swarm {
            return Ok(Vec::new());
        }
        if stack.provisioned {
            return Err(FaultError::not_here(
                "a playbook started these services; how their containers were made is not known here",
                "un playbook arrancó estos servicios; aquí no se sabe cómo se crearon sus contenedores",
            ));
        }
        let at = stack.home.node.clone().map_or(At::Ground, At::Node);
        let tool = tool_of(stack).await?;
        let running = stack.containers().await?;
        let mut undos: Vec<Undo> = Vec::new();
        let mut done: Vec<&str> = Vec::new();
        for container in containers(victims) {
            if done.contains(&container.service.as_str()) {
                continue;
            }
            done.push(&container.service);
            let of: Vec<&Container> = running.iter().filter(|c| c.service == container.service && !c.one_off).collect();
            if !stack.overrides.is_empty() {
                undos.extend(limited(&at, &tool, &of));
            }
            undos.push(up(&at, &tool, &container.service, of.len()));
        }
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for container in containers(victims) {
            docker(stack, container, &removing(&container.id)).await?;
        }
        Ok(Vec::new())
    }
}

fn removing(id: &str) -> Cmd {
    Cmd::new(["docker", "rm", "--force", "--volumes", id]).timeout(Duration::from_secs(60))
}

/// The service brought up; proven where so many containers of it have been started, whatever became of them since.
fn up(at: &At, tool: &Tool, service: &str, number: usize) -> Undo {
    let run = tool.cmd(["up", "-d", "--no-build", "--no-deps", service]).timeout(UP);
    let states = ["running", "restarting", "paused", "exited", "dead"];
    let filters = [
        format!("label={PROJECT}={}", tool.project),
        format!("label={SERVICE}={service}"),
        format!("label={ONE_OFF}=False"),
    ];
    let filters = filters.into_iter().chain(states.iter().map(|state| format!("status={state}")));
    let ask = Cmd::new(["docker", "ps", "--all", "--format", &format!("{{{{.Label {SERVICE:?}}}}}")])
        .args(filters.flat_map(|filter| ["--filter".to_owned(), filter]));
    let what = Text::new(format!("service {service} is brought up"), format!("el servicio {service} está levantado"));
    Undo::new(at.clone(), run, Proof::says(ask, vec![service; number].join("\n")), what)
}

/// Where the stack runs under other limits than were handed in: made first, and given these, before it is started.
fn limited(at: &At, tool: &Tool, of: &[&Container]) -> Vec<Undo> {
    let mut undos = Vec::new();
    for container in of {
        let (name, service) = (&container.name, &container.service);
        let run = tool.cmd(["up", "--no-start", "--no-build", "--no-deps", service]).timeout(UP);
        let there = Cmd::new(["docker", "inspect", "--type=container", "--format", "{{.Name}}", name]);
        let made = Text::new(format!("container {name} is made"), format!("el contenedor {name} está creado"));
        undos.push(Undo::new(at.clone(), run, Proof::says(there, format!("/{name}")), made));
        let Some(update) = update(container) else { continue };
        let memory = Cmd::new(["docker", "inspect", "--type=container", "--format", "{{.HostConfig.Memory}}", name]);
        let limits = Text::new(
            format!("container {name} has the limits of this run"),
            format!("el contenedor {name} tiene los límites de esta ejecución"),
        );
        undos.push(Undo::new(at.clone(), update, Proof::says(memory, container.memory_bytes.to_string()), limits));
    }
    undos
}

/// The two spellings of a cpu limit are not mixed: an engine refuses that.
fn update(container: &Container) -> Option<Cmd> {
    let mut cmd = Cmd::new(["docker", "update"]);
    if container.memory_bytes > 0 {
        let bytes = container.memory_bytes.to_string();
        cmd = cmd.args(["--memory", &bytes, "--memory-swap", &bytes]);
    }
    if container.nano_cpus > 0 {
        cmd = cmd.args(["--cpus", &container.cpus().to_string()]);
    } else if container.cpu_quota > 0 {
        let period = if container.cpu_period > 0 { container.cpu_period } else { 100_000 };
        cmd = cmd.args(["--cpu-period", &period.to_string()]);
        cmd = cmd.args(["--cpu-quota", &container.cpu_quota.to_string()]);
    }
    (cmd.argv.len() > 2).then(|| cmd.arg(&container.name).timeout(super::ASKED))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::target::tests::decoded;
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    async fn tool() -> Tool {
        let shell = Arc::new(Scripted::default().on(["which"], vec![Reply::out("/usr/bin/docker-compose")]));
        Tool::find(shell, "/work".into(), "docker-compose.yml".into(), "work".into()).await.unwrap()
    }

    #[tokio::test]
    async fn it_is_brought_up_as_its_owner_would() {
        let undo = up(&At::Ground, &tool().await, "db", 1);
        let line = undo.run.to_string();
        assert!(line.starts_with("docker-compose --project-name work"), "{line}");
        assert!(line.ends_with("up -d --no-build --no-deps db"), "{line}");
        let proof = undo.proof.run.to_string();
        for part in ["com.docker.compose.service=db", "com.docker.compose.project=work", "status=restarting"] {
            assert!(proof.contains(part), "{proof}");
        }
        assert!(!proof.contains("created"), "one that was only made was not brought up");
        assert_eq!(up(&At::Ground, &tool().await, "app", 2).proof.says.as_deref(), Some("app\napp"));
    }

    #[tokio::test]
    async fn limits_of_the_run_are_given_before_it_starts() {
        let container = Container {
            name: "work_db_1".into(),
            service: "db".into(),
            memory_bytes: 1 << 28,
            nano_cpus: 500_000_000,
            ..Container::default()
        };
        let undos = limited(&At::Ground, &tool().await, &[&container]);
        assert!(undos[0].run.to_string().ends_with("up --no-start --no-build --no-deps db"));
        assert_eq!(
            undos[1].run.to_string(),
            "docker update --memory 268435456 --memory-swap 268435456 --cpus 0.5 work_db_1"
        );
        assert_eq!(undos[1].proof.says.as_deref(), Some("268435456"));
        assert!(update(&Container::default()).is_none());
        let quota = Container { cpu_quota: 5000, ..Container::default() };
        assert!(update(&quota).unwrap().to_string().starts_with("docker update --cpu-period 100000 --cpu-quota 5000"));
    }

    #[test]
    fn what_is_somebody_elses_is_not_removed() {
        let fault = decoded("{role: db}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Attached).is_some());
        assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_none());
        assert_eq!(removing("abc").to_string(), "docker rm --force --volumes abc");
    }
}

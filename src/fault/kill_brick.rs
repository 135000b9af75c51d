//! `kill_brick`: the process that serves a machine's part of a Gluster volume dies; its peers see that at once.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::machine::{machines, only_in_a_lab};
use super::target::{Kinds, shown};
use super::{At, Fault, FaultError, FaultKind, Ground, Proof, Target, Undo, Victim};
use crate::exec::{Cmd, ShellExt};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "kill_brick",
    summary: "The process that serves a machine's brick of a Gluster volume is killed from outside; healing starts it again and nothing else",
    example: "{kill_brick: {node: others, pick: one}}",
    schema: || {
        let volume =
            json!({"type": "string", "description": "only of this volume; of every one where nothing is said"});
        Target::schema_with(Kinds::Machines, &json!({"volume": volume}))
    },
    decode: |d| {
        let volume = d.text("volume");
        let target = Target::decode(d, Kinds::Machines)?;
        Some(Box::new(KillBrick { target, volume }) as Box<dyn Fault>)
    },
};

/// The service of bricks waits for its peers when it starts one.
const STARTS: Duration = Duration::from_secs(60);

struct KillBrick {
    target: Target,
    volume: Option<String>,
}

/// A brick's process, by its number in the lab.
#[derive(Debug, PartialEq, Eq)]
struct Brick {
    pid: u32,
    volume: String,
}

#[async_trait]
impl Fault for KillBrick {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        only_in_a_lab(ground)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let mut undos = Vec::new();
        for (node, body) in machines(victims) {
            let mut volumes: Vec<String> =
                self.bricks(stack, node, body).await?.into_iter().map(|b| b.volume).collect();
            volumes.dedup();
            undos.extend(volumes.iter().map(|volume| started(node.name(), volume)));
        }
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        for (node, body) in machines(victims) {
            for brick in self.bricks(stack, node, body).await? {
                let kill = Cmd::new(["kill", "-KILL", &brick.pid.to_string()]).timeout(super::ASKED);
                body.seen_from(&stack.ground).must(&kill).await?;
            }
        }
        Ok(Vec::new())
    }
}

impl KillBrick {
    /// The bricks of a machine that run.
    async fn bricks(&self, stack: &Stack, node: &Node, body: &Body) -> Result<Vec<Brick>, FaultError> {
        let list = match body {
            Body::Container(container) => Cmd::new(["docker", "top", &container.id, "-eo", "pid,args"]),
            Body::Guest(_) => Cmd::new(["ps", "-eo", "pid,args"]),
        };
        let said = body.seen_from(&stack.ground).must(&list.timeout(super::ASKED)).await?.out();
        let mut bricks = bricks(&said, self.volume.as_deref());
        bricks.sort_by(|a, b| a.volume.cmp(&b.volume));
        if bricks.is_empty() {
            let name = shown(node.name());
            return Err(FaultError::not_here(
                format!("no brick of a volume runs on {name}"),
                format!("en {name} no corre ningún ladrillo de un volumen"),
            ));
        }
        Ok(bricks)
    }
}

/// Lines such as `5993 /usr/sbin/glusterfsd -s 192.168.56.12 --volfile-id volumen.192.168.56.12.gluster-brick …`.
fn bricks(said: &str, only: Option<&str>) -> Vec<Brick> {
    let brick = |line: &str| {
        let mut words = line.split_whitespace();
        let pid = words.next()?.parse().ok()?;
        if words.next()?.rsplit('/').next() != Some("glusterfsd") {
            return None;
        }
        let server = words.clone().skip_while(|word| *word != "-s").nth(1)?;
        let id = words.skip_while(|word| *word != "--volfile-id").nth(1)?;
        // A volume's name has no point in it; its server's may.
        let volume = id.split(&format!(".{server}.")).next().filter(|volume| *volume != id)?;
        only.is_none_or(|only| only == volume).then(|| Brick { pid, volume: volume.to_owned() })
    };
    said.lines().filter_map(brick).collect()
}

fn started(node: &str, volume: &str) -> Undo {
    let run = Cmd::new(["gluster", "--mode=script", "volume", "start", volume, "force"]).timeout(STARTS);
    let runs = Cmd::new(["pgrep", "--full", &format!("glusterfsd .*--volfile-id {volume}\\.")]);
    let name = shown(node);
    let what = Text::new(
        format!("the brick of {volume} on {name} runs"),
        format!("el ladrillo de {volume} en {name} está corriendo"),
    );
    Undo::new(At::Node(node.to_owned()), run, Proof::ok(runs), what)
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;

    const TOP: &str = "PID                 COMMAND
872                 /sbin/init
5993                /usr/sbin/glusterfsd -s 192.168.56.12 --volfile-id volumen.192.168.56.12.gluster-brick-volumen -p /var/run/x.pid
6000                /usr/sbin/glusterfsd -s worker2 --volfile-id datos.worker2.b1 -p /var/run/y.pid
6055                /usr/sbin/glusterfs -s localhost --volfile-id shd/volumen -p /var/run/gluster/shd.pid
6350                /usr/sbin/glusterfs --process-name fuse --volfile-server=localhost --volfile-id=/volumen /mnt/volumen";

    #[test]
    fn only_what_serves_a_brick_is_one() {
        let brick = |pid, volume: &str| Brick { pid, volume: volume.into() };
        assert_eq!(bricks(TOP, None), [brick(5993, "volumen"), brick(6000, "datos")]);
        assert_eq!(bricks(TOP, Some("datos")), [brick(6000, "datos")]);
        assert!(bricks(TOP, Some("dato")).is_empty());
    }

    #[test]
    fn its_volume_is_started_on_its_own_machine() {
        let undo = started("worker2", "volumen");
        assert_eq!(undo.at, At::Node("worker2".into()));
        assert_eq!(undo.run.to_string(), "gluster --mode=script volume start volumen force");
        assert_eq!(undo.proof.run.argv[2], r"glusterfsd .*--volfile-id volumen\.");
        let fault =
            decoded("{node: others, pick: one, volume: volumen}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_some());
    }
}

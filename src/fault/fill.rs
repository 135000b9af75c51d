//! `fill`: a machine's extra disk has no space left, until the file that took it is removed.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::machine::{machines, only_in_a_lab};
use super::target::{Kinds, shown};
use super::{At, Fault, FaultError, FaultKind, Ground, Proof, Target, Undo, Victim, shells};
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::machines::Node;
use crate::stack::{Body, Stack};
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "fill",
    summary: "The extra disk of a machine is filled until nothing more can be written to it",
    example: "{fill: {node: worker2}}",
    schema: || Target::schema(Kinds::Machines),
    decode: |d| {
        let target = Target::decode(d, Kinds::Machines)?;
        Some(Box::new(Fill { target, nonce: crate::nonce::number() }) as Box<dyn Fault>)
    },
};

/// What a file system keeps back from one large allocation, in bytes: it is filled by writing.
const REST: [u64; 4] = [8 << 20, 32 << 20, 128 << 20, 512 << 20];
const WRITES: Duration = Duration::from_secs(120);

struct Fill {
    target: Target,
    /// In the files' names: nothing of the submission's is ever removed.
    nonce: u64,
}

#[async_trait]
impl Fault for Fill {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        only_in_a_lab(ground)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let mut undos = Vec::new();
        for (node, body) in machines(victims) {
            for path in self.paths(stack, node, body).await? {
                undos.push(removed(node.name(), &path));
            }
        }
        Ok(undos)
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        let mut notes = Vec::new();
        let shells = shells(stack);
        for (node, body) in machines(victims) {
            let [large, rest] = self.paths(stack, node, body).await?;
            let Some(shell) = shells(&At::Node(node.name().to_owned())) else { continue };
            notes.push(fill(shell.as_ref(), &large, &rest).await?);
        }
        Ok(notes)
    }
}

impl Fill {
    /// The two files that fill a machine's disk.
    async fn paths(&self, stack: &Stack, node: &Node, body: &Body) -> Result<[String; 2], FaultError> {
        let read = Cmd::new(["cat", &format!("/proc/{}/mountinfo", body.first().0)]).timeout(super::ASKED);
        let mounts = body.seen_from(&stack.ground).must(&read).await?.out();
        let devices: Vec<&str> = node.disks.iter().map(|disk| disk.device.as_str()).collect();
        let Some(at) = mounted(&mounts, &devices) else {
            let name = shown(node.name());
            return Err(FaultError::not_here(
                format!(
                    "no extra disk of machine {name} is mounted, or only by way of volumes: there is nothing to fill"
                ),
                format!(
                    "ningún disco extra de la máquina {name} está montado, o solo mediante volúmenes: no hay nada que llenar"
                ),
            ));
        };
        let at = at.trim_end_matches('/');
        Ok([1, 2].map(|number| format!("{at}/.imparcial-fill-{:016x}-{number}", self.nonce)))
    }
}

/// Where one of these devices, or a partition of one, is mounted as a whole. A place with a space in its name is none that is
/// filled.
fn mounted(mountinfo: &str, devices: &[&str]) -> Option<String> {
    let line = |line: &str| {
        let (own, of) = line.split_once(" - ")?;
        let own: Vec<&str> = own.split(' ').collect();
        let source = of.split(' ').nth(1)?;
        let ours =
            |device: &&str| source.strip_prefix(*device).is_some_and(|part| part.chars().all(|c| c.is_ascii_digit()));
        let (root, at) = (*own.get(3)?, *own.get(4)?);
        (root == "/" && !at.contains('\\') && devices.iter().any(ours)).then(|| at.to_owned())
    };
    mountinfo.lines().find_map(line)
}

async fn available(shell: &dyn Shell, file: &str) -> Result<u64, FaultError> {
    let folder = file.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let ask = Cmd::new(["df", "--block-size=1", "--output=avail", folder]).timeout(super::ASKED);
    let said = shell.must(&ask).await?.out();
    said.lines().last().and_then(|line| line.trim().parse().ok()).ok_or_else(|| {
        let said = crate::sanitize::line(&said, 200);
        FaultError::host(format!("df said: {said}"), format!("df dijo: {said}"))
    })
}

/// With more than this left it is not full: something else kept it from being written.
const FULL: u64 = 1 << 20;

async fn fill(shell: &dyn Shell, large: &str, rest: &str) -> Result<Text, FaultError> {
    let free = available(shell, large).await?;
    for keep in REST {
        let Some(bytes) = free.checked_sub(keep).filter(|bytes| *bytes > 0) else { continue };
        let allocate = Cmd::new(["fallocate", "--length", &bytes.to_string(), large]).timeout(WRITES);
        if shell.run(&allocate).await?.ok() {
            break;
        }
    }
    // Until it says that there is no space: that is what is wanted.
    let write = Cmd::new(["dd", "if=/dev/zero", &format!("of={rest}"), "bs=64K", "count=16384", "status=none"]);
    let wrote = shell.run(&write.timeout(WRITES)).await?;
    let left = available(shell, large).await?;
    if wrote.ok() || left > FULL {
        let mib = left >> 20;
        return Err(FaultError::host(
            format!("the disk could not be filled: {mib} MiB are left"),
            format!("no se pudo llenar el disco: quedan {mib} MiB"),
        ));
    }
    let (mib, kib) = (free >> 20, left >> 10);
    Ok(Text::new(
        format!("{mib} MiB were taken, {kib} KiB are left"),
        format!("se tomaron {mib} MiB, quedan {kib} KiB"),
    ))
}

fn removed(node: &str, path: &str) -> Undo {
    let proof = Proof::no(Cmd::new(["test", "-e", path]), 1);
    let name = shown(node);
    let what = Text::new(
        format!("the disk of {name} has its space again"),
        format!("el disco de {name} vuelve a tener espacio"),
    );
    Undo::new(At::Node(node.to_owned()), Cmd::new(["rm", "-f", "--", path]), proof, what)
}

#[cfg(test)]
mod tests {
    use super::super::target::tests::decoded;
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    #[test]
    fn a_disk_is_found_where_it_is_mounted() {
        let mounts = "\
700 600 0:50 / / rw,relatime - overlay overlay rw
701 700 0:60 / /vagrant rw,relatime - overlay overlay rw
702 700 7:5 /sub /bind rw,relatime - xfs /dev/sdb rw
703 700 7:5 / /gluster/brick rw,relatime shared:1 - xfs /dev/sdb rw
704 700 259:1 / /data rw - ext4 /dev/sdc1 rw
705 700 8:1 / /other rw - ext4 /dev/sdbx rw";
        assert_eq!(mounted(mounts, &["/dev/sdb"]).as_deref(), Some("/gluster/brick"));
        assert_eq!(mounted(mounts, &["/dev/sdc"]).as_deref(), Some("/data"));
        assert_eq!(mounted(mounts, &["/dev/sdd"]), None);
        assert_eq!(mounted(mounts, &[]), None);
    }

    #[tokio::test]
    async fn what_an_allocation_leaves_is_written() {
        let df = |bytes: &str| Reply::out(format!("   Avail\n{bytes}\n"));
        let shell = Scripted::default()
            .on(["df"], vec![df("5158490112"), df("65536")])
            .on(["fallocate"], vec![Reply::fail(1, "No space left on device"), Reply::out("")])
            .on(["dd"], vec![Reply::fail(1, "No space left on device")]);
        let note = fill(&shell, "/b/.f-1", "/b/.f-2").await.unwrap();
        assert_eq!(note.en, "4919 MiB were taken, 64 KiB are left");
        let asked = shell.asked();
        assert_eq!(asked[0], "df --block-size=1 --output=avail /b");
        assert_eq!(asked[2], format!("fallocate --length {} /b/.f-1", 5_158_490_112_u64 - (32 << 20)));
        assert!(asked[3].starts_with("dd if=/dev/zero of=/b/.f-2 bs=64K"), "{}", asked[3]);
        let endless = Scripted::default()
            .on(["df"], vec![df("999")])
            .on(["fallocate"], vec![Reply::out("")])
            .on(["dd"], vec![Reply::out("")]);
        assert!(fill(&endless, "/b/.f-1", "/b/.f-2").await.is_err(), "it is not full");
    }

    #[test]
    fn only_its_own_files_are_removed() {
        let undo = removed("worker2", "/b/.imparcial-fill-1-1");
        assert_eq!(undo.run.to_string(), "rm -f -- /b/.imparcial-fill-1-1");
        assert_eq!((undo.proof.run.to_string(), undo.proof.status), ("test -e /b/.imparcial-fill-1-1".into(), 1));
        let fault = decoded("{node: worker2}", FAULT.decode).unwrap_or_else(|e| panic!("{e:?}"));
        assert!(fault.cannot(Ground::Lab).is_none() && fault.cannot(Ground::Host).is_some());
    }
}

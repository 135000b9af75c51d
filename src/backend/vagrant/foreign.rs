//! What a machine of a box that is not ours lacks: our executable, from the disk that all machines read. It is put there before
//! anything of ours is asked of the machine, and found again by it when it starts anew.
//!
//! Not where a stand-in has it: what lies there as well makes plays take a machine for one (`vagrant/images/lab/ansible/action.py`).

use std::time::Duration;

use super::nodes;
use crate::agent::BINARY;
use crate::backend::Site;
use crate::exec::ssh::Ssh;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::stack::machines::Node;
use crate::text::Text;

/// Of the disk's filesystem (`vagrant/images/vms/lab-tools`).
const DISK: &str = "LABEL=imparcial";
const AT: &str = "/usr/local/lib/imparcial";
const ITS: &str = "/usr/local/lib/imparcial/bin/imparcial";
/// By systemd's rule the folder's own name.
const UNIT: &str = "usr-local-lib-imparcial.mount";
/// A machine starts all the same where the disk is not there.
const MOUNT: &str = "\
[Unit]
Before=ssh.service sshd.service

[Mount]
What=/dev/disk/by-label/imparcial
Where=/usr/local/lib/imparcial
Options=ro

[Install]
WantedBy=multi-user.target
";
/// On an emulated processor that is still starting.
const WITHIN: Duration = Duration::from_secs(60);

/// Puts it into a machine of its own box; why the machine cannot be used, where that cannot be done. Whatever a box lacks for it is
/// no mistake of who chose it.
pub(super) async fn furnish(site: &Site, node: &Node, address: &str) -> Option<LeftOut> {
    node.taken.as_ref()?;
    let machine = Ssh::new(site.shell.clone(), node.name(), address);
    let why = put(&machine).await.err()?;
    let name = node.name();
    Some(LeftOut {
        reason: Some(Reason::NotHere),
        text: Text::new(
            format!("what looks at machines could not be put into {name}, which is of its own box: {why}"),
            format!("no se pudo poner en {name}, que es de su propio box, lo que mira las máquinas: {why}"),
        ),
    })
}

/// Why a machine that Vagrant did not bring up is not there: of its own box, no stand-in has a part in it.
pub(super) fn blame(node: &Node, said: Option<&str>) -> LeftOut {
    let LeftOut { reason, text } = nodes::blame(&node.def, said);
    let reason = if node.taken.is_some() { reason.map(|_| Reason::Host) } else { reason };
    LeftOut { reason, text }
}

async fn put(machine: &dyn Shell) -> Result<(), String> {
    let steps = [
        Cmd::new(["mkdir", "-p", AT, "/usr/local/bin"]),
        Cmd::new(["mount", "-o", "ro", DISK, AT]),
        Cmd::new(["ln", "-sfn", ITS, BINARY]),
        // That its kernel runs it.
        Cmd::new([BINARY, "--version"]),
    ];
    for step in steps {
        let done = machine.must(&step.timeout(WITHIN)).await;
        done.map_err(|error| crate::sanitize::line(&error.to_string(), 300))?;
    }
    // For when it is started anew. Without systemd it is then a machine of which nothing is seen.
    let unit = format!("/etc/systemd/system/{UNIT}");
    for step in [
        Cmd::new(["tee", &unit]).stdin(MOUNT),
        Cmd::new(["systemctl", "daemon-reload"]),
        Cmd::new(["systemctl", "enable", UNIT]),
    ] {
        if let Err(error) = machine.must(&step.timeout(WITHIN)).await {
            tracing::warn!(%error, "a machine will not have our executable when it starts anew");
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};
    use crate::stack::machines::Taken;

    const ANY: [&str; 0] = [];

    #[tokio::test]
    async fn the_executable_is_there_and_found_again() {
        let machine = Scripted::default().on(ANY, vec![Reply::out("")]);
        assert_eq!(put(&machine).await, Ok(()));
        let asked = machine.asked();
        assert_eq!(asked[1], "mount -o ro LABEL=imparcial /usr/local/lib/imparcial");
        assert!(asked[2].ends_with(BINARY) && asked[3].starts_with(BINARY) && asked.len() == 7, "{asked:?}");
    }

    #[test]
    fn no_stand_in_is_blamed_where_none_serves() {
        let own = Node { taken: Some(Taken::default()), ..Node::default() };
        let of = |node: &Node, said: &str| blame(node, Some(said)).reason;
        let reason = |node: &Node| of(node, "There was an error talking to Libvirt");
        assert_eq!((reason(&own), reason(&Node::default())), (Some(Reason::Host), Some(Reason::StandIn)));
        assert_eq!(of(&own, "Timed out while waiting for the machine to boot"), Some(Reason::Host));
        assert_eq!(blame(&own, Some("The host path of the shared folder is missing: ./x")).reason, None);
    }

    #[tokio::test]
    async fn what_a_box_has_not_is_said() {
        let sudo = Reply::fail(1, "sudo: a password is required");
        let why = put(&Scripted::default().on(ANY, vec![sudo])).await.unwrap_err();
        assert!(why.contains("a password is required"), "{why}");
        let old = Scripted::default()
            .on(["systemctl"], vec![Reply::fail(1, "systemctl: not found")])
            .on(ANY, vec![Reply::out("")]);
        assert_eq!(put(&old).await, Ok(()), "it is there for now");
    }
}

//! Stands where a container's processes stand: in its network, with its own hosts and resolv.conf.
//!
//! Must be done before the process has a second thread; those that come later inherit it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// The container to join, as its engine describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inside {
    /// Of its first process, in our own process namespace.
    pub(crate) pid: i64,
    pub(crate) container: String,
    pub(crate) hosts: PathBuf,
    pub(crate) resolv: PathBuf,
}

impl Inside {
    /// As arguments of `imparcial agent`.
    pub(crate) fn args(&self) -> Vec<String> {
        let path = |p: &Path| p.to_string_lossy().into_owned();
        let named = [
            ("--inside", self.pid.to_string()),
            ("--container", self.container.clone()),
            ("--hosts", path(&self.hosts)),
            ("--resolv", path(&self.resolv)),
        ];
        named.into_iter().filter(|(_, v)| !v.is_empty()).flat_map(|(k, v)| [k.to_owned(), v]).collect()
    }

    /// Reads those arguments; none where there are none.
    pub(crate) fn parse(args: &[String]) -> Result<Option<Self>, String> {
        let mut inside = Self::default();
        for pair in args.chunks(2) {
            let [name, value] = pair else { return Err(format!("`{}` has no value", pair.concat())) };
            match name.as_str() {
                "--inside" => inside.pid = value.parse().map_err(|_| format!("`{value}` is no process id"))?,
                "--container" => inside.container.clone_from(value),
                "--hosts" => inside.hosts = value.into(),
                "--resolv" => inside.resolv = value.into(),
                _ => return Err(format!("an agent knows no `{name}`")),
            }
        }
        Ok((!args.is_empty()).then_some(inside))
    }

    /// Joins. The error says in words what could not be done.
    pub(crate) fn join(&self) -> Result<(), String> {
        let network = format!("/proc/{}/ns/net", self.pid);
        let network = File::open(&network).map_err(|e| format!("process {} is gone: {e}", self.pid))?;
        // Asked after the namespace was opened: a process id that was given away in between belongs to nobody of this
        // container now.
        self.verify()?;
        let said = |what: &'static str| move |e: nix::Error| format!("could not {what}: {}", e.desc());
        setns(&network, CloneFlags::CLONE_NEWNET).map_err(said("join the container's network"))?;
        unshare(CloneFlags::CLONE_NEWNS).map_err(said("take mounts of our own"))?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(said("keep our mounts to us"))?;
        for (own, usual) in [(&self.hosts, "/etc/hosts"), (&self.resolv, "/etc/resolv.conf")] {
            if own.as_os_str().is_empty() {
                continue;
            }
            mount(Some(own.as_path()), usual, none, MsFlags::MS_BIND, none)
                .map_err(|e| format!("could not put {} over {usual}: {}", own.display(), e.desc()))?;
        }
        let_go();
        Ok(())
    }

    /// The process is one of the container's: an id may be given to another process after an exit.
    fn verify(&self) -> Result<(), String> {
        if self.container.is_empty() {
            return Ok(());
        }
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).unwrap_or_default();
        if groups.contains(&self.container) {
            return Ok(());
        }
        Err(format!("process {} is no longer one of container {}", self.pid, self.container))
    }
}

/// Lets go of the copies of what the engine has mounted: as long as we held them, no container that is removed would be
/// gone wholly.
fn let_go() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let engines = ["/var/lib/docker", "/run/docker", "/var/run/docker"];
    let theirs =
        |at: &&str| engines.iter().any(|e| at.strip_prefix(e).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    for at in mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(theirs).collect::<Vec<_>>().iter().rev() {
        // One that lies below another was let go of with it.
        let _ = umount2(*at, MntFlags::MNT_DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_back_as_they_were_given() {
        let inside = Inside { pid: 7, container: "ab".into(), hosts: "/h".into(), resolv: PathBuf::new() };
        assert_eq!(inside.args(), ["--inside", "7", "--container", "ab", "--hosts", "/h"]);
        assert_eq!(Inside::parse(&inside.args()), Ok(Some(inside)));
        assert_eq!(Inside::parse(&[]), Ok(None));
        assert!(Inside::parse(&["--inside".into(), "x".into()]).is_err());
        assert!(Inside::parse(&["--inside".into()]).is_err());
    }

    #[test]
    fn a_process_of_another_container_is_refused() {
        let pid = i64::from(std::process::id());
        let other = Inside { pid, container: "f00dfeed".into(), ..Inside::default() };
        assert!(other.join().unwrap_err().contains("no longer one of container f00dfeed"));
        let gone = Inside { pid: 4_194_400, ..Inside::default() };
        assert!(gone.join().unwrap_err().contains("is gone"));
    }
}

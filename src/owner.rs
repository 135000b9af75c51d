//! Whose a run is: the process that grades, told apart from any later one with the same number.
//!
//! It is written on everything that a run makes, so that the next start can tell what was left behind from what another
//! run is using right now.

use std::collections::HashMap;
use std::fs;

/// Labels of everything that a run makes.
pub const RUN: &str = "imparcial.run";
pub const PID: &str = "imparcial.pid";
pub const BOOT: &str = "imparcial.boot";
pub const STARTED: &str = "imparcial.started";
/// The process namespace in which the number counts.
pub const SPACE: &str = "imparcial.space";
/// Asked to stay after its run: only `imparcial down` removes it.
pub const KEEP: &str = "imparcial.keep";

/// A process, in this boot of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub pid: u32,
    pub boot: String,
    /// In the kernel's ticks since the boot.
    pub started: u64,
    pub space: String,
}

/// What can be said of an owner from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Alive,
    Dead,
    /// On another machine or in another process namespace: its number means nothing here.
    Unknown,
}

impl Owner {
    /// This process.
    pub fn this() -> Self {
        let pid = std::process::id();
        Self { pid, boot: boot(), started: started(pid).unwrap_or_default(), space: space() }
    }

    /// As labels, together with the run's.
    pub fn labels(&self, run: &str) -> HashMap<String, String> {
        let pairs = [
            (RUN, run.to_owned()),
            (PID, self.pid.to_string()),
            (BOOT, self.boot.clone()),
            (STARTED, self.started.to_string()),
            (SPACE, self.space.clone()),
        ];
        pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
    }

    /// From labels; none where they are not a run's.
    pub fn read(labels: &HashMap<String, String>) -> Option<Self> {
        Some(Self {
            pid: labels.get(PID)?.parse().ok()?,
            boot: labels.get(BOOT)?.clone(),
            started: labels.get(STARTED)?.parse().ok()?,
            space: labels.get(SPACE).cloned().unwrap_or_default(),
        })
    }

    /// In a word that may be part of a file's name.
    pub fn tag(&self) -> String {
        let number = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        format!("{}.{}.{}.{}.{}", self.pid, self.started, number(&self.space), number(&self.boot), number(&host()))
    }

    /// Whether the process of a tag has ended. None where it is no tag, or one of another machine (with which a disk may be
    /// shared) or process namespace.
    pub fn ended(tag: &str) -> Option<bool> {
        let this = Self::this().tag();
        let [pid, started, space, boot, host] = parts(tag)?;
        let [_, _, own_space, own_boot, own_host] = parts(&this)?;
        let alive = boot == own_boot && self::started(pid.parse().ok()?) == Some(started.parse().ok()?);
        // The first namespace has the same number on every machine.
        (space == own_space && host == own_host && !host.is_empty()).then_some(!alive)
    }

    pub fn life(&self) -> Life {
        if self.boot != boot() || self.space != space() {
            return Life::Unknown;
        }
        if started(self.pid) == Some(self.started) { Life::Alive } else { Life::Dead }
    }
}

fn parts(tag: &str) -> Option<[&str; 5]> {
    tag.split('.').collect::<Vec<_>>().try_into().ok()
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// What names this machine, whichever time it was started.
fn host() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let id = Some(read("/etc/machine-id")).filter(|id| !id.is_empty() && id != "uninitialized");
    id.unwrap_or_else(|| read("/proc/sys/kernel/hostname"))
}

fn space() -> String {
    fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()
}

/// When a process began; none where it has ended, its parent not having noticed yet included.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name and may hold spaces and brackets.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) { None } else { fields.get(19)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_also_when_read_from_labels() {
        let labels = Owner::this().labels("r1");
        assert_eq!(labels[RUN], "r1");
        let owner = Owner::read(&labels).unwrap();
        assert_eq!(owner, Owner::this());
        assert_eq!(owner.life(), Life::Alive);
        assert_eq!(Owner::read(&HashMap::new()), None);
    }

    #[test]
    fn a_number_given_to_another_process_is_another_owner() {
        let this = Owner::this();
        assert_eq!(Owner { started: this.started + 1, ..this.clone() }.life(), Life::Dead);
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!(Owner { pid, ..this.clone() }.life(), Life::Dead);
        assert_eq!(Owner { boot: "another".into(), ..this.clone() }.life(), Life::Unknown);
        assert_eq!(Owner { space: "pid:[1]".into(), ..this }.life(), Life::Unknown);
    }
    #[test]
    fn a_tag_says_whether_its_process_has_ended() {
        let this = Owner::this();
        let dead = Owner { started: this.started + 1, ..this.clone() }.tag();
        assert_eq!(Owner::ended(&this.tag()), Some(false));
        assert_eq!(Owner::ended(&Owner { started: this.started + 1, ..this.clone() }.tag()), Some(true));
        // The machine was started anew: what lies on its disk is nobody's.
        assert_eq!(Owner::ended(&Owner { boot: "earlier".into(), ..this.clone() }.tag()), Some(true));
        assert_eq!(Owner::ended(&Owner { space: "pid:[1]".into(), ..this }.tag()), None);
        assert_eq!(Owner::ended("1.2"), None);
        // Another machine's, on a disk that both see: its processes are not seen from here.
        let (rest, host) = dead.rsplit_once('.').unwrap();
        assert!(!host.is_empty() && Owner::ended(&dead) == Some(true));
        assert_eq!(Owner::ended(&format!("{rest}.x{host}")), None);
        assert_eq!(Owner::ended(&format!("{rest}.")), None);
        assert_eq!(Owner::ended(rest), None, "of a version that named no machine");
    }
}

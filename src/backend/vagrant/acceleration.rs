//! Whether this host's processor helps with virtual machines, tried and not assumed: a `/dev/kvm` can be there, run a tiny guest,
//! and hang every ordinary kernel. So the machines' own kernel is started with it, and by emulation, until it complains that it
//! has no root; what the second takes of a processor, more than without emulation, is by how much budgets are stretched.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::guests;
use crate::backend::BackendError;
use crate::exec::{Cmd, Output, RunError, RunErrorKind, Shell, ShellExt};
use crate::owner::Owner;
use crate::text::Text;

/// With the processor's help this takes less than a second; emulated, some; on a busy host, several times that.
const WITHIN: Duration = Duration::from_secs(25);
/// What a kernel says last that finds no root to go on from.
const LAST_WORDS: &str = "Unable to mount root fs";
/// What the same start is taken to need on a processor, in seconds: a guess, since no machine of ours has KVM that works.
const NATIVE_S: f64 = 0.8;
/// Beyond this, budgets are no budgets any more.
const MOST: f64 = 8.0;
/// A machine shares its host with what looks at it, which a kernel alone does not show.
const SHARED: f64 = 1.5;
const QEMU: &str = "qemu-system-x86_64";
/// In the lab (`vagrant/images/vms`).
const STARTS: &str = "lab-kernel";
/// How it begins its last line.
const TAKEN: &str = "lab-kernel: ";
const FILE: &str = "acceleration.json";

/// What was found of this host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acceleration {
    /// The host's start of which this is known.
    boot: String,
    /// What emulates, as it names itself: another one is slower or faster.
    #[serde(default)]
    qemu: String,
    /// The processor that it emulates: one that can do more costs more.
    #[serde(default)]
    cpu: String,
    kvm: bool,
    /// Why not; empty where it is.
    why: Text,
    /// What the kernel took of a processor by emulation, in seconds.
    kernel_s: f64,
    /// How many processors of machines each of this host's is, in this run.
    #[serde(skip)]
    shared: f64,
}

impl Acceleration {
    /// Whether machines run on the processor.
    pub fn is_kvm(&self) -> bool {
        self.kvm
    }

    /// Where machines have so many processors, and the host `cores`.
    pub fn shared(self, given: f64, cores: f64) -> Self {
        Self { shared: given / cores.max(1.0), ..self }
    }

    /// By how much budgets are to be stretched, that patience means the same on both.
    pub fn slowness(&self) -> f64 {
        if self.kvm { 1.0 } else { (SHARED.max(self.shared) * self.kernel_s / NATIVE_S).clamp(1.0, MOST) }
    }

    /// What a report says of it.
    pub fn told(&self) -> Text {
        if self.kvm {
            return Text::new(
                "virtual machines run on the processor (KVM)",
                "las máquinas virtuales corren sobre el procesador (KVM)",
            );
        }
        let why = |why: &str| crate::sanitize::line(why.trim_start_matches(QEMU).trim_start_matches(": "), 160);
        let (en, es) = (why(&self.why.en), why(&self.why.es));
        let (slow, s) = (self.slowness(), self.kernel_s);
        Text::new(
            format!(
                "virtual machines are emulated, as KVM starts no ordinary kernel here ({en}): one took {s:.1} s of a processor to start, so every budget is {slow:.1} times as long"
            ),
            format!(
                "las máquinas virtuales se emulan, pues KVM no arranca aquí ningún kernel corriente ({es}): uno tardó {s:.1} s de procesador en arrancar, así que cada plazo es {slow:.1} veces más largo"
            ),
        )
    }
}

/// As it is known of this start of the host, else tried in the lab and kept in `folder`.
///
/// # Errors
/// A kernel does not start by emulation either.
pub(super) async fn of(shell: &dyn Shell, folder: &Path) -> Result<Acceleration, BackendError> {
    let named = shell.must(&Cmd::new([QEMU, "--version"]).timeout(WITHIN)).await?.out();
    let qemu = named.lines().next().unwrap_or_default().to_owned();
    let emulated = format!("max,-{}", guests::DEAR.join(",-"));
    if let Some(known) = known(folder).filter(|known| known.qemu == qemu && known.cpu == emulated) {
        return Ok(known);
    }
    let boot = Owner::this().boot;
    let by_processor = start(shell, "kvm", "host").await?;
    // A busy host may be to blame for that: the next run tries again.
    let sure = !matches!(by_processor, Began::Late(_));
    let (kvm, why) = match by_processor {
        Began::Came(_) => (true, Text::default()),
        Began::Late(why) | Began::Ended(why) => (false, why),
    };
    let kernel_s = match start(shell, "tcg", &emulated).await? {
        Began::Came(took) => took.as_secs_f64(),
        Began::Late(_) | Began::Ended(_) if kvm => NATIVE_S,
        Began::Late(why) | Began::Ended(why) => {
            return Err(BackendError::Other(Text::new(
                format!("no kernel starts in a virtual machine here: {}", why.en),
                format!("aquí ningún kernel arranca en una máquina virtual: {}", why.es),
            )));
        }
    };
    let found = Acceleration { boot, qemu, cpu: emulated, kvm, why, kernel_s, shared: 0.0 };
    // So it does where it cannot be kept.
    if let Some(text) = serde_json::to_vec_pretty(&found).ok().filter(|_| sure) {
        let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(FILE), text));
    }
    Ok(found)
}

/// What an earlier run found since the host's start.
pub fn known(folder: &Path) -> Option<Acceleration> {
    let boot = Owner::this().boot;
    let kept: Acceleration = serde_json::from_slice(&std::fs::read(folder.join(FILE)).ok()?).ok()?;
    (!boot.is_empty() && kept.boot == boot).then_some(kept)
}

/// How the start of a kernel went; what was seen where it did not come to look for its root.
enum Began {
    Came(Duration),
    Late(Text),
    Ended(Text),
}

async fn start(shell: &dyn Shell, accelerator: &str, cpu: &str) -> Result<Began, BackendError> {
    match shell.run(&Cmd::new([STARTS, accelerator, cpu]).timeout(WITHIN)).await {
        Ok(said) if said.out().contains(LAST_WORDS) => Ok(Began::Came(taken(&said.err()).unwrap_or(said.elapsed))),
        Ok(said) => Ok(Began::Ended(last_line(&said))),
        Err(RunError { kind: RunErrorKind::Timeout(after, _), .. }) => {
            let s = after.as_secs();
            Ok(Began::Late(Text::new(
                format!("a kernel was started and had not come to its root after {s} s"),
                format!("se arrancó un kernel y no había llegado a su raíz en {s} s"),
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Of a line such as `lab-kernel: 1.612 + 0.104 s of a processor`.
fn taken(said: &str) -> Option<Duration> {
    let line = said.lines().find_map(|line| line.strip_prefix(TAKEN))?;
    let (user, system) = line.split_once(" s ")?.0.split_once('+')?;
    let s: f64 = user.trim().parse::<f64>().ok()? + system.trim().parse::<f64>().ok()?;
    Duration::try_from_secs_f64(s).ok()
}

fn last_line(said: &Output) -> Text {
    let text = said.err();
    // Nor what the shell there says of how it ended.
    let own = text.lines().rfind(|line| !line.contains(TAKEN) && !line.trim().is_empty()).map(str::to_owned);
    match own.as_deref().or(said.out().trim().lines().next_back()) {
        Some(line) => Text::same(crate::sanitize::line(line, 160)),
        None => Text::new("it said nothing", "no dijo nada"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::scripted::{Reply, Scripted};

    const PANIC: &str = "[    1.7] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n";

    #[tokio::test]
    async fn a_kernel_that_hangs_with_the_processors_help_is_emulated_and_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let refused = "qemu-system-x86_64: failed to set MSR 0x345\nlab-kernel: 0.012 + 0.020 s of a processor";
        let emulated = Reply::Says {
            status: 0,
            stdout: PANIC.to_owned(),
            stderr: "lab-kernel: 1.612 + 0.104 s of a processor\n".to_owned(),
        };
        let replies = vec![Reply::fail(1, refused), emulated];
        let named = |version| vec![Reply::out(format!("QEMU emulator version {version}\nCopyright\n"))];
        let script = Scripted::default().on([QEMU, "--version"], named("7.2")).on([STARTS], replies);
        let found = of(&script, folder.path()).await.unwrap();
        assert!(!found.kvm && found.why.en.contains("MSR"), "{found:?}");
        assert!((found.kernel_s - 1.716).abs() < 1e-9, "of the processor, not of the clock: {found:?}");
        assert_eq!(of(&script, folder.path()).await.unwrap(), found);
        assert_eq!(script.asked().len(), 4, "the second time nothing is started");
        let without = guests::DEAR.iter().all(|dear| found.cpu.contains(&format!(",-{dear}")));
        assert!(without && script.asked().iter().any(|argv| argv.contains(&found.cpu)));
        let other = Scripted::default().on([QEMU, "--version"], named("10.0")).on([STARTS], vec![Reply::out(PANIC)]);
        assert!(of(&other, folder.path()).await.unwrap().kvm, "what another one does is seen anew");
    }

    #[test]
    fn budgets_are_stretched_by_what_was_measured() {
        let of = |kvm, kernel_s| {
            let found = Acceleration {
                boot: "b".into(),
                qemu: String::new(),
                cpu: String::new(),
                kvm,
                why: Text::same("no"),
                kernel_s,
                shared: 0.0,
            };
            let of_four = found.clone().shared(4.0, 2.0).slowness();
            assert!(kvm || of_four == MOST.min(2.0 * kernel_s / NATIVE_S).max(1.0), "{of_four}");
            (found.slowness() * 10.0).round()
        };
        assert_eq!([of(true, 9.0), of(false, 0.1), of(false, 1.6), of(false, 60.0)], [10.0, 10.0, 30.0, MOST * 10.0]);
        let why = Text::same("no KVM");
        let told = Acceleration {
            boot: "b".into(),
            qemu: String::new(),
            cpu: String::new(),
            kvm: false,
            why,
            kernel_s: 1.6,
            shared: 0.5,
        }
        .told();
        assert!(
            told.en.contains("one took 1.6 s of a processor to start, so every budget is 3.0 times as long"),
            "{}",
            told.en
        );
    }
}

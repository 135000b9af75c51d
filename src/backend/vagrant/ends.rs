//! How a virtual machine ends while it is provisioned: its kernel stops, or it is turned off. Nothing that waits for it hears of that; what
//! its kernel says last stands on its serial line, and the rest is the hypervisor's to say.

use std::time::Duration;

use futures_util::future::join_all;

use super::{output, reach};
use crate::backend::Site;
use crate::backend::log::Log;
use crate::exec::Cmd;
use crate::notice::Reason;
use crate::stack::machines::{Machines, Node, Provisioned};
use crate::stack::{Guest, LeftOut, virsh};
use crate::text::Text;

const ASKED: Duration = Duration::from_secs(30);
/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// What every kernel of Linux says last.
const PANIC: &str = "Kernel panic - not syncing: ";
/// What it adds where a command in the machine asked for that.
const ASKED_FOR: &str = "sysrq triggered crash";
/// Bytes of a serial line that are kept.
const LAST: &str = "16384";

/// How a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// With its kernel's last words.
    Panic(String),
    /// With the hypervisor's word for why.
    Off(String),
}

impl End {
    fn why(&self, machine: &str) -> LeftOut {
        let machine = crate::sanitize::line(machine, 80);
        let crashed = |said: &str| {
            Text::new(
                format!("machine {machine} crashed while it was provisioned: {said}"),
                format!("la máquina {machine} se colgó mientras se aprovisionaba: {said}"),
            )
        };
        let off = |said: &str| {
            Text::new(
                format!("machine {machine} was turned off while it was provisioned ({said})"),
                format!("la máquina {machine} se apagó mientras se aprovisionaba ({said})"),
            )
        };
        match self {
            Self::Panic(said) if said.contains(ASKED_FOR) => {
                let Text { en, es } = crashed(&format!("{PANIC}{said}"));
                let text = Text::new(
                    format!("{en}: a command of its provisioning asked for that"),
                    format!("{es}: lo pidió una orden de su aprovisionamiento"),
                );
                LeftOut { reason: None, text }
            }
            // On an emulated processor, or with less memory than was declared, that may be anybody's doing.
            Self::Panic(said) => LeftOut { reason: Some(Reason::Host), text: crashed(&format!("{PANIC}{said}")) },
            // Only what runs in it asks for that.
            Self::Off(said) if said == "shutdown" => LeftOut { reason: None, text: off(said) },
            Self::Off(said) => LeftOut { reason: Some(Reason::Host), text: off(said) },
        }
    }
}

/// Where the lab has what a machine says on its serial line.
pub(super) fn console(domain: &str) -> String {
    format!("/run/imparcial/console-{domain}.log")
}

/// Over when one of them has ended; never where they are containers.
pub(super) async fn any(site: &Site, nodes: &[Node]) {
    if up(nodes).next().is_none() {
        return std::future::pending().await;
    }
    let mut before: Vec<(String, End)> = Vec::new();
    loop {
        tokio::time::sleep(EVERY).await;
        let now = ended(site, nodes).await;
        // One that is off for a moment is started by whoever turned it off.
        if now.iter().any(|end| matches!(end.1, End::Panic(_)) || before.contains(end)) {
            return;
        }
        before = now;
    }
}

/// The virtual machines that were not left out.
fn up(nodes: &[Node]) -> impl Iterator<Item = &Guest> {
    nodes.iter().filter(|node| node.is_up()).filter_map(|node| node.guest.as_deref())
}

/// Which have ended, by the hypervisor's names.
async fn ended(site: &Site, nodes: &[Node]) -> Vec<(String, End)> {
    let domains: Vec<String> = up(nodes).map(|guest| guest.domain.clone()).collect();
    if domains.is_empty() {
        return Vec::new();
    }
    let grep = ["grep", "--text", "--no-messages", "--with-filename", "--max-count=1", "--fixed-strings", PANIC, "--"];
    let files = domains.iter().map(|domain| console(domain));
    // What cannot be asked says nothing: there is a deadline besides.
    let said = site.shell.run(&Cmd::new(grep).args(files).timeout(ASKED)).await.unwrap_or_default();
    let mut all = Vec::new();
    for (domain, end) in panics(&said.out(), &domains) {
        // Who is root in a machine can write its kernel's words.
        let address = up(nodes).find(|guest| guest.domain == domain).map_or("", |guest| guest.address.as_str());
        if !reach::answers(site, address).await {
            all.push((domain, end));
        }
    }
    let listed = site.shell.run(&virsh(&["list", "--all"]).timeout(ASKED)).await.unwrap_or_default();
    for domain in off(&listed.out(), &domains) {
        if all.iter().any(|(known, _)| *known == domain) {
            continue;
        }
        let ask = virsh(&["domstate", "--reason", &domain]).timeout(ASKED);
        let said = site.shell.run(&ask).await.unwrap_or_default().out();
        all.push((domain, End::Off(reason(&said))));
    }
    all
}

/// Of lines such as `/run/imparcial/console-imparcial_a.log:[  312.1] Kernel panic - not syncing: sysrq triggered crash`.
fn panics(said: &str, domains: &[String]) -> Vec<(String, End)> {
    let of = |domain: &String| {
        let from = format!("{}:", console(domain));
        let mut own = said.lines().filter_map(|line| line.strip_prefix(&from));
        let words = own.find_map(|line| line.split_once(PANIC).filter(|(stamp, _)| is_stamp(stamp)))?.1;
        Some((domain.clone(), End::Panic(crate::sanitize::line(words.trim(), 160))))
    };
    domains.iter().filter_map(of).collect()
}

/// What a kernel writes before its words: `[  312.1] `.
fn is_stamp(text: &str) -> bool {
    let inner = text.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim().parse::<f64>().is_ok())
}

/// Of the table that has the columns number, name and state.
fn off(said: &str, domains: &[String]) -> Vec<String> {
    let of = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let name = words.next()?;
        let name = domains.iter().find(|domain| *domain == name)?;
        matches!(words.next()?, "shut" | "crashed").then(|| name.clone())
    };
    said.lines().filter_map(of).collect()
}

/// `shutdown` of `shut off (shutdown)`.
fn reason(said: &str) -> String {
    let said = said.trim();
    let inner = said.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    crate::sanitize::line(inner.map_or(said, |(reason, _)| reason), 60)
}

/// Looks after provisioning which machines are no more, or let nobody in: that is why the provisioning did not come to its end, before
/// anything that is said of it and was not the submission's.
pub(super) async fn after(site: &Site, machines: &mut Machines, done: &mut Provisioned, log: &mut Log) {
    let slower = machines.slower();
    let ended = ended(site, &machines.nodes).await;
    let hung = done.hung.is_some();
    let looks = machines.nodes.iter().map(|node| async { why(site, node, &ended, hung, slower).await });
    let whys: Vec<Option<LeftOut>> = join_all(looks).await;
    for (domain, end) in &ended {
        if let End::Panic(_) = end {
            // It would keep a processor busy for nothing; what it said is in the lab.
            let _ = site.shell.run(&virsh(&["destroy", domain]).timeout(ASKED)).await;
        }
    }
    let own = |why: &Option<LeftOut>| why.as_ref().is_some_and(|left| left.reason.is_none());
    for (node, left) in machines.nodes.iter_mut().zip(whys) {
        let Some(left) = left else { continue };
        // A hang has its cause in this, whatever task it was in.
        if !own(&done.why) && (done.why.is_none() || left.reason.is_none() || hung) {
            done.why = Some(left.clone());
        }
        done.ok = false;
        if let Some(guest) = &node.guest {
            keep(site, node.name(), &guest.domain, log).await;
            // Nothing is seen of it but from inside.
            node.left_out = Some(left);
        }
    }
}

async fn why(site: &Site, node: &Node, ended: &[(String, End)], hung: bool, slower: f64) -> Option<LeftOut> {
    if !node.is_up() {
        return None;
    }
    let address = match (&node.guest, &node.container) {
        (Some(guest), _) => {
            if let Some((_, end)) = ended.iter().find(|(domain, _)| *domain == guest.domain) {
                return Some(end.why(node.name()));
            }
            guest.address.clone()
        }
        // A container is looked at from outside: only whether that is what a hang came from is of interest.
        (None, Some(container)) if hung => {
            let container = site.engine.container(container).await.ok().filter(|container| container.running())?;
            container.addresses.get("bridge").or(container.addresses.values().next())?.clone()
        }
        _ => return None,
    };
    let mut left = reach::of(site, &address, slower).await.why(node.name())?;
    // The file says another way in than the lab's, which is not taken over: it may be open.
    if node.def.way_in && left.reason.is_none() {
        left.reason = Some(Reason::NotHere);
    }
    Some(left)
}

/// The end of what a machine said on its serial line, for the run's folder.
pub(super) async fn keep(site: &Site, machine: &str, domain: &str, log: &mut Log) {
    let read = Cmd::new(["tail", "-c", LAST, &console(domain)]).timeout(ASKED);
    if let Ok(said) = site.shell.run(&read).await
        && said.ok()
    {
        let name = crate::sanitize::line(machine, 60).replace(['/', ' '], "_");
        log.keep(format!("console-{name}.txt"), output::clean(&said.stdout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both() -> Vec<String> {
        ["imparcial_a", "imparcial_ab"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_kernels_last_words_are_its_machines() {
        let said = "/run/imparcial/console-imparcial_ab.log:[  104.207413] Kernel panic - not syncing: sysrq triggered crash\r\n\
                    /run/imparcial/console-imparcial_a.log:someone said: Kernel panic - not syncing: x\n\
                    /run/imparcial/console-imparcial_x.log:[ 1.0] Kernel panic - not syncing: x\n";
        let found = panics(said, &both());
        assert_eq!(found, [("imparcial_ab".to_owned(), End::Panic("sysrq triggered crash".to_owned()))]);
        let left = found[0].1.why("ab");
        assert!(
            left.reason.is_none() && left.text.en.starts_with("machine ab crashed while it was provisioned: "),
            "{left:?}"
        );
        let other = End::Panic("Attempted to kill init! exitcode=0x0000000b".to_owned()).why("ab");
        assert_eq!(other.reason, Some(Reason::Host));
        assert_eq!(panics("", &both()), []);
    }

    #[test]
    fn one_that_is_off_turned_itself_off_or_was_ended() {
        let listed = " Id   Name           State\n-----------------------------\n 1    imparcial_a    running\n \
                      -    imparcial_ab   shut off\n -    other          shut off\n";
        assert_eq!(off(listed, &both()), ["imparcial_ab"]);
        assert_eq!(off(" 2    imparcial_a    paused\n 3   imparcial_ab   crashed\n", &both()), ["imparcial_ab"]);
        assert_eq!((reason("shut off (shutdown)\n\n").as_str(), reason("\n").as_str()), ("shutdown", ""));
        assert_eq!(End::Off("shutdown".to_owned()).why("a").reason, None);
        for ours in ["crashed", "destroyed", "failed", ""] {
            assert_eq!(End::Off(ours.to_owned()).why("a").reason, Some(Reason::Host), "{ours}");
        }
    }
}

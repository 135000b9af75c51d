//! Whose fault it is that machines are not provisioned, read from what ran.
//!
//! Pure. What may be the stand-in's, the host's, the network's or time's is undecided, and says which task it was; a task
//! that broke for a reason of its own is the submission's, unless an undecided one before it may have led to it.

mod output;
mod said;
mod task;

use crate::notice::Reason;
use crate::sanitize;
use crate::stack::LeftOut;
use crate::stack::machines::{Node, Playbook, Provisioned, Task};
use crate::text::Text;

/// What is known of a run of the provisioners.
pub struct Seen<'s> {
    pub nodes: &'s [Node],
    pub provisioned: &'s Provisioned,
    /// Whether the delivery is more than half a year old; none where nobody knows.
    pub old: Option<bool>,
    /// The same provisioners once more: that nothing changes is then as it should be.
    pub again: bool,
}

impl Seen<'_> {
    fn node(&self, host: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name() == host)
    }

    /// Whether a host is of another family than its box.
    fn other_family(&self, host: &str) -> bool {
        self.holds_of(host, |node| node.other_family)
    }

    fn stands_in(&self, host: &str) -> bool {
        self.holds_of(host, |node| node.stand_in.is_some())
    }

    /// Of a host that is no machine by name, whether it holds of any machine.
    fn holds_of(&self, host: &str, is: impl Fn(&Node) -> bool) -> bool {
        self.node(host).map_or_else(|| self.nodes.iter().any(&is), &is)
    }

    fn declares_ansible(&self) -> bool {
        self.nodes.iter().any(|node| node.def.provisioners.iter().any(|provisioner| provisioner.is_ansible()))
    }

    fn own_inventory(&self) -> bool {
        self.nodes.iter().flat_map(|node| &node.def.provisioners).any(|provisioner| provisioner.inventory.is_some())
    }
}

/// A command that says nothing for so long, in seconds, waits for what does not come.
const HANGS_S: f64 = 60.0;

/// What a failure comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// None: the submission's fault.
    reason: Option<Reason>,
    /// Nothing that went before can have led to it.
    certain: bool,
    because: Text,
}

impl Verdict {
    fn own(because: Text) -> Self {
        Self { reason: None, certain: false, because }
    }

    fn certain(because: Text) -> Self {
        Self { reason: None, certain: true, because }
    }

    fn undecided(reason: Reason, because: Text) -> Self {
        Self { reason: Some(reason), certain: false, because }
    }
}

/// Why the machines are not provisioned: none where they are. Of shell alone, none where Vagrant had no complaint.
pub fn why(seen: &Seen<'_>) -> Option<LeftOut> {
    let run = seen.provisioned;
    let broken = run.plays.iter().find_map(|playbook| of_playbook(playbook, seen));
    let own = run.plays.iter().filter_map(|playbook| of_playbook(playbook, seen)).find(|left| left.reason.is_none());
    if let Some(left) = own.or(broken) {
        return Some(left);
    }
    if let Some(hung) = &run.hung {
        // A second run has less time than the first had.
        return Some(of_hang(hung, seen));
    }
    let said = output::of(&run.output, seen);
    if !run.ok {
        return Some(said.unwrap_or_else(unexplained));
    }
    if !seen.declares_ansible() && run.plays.is_empty() {
        return None;
    }
    if let Some(left) = unwritten(seen) {
        return Some(left);
    }
    if let Some(left) = run.plays.iter().all(|playbook| playbook.tasks.is_empty()).then_some(said).flatten() {
        return Some(left);
    }
    if let Some(playbook) = run.plays.iter().find(|playbook| !playbook.ended) {
        let file = shown(&playbook.file);
        return Some(LeftOut {
            reason: Some(Reason::Host),
            text: Text::new(
                format!("the playbook {file} began, and nothing was heard of its end"),
                format!("el playbook {file} empezó y no se supo de su final"),
            ),
        });
    }
    if seen.again { None } else { changed_nothing(seen) }
}

/// A machine of its own box that is its own controller: what its plays do is written down by a program that boxes have not.
fn unwritten(seen: &Seen<'_>) -> Option<LeftOut> {
    let node = seen.nodes.iter().find(|node| node.taken.is_some() && node.def.is_controller())?;
    let name = shown(node.name());
    let text = Text::new(
        format!(
            "{name} is of its own box, where nobody writes down what `ansible_local` does: `--boxes stand-in` does"
        ),
        format!("{name} es de su propio box, donde nadie anota lo que hace `ansible_local`: con `--boxes stand-in` sí"),
    );
    Some(LeftOut { reason: Some(Reason::NotHere), text })
}

/// Why nothing changed, where nothing did.
fn changed_nothing(seen: &Seen<'_>) -> Option<LeftOut> {
    let plays = &seen.provisioned.plays;
    let on_machines = || plays.iter().flat_map(|playbook| &playbook.tasks).filter(|task| task.on_machine);
    if on_machines().any(|task| really_changed(task) || task.provided) {
        return None;
    }
    if let Some(task) = on_machines().find(|task| skipped_for_family(task, seen)) {
        let why = Text::new(
            format!("it is for another system than the node that stands in (`{}`)", condition(task)),
            format!("es para otro sistema que el del nodo sustituto (`{}`)", condition(task)),
        );
        return Some(left_out(task, Verdict::undecided(Reason::StandIn, why), "was skipped", "se omitió"));
    }
    let undecided = |task: &&Task| task.status == "failed" && task::of(task, seen).reason.is_some();
    if let Some(task) = on_machines().find(undecided) {
        return Some(failed(task, task::of(task, seen)));
    }
    let nobody = plays.iter().flat_map(|playbook| &playbook.nobody).next();
    let text = match (on_machines().next(), nobody) {
        (Some(_), _) => Text::new(
            "the playbook ran and changed nothing on any machine",
            "el playbook corrió y no cambió nada en ninguna máquina",
        ),
        (None, Some(play)) => Text::new(
            format!("the play `{}` matches no machine: no task ran", shown(play)),
            format!("el play `{}` no corresponde a ninguna máquina: no corrió ninguna tarea", shown(play)),
        ),
        (None, None) if plays.is_empty() => Text::new("no playbook ran", "no corrió ningún playbook"),
        (None, None) => Text::new(
            "the playbook ran no task on any machine",
            "el playbook no corrió ninguna tarea en ninguna máquina",
        ),
    };
    Some(LeftOut { reason: None, text })
}

/// Tasks that changed something in a second run, as Ansible counts: the first's work was not done once for all.
pub fn changed_again(second: &[Playbook]) -> Vec<&Task> {
    let all = second.iter().flat_map(|playbook| &playbook.tasks);
    all.filter(|task| task.on_machine && task.status == "changed").collect()
}

/// Whether something changed that was more than a line printed.
fn really_changed(task: &Task) -> bool {
    let prints = matches!(task.short_module(), "command" | "shell" | "raw")
        && task.command.as_deref().is_some_and(task::only_prints);
    // These change the run's own memory, or a file of the controller's.
    let elsewhere = matches!(task.short_module(), "fetch" | "add_host" | "group_by" | "set_fact");
    task.status == "changed" && !prints && !elsewhere
}

/// The first task of a playbook that broke it, with the submission's own before any other.
fn of_playbook(playbook: &Playbook, seen: &Seen<'_>) -> Option<LeftOut> {
    let failed_at_all = playbook.hosts.iter().any(|host| host.failed + host.unreachable > 0);
    if playbook.ended && !failed_at_all {
        // A rescue or `ignore_errors` that only the recap knows of.
        return None;
    }
    let broke: Vec<(usize, &Task)> = playbook.tasks.iter().enumerate().filter(|(_, task)| task.broke()).collect();
    let judged = broke.iter().map(|(index, task)| (*task, in_context(*index, playbook, seen)));
    let judged: Vec<(&Task, Verdict)> = judged.collect();
    let first = judged.iter().find(|(_, verdict)| verdict.reason.is_none()).or(judged.first())?;
    Some(failed(first.0, first.1.clone()))
}

/// What a task's failure comes to, where an earlier one that could not be decided may have led to it.
fn in_context(index: usize, playbook: &Playbook, seen: &Seen<'_>) -> Verdict {
    let task = &playbook.tasks[index];
    let verdict = task::of(task, seen);
    if verdict.reason.is_some() || verdict.certain {
        return verdict;
    }
    // Of the playbooks before it too: each machine may have one of its own.
    let others = seen.provisioned.plays.iter().take_while(|other| !std::ptr::eq(*other, playbook));
    let before = others.flat_map(|other| &other.tasks).chain(&playbook.tasks[..index]);
    let earlier = { before }.find_map(|before| {
        if skipped_for_family(before, seen) {
            return Some((before, Reason::StandIn));
        }
        let bad = matches!(before.status.as_str(), "failed" | "unreachable");
        bad.then(|| task::of(before, seen).reason).flatten().map(|reason| (before, reason))
    });
    let Some((before, reason)) = earlier else { return verdict };
    let (name, at) = (shown(&before.name), place(before));
    let because = Text::new(
        format!("the task `{name}`{at} before it, which could not be done here, may have led to it"),
        format!("la tarea `{name}`{at} anterior, que aquí no se pudo hacer, puede haberlo causado"),
    );
    Verdict::undecided(reason, because)
}

/// Skipped by a condition on the system, on a machine whose stand-in is of another one.
fn skipped_for_family(task: &Task, seen: &Seen<'_>) -> bool {
    let asks = [
        "ansible_os_family",
        "ansible_distribution",
        "ansible_pkg_mgr",
        "os_family",
        "['distribution",
        ".distribution",
    ];
    task.status == "skipped"
        && seen.other_family(&task.host)
        && task.when.as_deref().is_some_and(|when| asks.iter().any(|fact| when.contains(fact)))
}

fn of_hang(hung: &str, seen: &Seen<'_>) -> LeftOut {
    let begun = seen.provisioned.plays.iter().flat_map(|playbook| &playbook.unfinished).next_back();
    let Some(task) = begun else {
        let text = Text::new(
            format!("provisioning had not ended when its time was over; {}", sanitize::line(hung, 300)),
            format!("el aprovisionamiento no había terminado cuando se acabó su tiempo; {}", sanitize::line(hung, 300)),
        );
        return LeftOut { reason: Some(Reason::Host), text };
    };
    let runs = matches!(task.short_module(), "command" | "shell" | "raw");
    // What a script does inside, nobody here can tell.
    let waits = task.short_module() == "pause" || (runs && task.command.as_deref().is_some_and(task::only_waits));
    // One that had only just begun was kept from its end by those before it, or by a slow host.
    let long = seen.provisioned.ended_s - task.at_s >= HANGS_S;
    let verdict = if waits && long && !seen.again && !task::fetches(task) {
        Verdict::own(Text::new("it waits for what does not come", "espera algo que no llega"))
    } else {
        let why = Text::new(
            "what it waits for may be the network's, the stand-in's or the host's",
            "lo que espera puede ser cosa de la red, del sustituto o del anfitrión",
        );
        Verdict::undecided(Reason::Host, why)
    };
    left_out(task, verdict, "had not ended when the time was over", "no había terminado cuando se acabó el tiempo")
}

fn failed(task: &Task, verdict: Verdict) -> LeftOut {
    match task.status.as_str() {
        "unreachable" => left_out(task, verdict, "did not reach its host", "no llegó a su máquina"),
        _ => left_out(task, verdict, "failed", "falló"),
    }
}

/// The sentence: task, module, place, host, what it said, and why.
fn left_out(task: &Task, verdict: Verdict, en: &str, es: &str) -> LeftOut {
    let (name, module, host, at) = (shown(&task.name), shown(task.short_module()), shown(&task.host), place(task));
    // Of one that was skipped the condition says all.
    let said = if task.status == "skipped" { String::new() } else { sanitize::line(own_words(&task.message), 300) };
    let said = if said.is_empty() { String::new() } else { format!(" ({said})") };
    let (why_en, why_es) = (verdict.because.en, verdict.because.es);
    LeftOut {
        reason: verdict.reason,
        text: Text::new(
            format!("the task `{name}`{at}, module `{module}`, {en} on `{host}`{said}: {why_en}"),
            format!("la tarea `{name}`{at}, módulo `{module}`, {es} en `{host}`{said}: {why_es}"),
        ),
    }
}

fn place(task: &Task) -> String {
    task.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default()
}

/// What a task said, without the place that Ansible adds: it is that of our copy, and the sentence has the submission's.
fn own_words(message: &str) -> &str {
    message.split_once("The error appears to be in").map_or(message, |(before, _)| before).trim_end()
}

fn condition(task: &Task) -> String {
    sanitize::line(task.when.as_deref().unwrap_or_default(), 120)
}

fn shown(text: &str) -> String {
    sanitize::line(text, 120)
}

fn unexplained() -> LeftOut {
    let text = Text::new(
        "Vagrant could not provision the machines, and nothing that it printed says whose doing it is",
        "Vagrant no pudo aprovisionar las máquinas, y nada de lo que imprimió dice por culpa de quién",
    );
    LeftOut { reason: Some(Reason::Host), text }
}

#[cfg(test)]
mod tests;

//! The machines that a run of the plan would bring up: each box with what serves for it, and how much memory they have together.

use crate::backend::swarm;
use crate::backend::vagrant::boxes::Boxes;
use crate::backend::vagrant::{self, Provider, acceleration, budget};
use crate::lab::setup;
use crate::plan::{Place, Plan};
use crate::probe::{MACHINES, SERVICES};
use crate::scenario::On;
use crate::scenario::units::show_bytes;
use crate::submission::machines::boxes::{self, Served};
use crate::submission::machines::{Loaded, MachineDef};
use crate::text::{Lang, Text};

/// Rows of the plan's head; none where no machine is asked for.
pub(super) fn rows(plan: &Plan, lang: Lang) -> Vec<(String, String)> {
    if !plan.wants(MACHINES) {
        return Vec::new();
    }
    let name = || Text::new("machines", "máquinas").get(lang).to_owned();
    let row = |text: Text| (name(), text.get(lang).to_owned());
    let Some(file) = &plan.submission.vagrantfile else {
        return vec![row(Text::new("no Vagrantfile was handed in", "no se entregó ningún Vagrantfile"))];
    };
    let machines = match &file.loaded {
        Loaded::Machines(machines) if machines.is_empty() => {
            return vec![row(Text::new("the Vagrantfile defines none", "el Vagrantfile no define ninguna"))];
        }
        Loaded::Machines(machines) => machines,
        Loaded::Refused { text, .. } | Loaded::Unknown { text, .. } => return vec![row(text.clone())],
        Loaded::NotYet => return vec![row(Text::new("the Vagrantfile was not read", "no se leyó el Vagrantfile"))],
    };
    if plan.options.provider == Provider::VirtualBox {
        let started: Vec<&str> = machines.iter().filter(|it| it.autostart).map(|it| it.name.as_str()).collect();
        let names = started.join(", ");
        return vec![row(Text::new(
            format!(
                "this host's own Vagrant and VirtualBox bring up, of the boxes and sizes that the file says: {names}"
            ),
            format!(
                "el Vagrant y el VirtualBox de este anfitrión levantan, con los boxes y tamaños que dice el archivo: {names}"
            ),
        ))];
    }
    if plan.options.place != Place::Lab {
        let text = Text::new("none: they are brought up in a lab only", "ninguna: solo se levantan en un laboratorio");
        return vec![row(text)];
    }
    let guests = plan.options.provider == Provider::Libvirt;
    let boxes = guests.then_some(plan.options.boxes.from);
    let mut all: Vec<_> = grouped(machines).into_iter().map(|(names, node)| row(served(&names, node, boxes))).collect();
    all.extend(memory(machines, guests).map(row));
    all.extend(budget::clamped(machines, cores()).map(|notice| row(notice.text)));
    if guests {
        all.extend(virtual_machines(plan, machines).into_iter().map(row));
    }
    all.extend(ingress(plan).map(row));
    let asked = plan.submission.notices.iter().filter(|notice| notice.id.starts_with("machines."));
    all.extend(asked.map(|notice| row(notice.text.clone())));
    all
}

/// What of a Swarm file this kernel cannot do, which the lab shares with this host where the engine is its own.
fn ingress(plan: &Plan) -> Option<Text> {
    let file = plan.submission.compose.as_ref().filter(|file| swarm::is_for_swarm(file))?;
    let here = plan.wants(SERVICES) && plan.scenario.serving.on != On::Lab && plan.options.provider == Provider::Docker;
    let services = swarm::needs_ingress(file);
    if !here || services.is_empty() || std::path::Path::new("/proc/net/ip_vs").exists() {
        return None;
    }
    let names = services.join(", ");
    Some(Text::new(
        format!(
            "this kernel has no IP_VS: {names} would run without one address, and a port of every node, of a swarm"
        ),
        format!(
            "este kernel no tiene IP_VS: {names} correría sin la dirección única, y sin el puerto de todos los nodos, de un swarm"
        ),
    ))
}

/// Machines of one box together, in the file's order: `centos/7`, and what serves for it.
fn grouped(machines: &[MachineDef]) -> Vec<(Vec<&str>, (String, Served))> {
    let mut groups: Vec<(Vec<&str>, (String, Served))> = Vec::new();
    for machine in machines.iter().filter(|machine| machine.autostart) {
        let node = (machine.boxed.clone().unwrap_or_default(), boxes::of_machine(machine));
        match groups.iter_mut().find(|(_, known)| *known == node) {
            Some((names, _)) => names.push(&machine.name),
            None => groups.push((vec![&machine.name], node)),
        }
    }
    groups
}

/// With virtual machines, and where their boxes come from.
fn served(names: &[&str], (boxed, served): (String, Served), boxes: Option<Boxes>) -> Text {
    let names = names.join(", ");
    let boxed = if boxed.is_empty() { Text::new("no box", "sin box") } else { Text::same(boxed) };
    let node = match served {
        Served::Node(entry) => match boxes {
            None => Text::same(entry.version),
            Some(from) => of_catalogue(from, &vagrant::in_a_guest(&entry.version)),
        },
        Served::NoContainer => {
            Text::new("no machine of a lab can be it", "ninguna máquina de un laboratorio puede serlo")
        }
        Served::NoSuchBox => Text::new("no box is called that", "ningún box se llama así"),
    };
    Text::new(format!("{names}: {} → {}", boxed.en, node.en), format!("{names}: {} → {}", boxed.es, node.es))
}

/// A plan asks nobody.
fn of_catalogue(from: Boxes, stand_in: &str) -> Text {
    match from {
        Boxes::StandIn => Text::same(stand_in),
        Boxes::Pull => Text::new(
            "itself, where a catalogue has it for libvirt; else undecided (`--boxes pull`)",
            "el propio box, si un catálogo lo tiene para libvirt; si no, queda sin decidir (`--boxes pull`)",
        ),
        Boxes::Auto => Text::new(
            format!("itself, where a catalogue has it for libvirt; else {stand_in}"),
            format!("el propio box, si un catálogo lo tiene para libvirt; si no, {stand_in}"),
        ),
    }
}

/// What they are declared to have together; those that declare nothing are said.
fn memory(machines: &[MachineDef], guests: bool) -> Option<Text> {
    let started: Vec<&MachineDef> = machines.iter().filter(|machine| machine.autostart).collect();
    let declared: Vec<u64> = started.iter().filter_map(|machine| machine.memory_bytes).collect();
    if started.is_empty() {
        return Some(Text::new("`vagrant up` starts none of them", "`vagrant up` no inicia ninguna"));
    }
    let (sum, open) =
        (show_bytes(declared.iter().fold(0, |sum, it| sum.saturating_add(*it))), started.len() - declared.len());
    let open = match open {
        0 => Text::default(),
        _ => Text::new(format!(", and {open} that declare none"), format!(", y {open} que no declaran ninguna")),
    };
    let count = started.len();
    if guests {
        return Some(Text::new(
            format!("virtual machines: {count}, with {sum} of memory{}", open.en),
            format!("máquinas virtuales: {count}, con {sum} de memoria{}", open.es),
        ));
    }
    Some(Text::new(
        format!("container nodes, not virtual machines: {count}, with {sum} of memory{}", open.en),
        format!("nodos en contenedores, no máquinas virtuales: {count}, con {sum} de memoria{}", open.es),
    ))
}

/// By how much every time of a run is longer than what is written, where machines are emulated and that was measured.
pub(super) fn stretch(plan: &Plan) -> Option<Text> {
    let file = plan.submission.vagrantfile.as_ref().filter(|_| plan.options.provider == Provider::Libvirt)?;
    let Loaded::Machines(machines) = &file.loaded else { return None };
    let by =
        measured(machines).filter(|_| plan.wants(MACHINES)).map(|known| known.slowness()).filter(|by| *by > 1.0)?;
    Some(Text::new(
        format!("{by:.1} times that here, where machines are emulated"),
        format!("aquí, con máquinas emuladas, {by:.1} veces eso"),
    ))
}

/// What an earlier run found of this host, for these machines.
fn measured(machines: &[MachineDef]) -> Option<acceleration::Acceleration> {
    let cores = cores();
    acceleration::known(&setup::state()).map(|known| known.shared(budget::processors(machines, cores), cores))
}

/// What they take of this host's memory, whether it has that, and how much slower they are than what times were written for.
fn virtual_machines(plan: &Plan, machines: &[MachineDef]) -> Vec<Text> {
    let mut all = Vec::new();
    let known = measured(machines);
    let cap = plan.options.machine_memory_cap;
    let budget = budget::of(machines, known.as_ref().is_some_and(acceleration::Acceleration::is_kvm), cap);
    all.extend(memory_left().map(|free| budget.refused(free).unwrap_or_else(|| fits(budget.needed, free))));
    all.extend(cap.and_then(|cap| budget::capped(machines, cap)));
    all.push(known.map_or_else(
        || {
            Text::new(
                "whether the processor helps is tried by the first run; where it does not, every time is given more, by what was measured",
                "si el procesador ayuda lo prueba la primera ejecución; si no, se da más tiempo a todo, según lo medido",
            )
        },
        |known| known.told(),
    ));
    all
}

/// Bytes of this host's memory that are free.
fn memory_left() -> Option<u64> {
    budget::available(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// That none of them is begun, for want of memory: only virtual machines take all that they declare.
pub(super) fn none_begun(plan: &Plan) -> Option<Text> {
    let file = plan.submission.vagrantfile.as_ref().filter(|_| plan.options.provider == Provider::Libvirt)?;
    let Loaded::Machines(machines) = &file.loaded else { return None };
    // Where that was not tried yet, the processor may help, and they need less.
    let kvm = measured(machines).is_none_or(|known| known.is_kvm());
    budget::of(machines, kvm, plan.options.machine_memory_cap).refused(memory_left()?).map(|_| {
        Text::new("no machine is begun, for want of memory", "no se inicia ninguna máquina, por falta de memoria")
    })
}

/// A lab has as many processors as this host.
fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

fn fits(needed: u64, available: u64) -> Text {
    let [needed, available] = [needed, available].map(budget::gib);
    Text::new(
        format!("they need {needed} of this host's memory, and {available} are free"),
        format!("necesitan {needed} de la memoria de este anfitrión, y hay {available} libres"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(name: &str, boxed: &str, memory: Option<u64>) -> MachineDef {
        MachineDef {
            name: name.to_owned(),
            boxed: Some(boxed.to_owned()),
            autostart: true,
            memory_bytes: memory,
            ..MachineDef::default()
        }
    }

    #[test]
    fn machines_are_told_by_their_box_and_their_memory_is_added() {
        let mut all = vec![
            machine("m", "centos/7", Some(512 << 20)),
            machine("w1", "mi caja", None),
            machine("w2", "centos/7", Some(1 << 30)),
            machine("off", "centos/7", Some(8 << 30)),
        ];
        all[3].autostart = false;
        let said: Vec<_> = grouped(&all).into_iter().map(|(names, node)| served(&names, node, None).en).collect();
        assert_eq!(said, ["m, w2: centos/7 → Debian 12 container", "w1: mi caja → no box is called that"]);
        let memory = memory(&all, false).unwrap();
        assert!(memory.en.ends_with(": 3, with 1536MiB of memory, and 1 that declare none"), "{}", memory.en);
        assert!(memory.es.ends_with(": 3, con 1536MiB de memoria, y 1 que no declaran ninguna"), "{}", memory.es);
    }
}

//! What one task's failure comes to, by what it said (`said`).

use std::net::IpAddr;

use super::said::{
    ABSENT, ABSENT_FILE, CONTAINED, DISK, FACT, FETCHES, FETCHING, KILLED, LACKING, LIBRARY, NO_PROGRAM, NOT_MET,
    OF_A_SYSTEM, OF_CENTOS, PARAMETERS, PARTITIONS, PROGRAMS, REMOVED, SERVICE, STARTING, SYNCED, UNDEFINED, UNFETCHED,
    URL, WRITTEN_WRONG,
};
use super::{Seen, Verdict};
use crate::backend::blame;
use crate::notice::Reason;
use crate::stack::machines::Task;
use crate::text::Text;

/// Whether a command does no more than print: it changes nothing, whatever Ansible counts.
pub(super) fn only_prints(command: &str) -> bool {
    let plain = !command.contains(['>', '`']) && !command.contains("$(");
    let prints = |part: &str| {
        let first = part.split_whitespace().next().unwrap_or_default();
        let first = first.rsplit('/').next().unwrap_or(first);
        first.is_empty() || PRINTERS.contains(&first)
    };
    plain && command.split(['|', ';', '&', '\n']).all(prints)
}

/// Programs that print and do nothing else.
const PRINTERS: [&str; 14] =
    ["echo", "printf", "true", ":", "hostname", "date", "uname", "whoami", "id", "ls", "cat", "pwd", "uptime", "sleep"];

/// Whether a command only waits, however long: a sleep, a file that is followed, a loop until something is so.
pub(super) fn only_waits(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or_default();
    let follows = first == "tail" && command.split_whitespace().any(|word| matches!(word, "-f" | "-F" | "--follow"));
    follows || matches!(first, "sleep" | "until" | "while" | "read" | "cat" | "yes")
}

/// Whether a task waits for the network.
pub(super) fn fetches(task: &Task) -> bool {
    FETCHING.contains(&task.short_module()) || task.command.as_deref().is_some_and(|command| FETCHES.is_match(command))
}

/// Whose fault the failure of a task is, taken by itself.
pub(super) fn of(task: &Task, seen: &Seen<'_>) -> Verdict {
    let all = format!("{}\n{}", task.message, task.command.as_deref().unwrap_or_default());
    if task.status == "unreachable" {
        return unreachable(task, seen);
    }
    let written = written(task, seen);
    // What a task registered lacks a part where the task was skipped, for what another one found on a machine too slow.
    let wherever = written.is_some() && !LACKING.is_match(&task.message);
    let verdict = written
        .or_else(|| on_another_system(task, seen))
        .or_else(|| stood_in(task, seen))
        .or_else(|| disk(&all, task, seen))
        .or_else(|| network(task, &all))
        .or_else(|| system(task, &all, seen))
        .unwrap_or_else(|| own(task));
    if verdict.reason.is_some() || verdict.certain {
        return verdict;
    }
    let not_as_declared = away(seen).or_else(|| if wherever { None } else { emulated(seen) });
    not_as_declared.unwrap_or(verdict)
}

/// A machine that is not there, for no fault of the submission's.
fn away(seen: &Seen<'_>) -> Option<Verdict> {
    let away = seen.nodes.iter().find_map(|node| Some((node, node.left_out.as_ref()?.reason?)));
    away.map(|(node, reason)| {
        let name = super::shown(node.name());
        let why = Text::new(
            format!("machine {name} was not there, and the task may have needed it"),
            format!("la máquina {name} no estaba, y la tarea pudo necesitarla"),
        );
        Verdict::undecided(reason, why)
    })
}

/// Virtual machines that may be emulated, with a copy of each synced folder of their own.
fn emulated(seen: &Seen<'_>) -> Option<Verdict> {
    seen.nodes.iter().any(|node| node.guest.is_some()).then(|| {
        let why = Text::new(
            "virtual machines in the lab may be slower than what it was written for, and have copies of their synced folders",
            "las máquinas virtuales del laboratorio pueden ser más lentas que aquellas para las que se escribió, y tienen copias de sus carpetas sincronizadas",
        );
        Verdict::undecided(Reason::StandIn, why)
    })
}

/// Nothing that is not the submission's explains it.
fn own(task: &Task) -> Verdict {
    if let Some(found) = SYNCED.captures(&task.message) {
        let path = super::shown(&found[1]);
        return Verdict::own(Text::new(
            format!("{path} is not on the machine: is its folder synced, and the file handed in?"),
            format!("{path} no está en la máquina: ¿se sincroniza su carpeta y se entregó el archivo?"),
        ));
    }
    Verdict::own(Text::new("nothing but the task itself explains it", "nada lo explica más que la propia tarea"))
}

/// A mistake that is the same wherever it runs.
fn written(task: &Task, seen: &Seen<'_>) -> Option<Verdict> {
    let said = &task.message;
    if UNDEFINED.is_match(said) {
        if FACT.is_match(said) {
            let why =
                Text::new("a fact that a container node does not have", "un dato que un nodo contenedor no tiene");
            return Some(Verdict::undecided(Reason::StandIn, why));
        }
        let why = Text::new("it uses a variable that is not defined", "usa una variable que no está definida");
        // What a task that was skipped would have registered is not defined either.
        return Some(Verdict::own(why));
    }
    if ABSENT_FILE.is_match(said) {
        let why = Text::new("there is no such file in the submission", "ese archivo no está en la entrega");
        return Some(Verdict::certain(why));
    }
    if WRITTEN_WRONG.is_match(said) {
        return Some(Verdict::certain(Text::new("the play itself is wrong", "el propio play está mal")));
    }
    if REMOVED.is_match(said) {
        return Some(removed(seen));
    }
    if !PARAMETERS.is_match(said) {
        return None;
    }
    // Ansible's own modules take what they took; those of collections were raised by years.
    let collected = !task.module.starts_with("ansible.builtin.");
    match seen.old {
        Some(true) => Some(removed(seen)),
        None if collected => Some(removed(seen)),
        _ => Some(Verdict::certain(Text::new("its parameters are wrong", "sus parámetros están mal"))),
    }
}

/// Something that Ansible had and has no more.
pub(super) fn removed(seen: &Seen<'_>) -> Verdict {
    if seen.old == Some(true) {
        let why = Text::new("Ansible has changed since this was handed in", "Ansible cambió desde que se entregó");
        return Verdict::undecided(Reason::Age, why);
    }
    let why = Text::new("another version of Ansible may know it", "otra versión de Ansible puede conocerlo");
    Verdict::undecided(Reason::StandIn, why)
}

/// A module of CentOS on a box that is none: the same on a real one.
fn on_another_system(task: &Task, seen: &Seen<'_>) -> Option<Verdict> {
    let wrong = matches!(task.short_module(), "yum" | "dnf" | "rpm_key" | "yum_repository");
    let declared = seen.node(&task.host)?;
    (wrong && !declared.other_family && declared.stand_in.is_some()).then(|| {
        let name = declared.def.boxed.as_deref().map(super::shown).unwrap_or_default();
        Verdict::certain(Text::new(format!("the box `{name}` has no yum"), format!("la box `{name}` no tiene yum")))
    })
}

/// What our own stand-ins say of themselves, and what was taken out of them.
fn stood_in(task: &Task, seen: &Seen<'_>) -> Option<Verdict> {
    if seen.stands_in(&task.host) && task.message.contains("geo-replication") {
        return Some(stand_in("the stand-in has no geo-replication", "el sustituto no tiene geo-replicación"));
    }
    let ours = task.message.contains("imparcial:") && !task.message.contains("has to be run under the root user");
    if !ours {
        return None;
    }
    if blame::network_line(&task.message).is_some() {
        return Some(unfetched());
    }
    Some(stand_in(
        "the node, a Debian container, has no counterpart of it",
        "el nodo, un contenedor Debian, no tiene su equivalente",
    ))
}

fn stand_in(en: &str, es: &str) -> Verdict {
    Verdict::undecided(Reason::StandIn, Text::new(en, es))
}

fn unfetched() -> Verdict {
    let why = Text::new(
        "what it fetches could not be had from here, or is there no more",
        "lo que descarga no se pudo obtener desde aquí, o ya no está",
    );
    Verdict::undecided(Reason::Host, why)
}

fn disk(all: &str, task: &Task, seen: &Seen<'_>) -> Option<Verdict> {
    let of_disk = |line: &&str| DISK.is_match(line) && ABSENT.is_match(line);
    let absent = task.message.lines().any(|line| of_disk(&line));
    let shown: Vec<(String, bool)> =
        DISK.captures_iter(all).map(|c| (format!("/dev/{}", &c[1]), c.get(2).is_some())).collect();
    let of_system = |name: &str| name == "/dev/sda" || name == "/dev/hda" || name == "/dev/vda";
    let node = seen.node(&task.host);
    let has = |name: &str| node.is_none_or(|node| node.disks.iter().any(|disk| disk.device == name));
    if shown.iter().any(|(name, _)| of_system(name)) && absent {
        return Some(stand_in(
            "the system's own disk is none of a container node's",
            "el disco del propio sistema no lo tiene un nodo contenedor",
        ));
    }
    if PARTITIONS.is_match(all) || shown.iter().any(|(name, part)| *part && has(name)) {
        return Some(stand_in(
            "partitions of a disk may have no device on a container node",
            "las particiones de un disco pueden no tener dispositivo en un nodo contenedor",
        ));
    }
    let Some((wrong, _)) = shown.iter().find(|(name, _)| !has(name)) else {
        let why = Text::new("a declared disk is not on its node", "un disco declarado no está en su nodo");
        return (absent && !shown.is_empty()).then(|| Verdict::undecided(Reason::Host, why));
    };
    absent.then(|| {
        let why = Text::new(
            format!("the machine's declared disks are not at {wrong}"),
            format!("los discos declarados de la máquina no están en {wrong}"),
        );
        Verdict::certain(why)
    })
}

/// What could not be fetched. Services of the submission's own are no network.
fn network(task: &Task, all: &str) -> Option<Verdict> {
    let hosts: Vec<&str> = URL.captures_iter(all).filter_map(|c| c.get(1)).map(|m| m.as_str()).collect();
    if !hosts.is_empty() && hosts.iter().all(|host| is_near(host)) {
        return None;
    }
    if task.message.contains("Cannot connect to the Docker daemon") {
        return None;
    }
    let named = blame::network_line(&task.message).or_else(|| blame::unpulled_line(&task.message)).is_some();
    let unfetched_there = fetches(task) && (named || UNFETCHED.is_match(&task.message));
    // `Connection timed out` of a task that asks its own machines is theirs.
    let resolving = task.message.contains("Could not resolve host") || task.message.contains("Temporary failure");
    (unfetched_there || resolving).then(unfetched)
}

/// An address of the submission's own: loopback, private, or a bare name.
fn is_near(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_unspecified(),
        Ok(IpAddr::V6(address)) => address.is_loopback(),
        Err(_) => !host.contains('.'),
    }
}

/// What the node is not: a machine with a kernel of its own, a CentOS.
fn system(task: &Task, all: &str, seen: &Seen<'_>) -> Option<Verdict> {
    let said = &task.message;
    if OF_A_SYSTEM.contains(&task.short_module()) || CONTAINED.is_match(said) {
        return Some(stand_in(
            "a container node cannot do it as a machine can",
            "un nodo contenedor no puede hacerlo como una máquina",
        ));
    }
    if blame::host_line(said).or_else(|| blame::disk_line(said)).is_some() {
        let why = Text::new("these are the host's limits", "son los límites del anfitrión");
        return Some(Verdict::undecided(Reason::Host, why));
    }
    if NOT_MET.is_match(said) {
        let en = "the machines of the volume had not met yet: on a busy host they take longer";
        let why =
            Text::new(en, "las máquinas del volumen aún no se habían encontrado: en un anfitrión ocupado tardan más");
        return Some(Verdict::undecided(Reason::Host, why));
    }
    let runs = matches!(task.short_module(), "command" | "shell" | "raw" | "script");
    if !runs && (said.contains("MODULE FAILURE") || said.contains("AttributeError: ")) {
        let en = "the module itself stopped: it is another version than its author had";
        return Some(stand_in(en, "el propio módulo se detuvo: es otra versión que la de su autor"));
    }
    let other = seen.other_family(&task.host);
    if other && matches!(task.short_module(), "yum" | "dnf") {
        return Some(stand_in("the stand-in has no yum of its own", "el sustituto no tiene yum propio"));
    }
    if let Some(found) = NO_PROGRAM.captures(said) {
        let program = found.iter().skip(1).flatten().next().map(|m| m.as_str()).unwrap_or_default();
        let program = program.rsplit('/').next().unwrap_or(program);
        if other && PROGRAMS.is_match(program) {
            let name = super::shown(program);
            let why = Text::new(
                format!("`{name}` is a program of the declared box, and none of the stand-in's"),
                format!("`{name}` es un programa de la box declarada, y no del sustituto"),
            );
            return Some(Verdict::undecided(Reason::StandIn, why));
        }
        return None;
    }
    if other && (SERVICE.is_match(said) || LIBRARY.is_match(said)) {
        return Some(stand_in(
            "services and packages have other names on the stand-in",
            "los servicios y paquetes tienen otros nombres en el sustituto",
        ));
    }
    if KILLED.is_match(said) {
        return Some(stand_in(
            "it was killed or had no memory left: a node has no swap, and a machine of the box has",
            "se mató o se quedó sin memoria: un nodo no tiene swap y una máquina de la box sí",
        ));
    }
    if STARTING.is_match(said) {
        return Some(stand_in(
            "a service may start on a machine and not on a container node",
            "un servicio puede arrancar en una máquina y no en un nodo contenedor",
        ));
    }
    if other && OF_CENTOS.is_match(all) {
        return Some(stand_in(
            "it is about something that only the declared box has",
            "trata de algo que solo tiene la box declarada",
        ));
    }
    None
}

fn unreachable(task: &Task, seen: &Seen<'_>) -> Verdict {
    let address = task.address.as_deref().unwrap_or(&task.host);
    let mut declared = seen.nodes.iter().flat_map(|node| &node.def.addresses);
    let by_dhcp = seen.nodes.iter().any(|node| node.def.private_networks > node.def.addresses.len());
    let nobodys = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => {
            ip.is_private() && !by_dhcp && !seen.nodes.is_empty() && declared.all(|known| known != address)
        }
        _ => false,
    };
    if seen.own_inventory() && nobodys {
        let shown = super::shown(address);
        let why = Text::new(
            format!("the submission's own inventory says {shown}, and no machine has that address"),
            format!("el inventario de la entrega dice {shown}, y ninguna máquina tiene esa dirección"),
        );
        return Verdict::certain(why);
    }
    if seen.own_inventory() {
        return stand_in(
            "the submission's own inventory may name keys or ports that only VirtualBox makes",
            "el inventario de la entrega puede nombrar claves o puertos que solo crea VirtualBox",
        );
    }
    let why = Text::new("the node may have been lost", "puede que el nodo se haya perdido");
    Verdict::undecided(Reason::Host, why)
}

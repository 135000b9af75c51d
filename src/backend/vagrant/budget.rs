//! What virtual machines take of a host's memory, and whether it has that. A container is limited and takes what it uses; a virtual
//! machine takes what it has.

use super::nodes;
use crate::notice::{Level, Notice};
use crate::scenario::units::show_bytes;
use crate::stack::in_meminfo;
use crate::submission::machines::MachineDef;
use crate::text::Text;

/// Below this, in bytes, a kernel with its first programs does not start; VirtualBox gives its boxes more.
pub(super) const LEAST_MEMORY: u64 = 256 << 20;
/// What a machine's process takes besides the machine's memory, in bytes: seen were 1.3 GiB where the code of the guest is
/// translated and kept.
const EMULATOR_MEMORY: u64 = 1400 << 20;
const HYPERVISOR_MEMORY: u64 = 200 << 20;

/// What the machines that `vagrant up` starts need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub machines: usize,
    /// What they have together, in bytes.
    pub given: u64,
    /// With what their processes take besides, in bytes.
    pub needed: u64,
}

/// Of machines that the processor helps with, or that are emulated; none is given more than `cap`, in bytes.
pub fn of(defs: &[MachineDef], kvm: bool, cap: Option<u64>) -> Budget {
    let started: Vec<&MachineDef> = defs.iter().filter(|def| def.autostart).collect();
    let beside = if kvm { HYPERVISOR_MEMORY } else { EMULATOR_MEMORY };
    let given = started.iter().fold(0_u64, |sum, def| sum.saturating_add(memory(def, cap)));
    Budget { machines: started.len(), given, needed: given.saturating_add(beside.saturating_mul(started.len() as u64)) }
}

/// What a machine is given, in bytes.
pub(super) fn memory(def: &MachineDef, cap: Option<u64>) -> u64 {
    let declared = nodes::memory(def, LEAST_MEMORY);
    cap.map_or(declared, |cap| declared.min(cap.max(LEAST_MEMORY)))
}

/// The processors that a machine is given: whole ones, and no more than there are.
pub(super) fn cpus(def: &MachineDef, cores: f64) -> f64 {
    def.cpus.unwrap_or(1.0).ceil().clamp(1.0, cores.max(1.0))
}

/// Those of all that are started.
pub fn processors(defs: &[MachineDef], cores: f64) -> f64 {
    defs.iter().filter(|def| def.autostart).map(|def| cpus(def, cores)).sum()
}

/// Whether that is less than it is declared with.
pub(super) fn is_capped(def: &MachineDef, cap: Option<u64>) -> bool {
    memory(def, cap) < memory(def, None)
}

/// Bytes of memory that may still be taken, by `/proc/meminfo`.
pub fn available(meminfo: &str) -> Option<u64> {
    in_meminfo(meminfo, "MemAvailable")
}

impl Budget {
    /// Why the machines cannot all run with so many bytes, with the numbers; none where they can.
    pub fn refused(&self, available: u64) -> Option<Text> {
        if self.needed <= available {
            return None;
        }
        let machines = match self.machines {
            1 => Text::new("1 virtual machine", "1 máquina virtual"),
            n => Text::new(format!("{n} virtual machines"), format!("{n} máquinas virtuales")),
        };
        let [given, needed, available] = [self.given, self.needed, available].map(gib);
        Some(Text::new(
            format!(
                "{}: with {given} of memory, that needs {needed} here, and {available} are free; run it on a larger host, on \
                 container nodes (without `--provider libvirt`), or give each machine less (`--machine-memory-cap`)",
                machines.en
            ),
            format!(
                "{}: con {given} de memoria, eso necesita aquí {needed}, y hay {available} libres; use un equipo mayor, nodos en \
                 contenedores (sin `--provider libvirt`), o dé menos a cada máquina (`--machine-memory-cap`)",
                machines.es
            ),
        ))
    }
}

/// That machines have less than they were declared with, because whoever runs this says so.
pub fn capped(defs: &[MachineDef], cap: u64) -> Option<Text> {
    let less = |def: &&MachineDef| def.autostart && is_capped(def, Some(cap));
    let each: Vec<(String, String, String)> = defs
        .iter()
        .filter(less)
        .map(|def| {
            let name = crate::sanitize::line(&def.name, 80);
            (name, show_bytes(memory(def, None)), show_bytes(memory(def, Some(cap))))
        })
        .collect();
    let said = |of: &str| {
        let each = each.iter().map(|(name, declared, given)| format!("{name} {given} {of} {declared}"));
        each.collect::<Vec<_>>().join(", ")
    };
    (!each.is_empty()).then(|| {
        Text::new(
            format!("`--machine-memory-cap`: machines have less memory than they declare: {}", said("of")),
            format!("`--machine-memory-cap`: hay máquinas con menos memoria de la que declaran: {}", said("de")),
        )
    })
}

/// That machines have fewer processors than they are declared with: no host gives more than it has.
pub fn clamped(defs: &[MachineDef], cores: f64) -> Option<Notice> {
    let less = |def: &&MachineDef| def.autostart && def.cpus.is_some_and(|cpus| cpus.ceil() > cores.max(1.0));
    let each = defs.iter().filter(less);
    let each: Vec<(String, f64)> =
        each.map(|def| (crate::sanitize::line(&def.name, 80), def.cpus.unwrap_or_default())).collect();
    let said = |of: &str| {
        let each = each.iter().map(|(name, declared)| format!("{name} {cores} {of} {declared}"));
        each.collect::<Vec<_>>().join(", ")
    };
    let text = Text::new(
        format!("machines have fewer processors than they declare, since this host has no more: {}", said("of")),
        format!(
            "hay máquinas con menos procesadores de los que declaran, porque este equipo no tiene más: {}",
            said("de")
        ),
    );
    (!each.is_empty()).then(|| Notice::new("machines.cpus", Level::Warning, text))
}

/// As people read it, rounded.
pub fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(gib: u64) -> MachineDef {
        MachineDef { name: "m".into(), autostart: true, memory_bytes: Some(gib << 30), ..MachineDef::default() }
    }

    #[test]
    fn machines_that_do_not_fit_are_refused_with_the_numbers() {
        let four = [machine(8), machine(8), machine(8), machine(8)];
        let text = of(&four, false, None).refused(22 << 30).unwrap();
        assert!(
            text.en
                .starts_with("4 virtual machines: with 32.0 GiB of memory, that needs 37.5 GiB here, and 22.0 GiB are")
        );
        let one = of(&[machine(64)], true, None).refused(22 << 30).unwrap();
        assert!(one.en.starts_with("1 virtual machine: ") && one.es.starts_with("1 máquina virtual: "), "{one:?}");
        assert_eq!(of(&four, true, None).refused(40 << 30), None);
        assert_eq!(of(&[MachineDef { autostart: false, ..machine(64) }], false, None).refused(1 << 30), None);
        assert_eq!(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2 << 20));
        assert_eq!(available(""), None);
    }

    #[test]
    fn fewer_processors_than_declared_are_said() {
        let of = |name: &str, cpus: f64| MachineDef { name: name.into(), cpus: Some(cpus), ..machine(1) };
        let text = clamped(&[of("m", 32.0), of("n", 2.0), of("o", 0.5)], 2.0).expect("32 of 2").text;
        assert!(text.en.ends_with(": m 2 of 32") && text.es.ends_with(": m 2 de 32"), "{text:?}");
        assert_eq!(clamped(&[of("n", 2.0), machine(1)], 2.0), None);
    }

    #[test]
    fn a_cap_takes_from_those_that_have_more() {
        let two = [machine(8), MachineDef { memory_bytes: Some(512 << 20), ..machine(0) }];
        let budget = of(&two, false, Some(1 << 30));
        let any = two.iter().any(|def| is_capped(def, Some(1 << 30)));
        assert_eq!((budget.given, any, budget.refused(22 << 30)), (1536 << 20, true, None));
        let text = capped(&two, 1 << 30).unwrap();
        assert!(text.en.ends_with(": m 1GiB of 8GiB") && text.es.ends_with(": m 1GiB de 8GiB"), "{text:?}");
        assert_eq!(capped(&two, 16 << 30), None);
        assert_eq!(memory(&machine(8), Some(1)), LEAST_MEMORY, "it has to start");
    }
}

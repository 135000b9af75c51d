//! A machine's disks beside its box's own: what `vb.customize` makes and attaches, in whatever order, and `config.vm.disk`.

use super::DiskDef;
use super::answer::{Disk, Machine};

/// The order in which Vagrant tells VirtualBox.
const EVENTS: [&str; 4] = ["pre-import", "pre-boot", "post-boot", "post-comm"];

/// `path` makes paths of one file one; `size` is that of a disk which was handed in as a file.
pub(super) fn of(
    machine: &Machine,
    before: &[Vec<String>],
    path: &dyn Fn(&str) -> String,
    size: &dyn Fn(&str) -> Option<u64>,
) -> Vec<DiskDef> {
    let mut told = Told { made: Vec::new(), attached: Vec::new(), path, size };
    // What the file itself ran is for whichever machine attaches it.
    let loaded: Vec<DiskDef> = {
        let mut loading = Told { made: Vec::new(), attached: Vec::new(), path, size };
        before.iter().for_each(|command| loading.run(command));
        loading.made
    };
    for event in EVENTS {
        let of_event = machine.customizations.iter().filter(|(when, _)| when == event);
        of_event.for_each(|(_, command)| told.run(command));
    }
    let mut disks = told.made;
    for disk in &mut disks {
        disk.attached = told.attached.iter().any(|(_, medium)| same(medium, &disk.name));
    }
    for (_, medium) in &told.attached {
        if disks.iter().any(|disk| same(medium, &disk.name)) {
            continue;
        }
        let disk = match loaded.iter().find(|disk| same(medium, &disk.name)) {
            Some(made) => DiskDef { attached: true, ..made.clone() },
            None => {
                let bytes = size(medium);
                DiskDef { name: medium.clone(), bytes, attached: bytes.is_some(), spelling: "storageattach".to_owned() }
            }
        };
        disks.push(disk);
    }
    disks.extend(machine.disks.iter().filter(|disk| disk.kind == "disk" && !disk.primary).map(declared));
    disks
}

fn declared(disk: &Disk) -> DiskDef {
    let name = disk.name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned();
    DiskDef { name, bytes: disk.bytes, attached: true, spelling: "vm.disk".to_owned() }
}

/// VirtualBox gives a medium that it makes an ending where it has none.
fn same(one: &str, other: &str) -> bool {
    let stem = |path: &str| {
        let lower = path.to_ascii_lowercase();
        let known = [".vdi", ".vmdk", ".vhd"].iter().any(|ending| lower.ends_with(ending));
        known.then(|| path.rsplit_once('.').map(|(stem, _)| stem.to_owned())).flatten()
    };
    one == other || stem(one).is_some_and(|stem| stem == other) || stem(other).is_some_and(|stem| stem == one)
}

struct Told<'a> {
    made: Vec<DiskDef>,
    /// By its place at a controller, which holds one medium at a time.
    attached: Vec<(String, String)>,
    path: &'a dyn Fn(&str) -> String,
    size: &'a dyn Fn(&str) -> Option<u64>,
}

impl Told<'_> {
    fn run(&mut self, command: &[String]) {
        let Some((verb, args)) = command.split_first() else { return };
        let plain = positional(args);
        match verb.as_str() {
            "createhd" | "createvdi" | "createmedium" => {
                if plain.iter().any(|word| matches!(*word, "dvd" | "floppy")) {
                    return;
                }
                let Some(file) = option(args, "filename") else { return };
                let bytes = option(args, "sizebyte").and_then(|bytes| bytes.trim().parse().ok());
                self.make(file, bytes.or_else(|| option(args, "size").and_then(megabytes)), verb);
            }
            "clonehd" | "clonevdi" | "clonemedium" => {
                let files: Vec<&&str> =
                    plain.iter().filter(|word| !matches!(**word, "disk" | "dvd" | "floppy")).collect();
                if let [from, to, ..] = files.as_slice() {
                    let from = (self.path)(from);
                    let bytes = self.made.iter().find(|disk| same(&disk.name, &from)).and_then(|disk| disk.bytes);
                    self.make(to, bytes.or_else(|| (self.size)(&from)), verb);
                }
            }
            "modifyhd" | "modifyvdi" | "modifymedium" => {
                let bytes = option(args, "resize").and_then(megabytes);
                let bytes = bytes.or_else(|| option(args, "resizebyte").and_then(|bytes| bytes.trim().parse().ok()));
                let Some(bytes) = bytes else { return };
                for file in plain.iter().map(|file| (self.path)(file)) {
                    let resized = self.made.iter_mut().filter(|disk| same(&disk.name, &file));
                    resized.for_each(|disk| disk.bytes = Some(bytes));
                }
            }
            "closemedium" if args.iter().any(|arg| arg == "--delete") => {
                for file in plain.iter().map(|file| (self.path)(file)) {
                    self.made.retain(|disk| !same(&disk.name, &file));
                }
            }
            "storageattach" => self.attach(args),
            _ => {}
        }
    }

    fn make(&mut self, file: &str, bytes: Option<u64>, verb: &str) {
        let name = (self.path)(file);
        self.made.retain(|disk| disk.name != name);
        self.made.push(DiskDef { name, bytes, attached: false, spelling: verb.to_owned() });
    }

    fn attach(&mut self, args: &[String]) {
        let part = |name| option(args, name).unwrap_or_default().trim().to_owned();
        let place = format!("{}:{}:{}", part("storagectl"), part("port"), part("device"));
        let Some(medium) = option(args, "medium") else { return };
        let kind = part("type").to_ascii_lowercase();
        self.attached.retain(|(taken, _)| *taken != place);
        let no_file = matches!(medium, "none" | "emptydrive" | "additions") || medium.starts_with("host:");
        if no_file || matches!(kind.as_str(), "dvddrive" | "fdd") || medium.to_ascii_lowercase().ends_with(".iso") {
            return;
        }
        self.attached.push((place, (self.path)(medium)));
    }
}

/// The value of an option, the last one that is said: `--size 5120`, `--size=5120`, `-size 5120`.
pub(super) fn option<'a>(args: &'a [String], name: &str) -> Option<&'a str> {
    let mut found = None;
    for (at, arg) in args.iter().enumerate() {
        let Some(rest) = bare(arg).and_then(|arg| arg.strip_prefix(name)) else { continue };
        if rest.is_empty() {
            found = args.get(at + 1).map(String::as_str);
        } else if let Some(value) = rest.strip_prefix(['=', ':']) {
            found = Some(value);
        }
    }
    found
}

/// An option without its dashes.
fn bare(arg: &str) -> Option<&str> {
    arg.strip_prefix("--").or_else(|| arg.strip_prefix('-'))
}

/// Words that are neither an option nor the value of one.
fn positional(args: &[String]) -> Vec<&str> {
    const ALONE: [&str; 3] = ["delete", "existing", "compact"];
    let mut words = Vec::new();
    let mut value = false;
    for arg in args {
        match bare(arg) {
            Some(name) => value = !name.contains('=') && !ALONE.contains(&name),
            None if value => value = false,
            None => words.push(arg.as_str()),
        }
    }
    words
}

pub(super) fn megabytes(text: &str) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite() && number > 0.0).then_some((number * 1_048_576.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disks(commands: &[&[&str]]) -> Vec<(String, Option<u64>, bool, String)> {
        let told = |command: &&[&str]| ("pre-boot".to_owned(), command.iter().map(|&arg| arg.to_owned()).collect());
        let machine = Machine { customizations: commands.iter().map(told).collect(), ..Machine::default() };
        let plain = |path: &str| path.trim_start_matches("./").to_owned();
        let handed = |path: &str| (path == "handed/in.vdi").then_some(7);
        let all = of(&machine, &[], &plain, &handed);
        all.into_iter().map(|d| (d.name, d.bytes.map(|b| b >> 20), d.attached, d.spelling)).collect()
    }

    fn disk(name: &str, mb: Option<u64>, attached: bool, spelling: &str) -> (String, Option<u64>, bool, String) {
        (name.to_owned(), mb, attached, spelling.to_owned())
    }

    const ATTACH: &[&str] = &[
        "storageattach",
        "id",
        "--storagectl",
        "IDE",
        "--port",
        "1",
        "--device",
        "0",
        "--type",
        "hdd",
        "--medium",
        "./d.vdi",
    ];

    #[test]
    fn made_and_attached_in_any_order() {
        let made: &[&str] = &["createhd", "--filename", "d.vdi", "--variant", "Standard", "--size", "5120"];
        let want = [disk("d.vdi", Some(5120), true, "createhd")];
        assert_eq!(disks(&[made, ATTACH]), want);
        assert_eq!(disks(&[ATTACH, made]), want);
        // VirtualBox adds the ending.
        let medium: &[&str] = &["createmedium", "disk", "--filename=d", "--sizebyte", "536870912"];
        assert_eq!(disks(&[medium, ATTACH]), [disk("d", Some(512), true, "createmedium")]);
    }

    #[test]
    fn another_name_is_another_disk() {
        let made: &[&str] = &["createhd", "--filename", "e.vdi", "--size", "5120"];
        assert_eq!(
            disks(&[made, ATTACH]),
            [disk("e.vdi", Some(5120), false, "createhd"), disk("d.vdi", None, false, "storageattach")]
        );
        assert_eq!(disks(&[made]), [disk("e.vdi", Some(5120), false, "createhd")]);
    }

    #[test]
    fn what_was_handed_in_has_the_size_that_it_says() {
        let attach: &[&str] = &["storageattach", "id", "--storagectl", "SCSI", "--medium", "handed/in.vdi"];
        assert_eq!(disks(&[attach]), [disk("handed/in.vdi", Some(0), true, "storageattach")]);
    }

    #[test]
    fn drives_and_what_is_taken_away_are_no_disks() {
        let dvd: &[&str] =
            &["storageattach", "id", "--storagectl", "IDE", "--type", "dvddrive", "--medium", "emptydrive"];
        let none: &[&str] =
            &["storageattach", "id", "--storagectl", "IDE", "--port", "1", "--device", "0", "--medium", "none"];
        let iso: &[&str] = &["storageattach", "id", "--storagectl", "IDE", "--port", "0", "--medium", "a.ISO"];
        assert_eq!(disks(&[dvd, ATTACH, none, iso]), []);
        let made: &[&str] = &["createhd", "--filename", "d.vdi", "--size", "1"];
        let closed: &[&str] = &["closemedium", "disk", "./d.vdi", "--delete"];
        assert_eq!(disks(&[made, closed]), []);
        let unregistered: &[&str] = &["closemedium", "disk", "./d.vdi"];
        assert_eq!(disks(&[made, unregistered, ATTACH]).len(), 1);
    }

    #[test]
    fn cloned_and_resized() {
        let made: &[&str] = &["createmedium", "--filename", "a.vdi", "--size", "100"];
        let clone: &[&str] = &["clonemedium", "disk", "a.vdi", "d.vdi", "--format", "VDI"];
        let resize: &[&str] = &["modifyhd", "d.vdi", "--resize", "200"];
        let all = disks(&[made, clone, resize, ATTACH]);
        assert_eq!(all[1], disk("d.vdi", Some(200), true, "clonemedium"));
    }

    #[test]
    fn what_the_file_itself_made_is_there_when_it_is_attached() {
        let attach = ATTACH.iter().map(|&arg| arg.to_owned()).collect();
        let machine = Machine { customizations: vec![("pre-boot".into(), attach)], ..Machine::default() };
        let ran = ["createhd", "--filename", "d.vdi", "--size", "5120"].map(str::to_owned).to_vec();
        let plain = |path: &str| path.trim_start_matches("./").to_owned();
        let all = of(&machine, &[ran], &plain, &|_| None);
        assert_eq!((all.len(), all[0].attached, all[0].bytes), (1, true, Some(5 << 30)));
    }
}

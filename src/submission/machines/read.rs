//! From what Vagrant's loader said to machines as declared, every spelling made one. Pure.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::answer::{self, Answer};
use super::{Loaded, MachineDef, ProvisionerDef, SyncedDef, asked, disks, refused};
use crate::expect::Place;
use crate::notice::{Level, Notice, Reason};
use crate::sanitize;
use crate::text::Text;

/// Where the submission lay while the file was read, and the home of who read it.
const ROOT: &str = "/tmp/submission";
const HOME: &str = "/tmp/home";
/// More are not brought up: the first of them are all that is described.
pub const MOST: usize = 64;
const NAME: usize = 100;
const SCRIPT: usize = 300;

/// What came of the reading.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub loaded: Loaded,
    /// What was made up for, and is not held against anybody.
    pub notices: Vec<Notice>,
}

/// Reads what was printed. `vagrantfile` is relative to the submission's root; `size` is that of a virtual disk which was
/// handed in, by its path there.
pub fn read(printed: &str, vagrantfile: &Path, size: &dyn Fn(&Path) -> Option<u64>) -> Reading {
    match serde_json::from_str::<Answer>(printed) {
        Ok(answer) if answer.error.is_some() || !answer.machines.is_empty() => of(&answer, vagrantfile, size),
        other => {
            tracing::debug!(?other, "what was read of a Vagrantfile is not what read.rb prints");
            let text = Text::new(
                "the Vagrantfile could not be read here: what Vagrant's loader answered is no answer",
                "no se pudo leer aquí el Vagrantfile: lo que respondió el cargador de Vagrant no es una respuesta",
            );
            let loaded = Loaded::Unknown { reason: Reason::Imparcial, text };
            Reading { loaded, notices: Vec::new() }
        }
    }
}

fn of(answer: &Answer, vagrantfile: &Path, size: &dyn Fn(&Path) -> Option<u64>) -> Reading {
    let notices = [made_up_for(answer), asked::notices(&answer.machines)].concat();
    let loaded = if let Some(error) = &answer.error {
        refused::of(error, None, &answer.unknown_plugins)
    } else if let Some((machine, error)) = answer.machines.iter().find_map(|m| Some((m, m.error.as_ref()?))) {
        // Vagrant reads every machine before it starts the first.
        refused::of(error, Some(&machine.name), &answer.unknown_plugins)
    } else if answer.count.max(answer.machines.len()) > MOST {
        let count = answer.count;
        let text = Text::new(
            format!("the Vagrantfile defines {count} machines; more than {MOST} are not brought up"),
            format!("el Vagrantfile define {count} máquinas; no se inician más de {MOST}"),
        );
        Loaded::Refused { text, at: None }
    } else {
        let folder = vagrantfile.parent().unwrap_or(Path::new(""));
        let reading = Folder { folder, size, before: &answer.vboxmanage };
        Loaded::Machines(answer.machines.iter().map(|machine| reading.machine(machine)).collect())
    };
    Reading { loaded, notices }
}

fn made_up_for(answer: &Answer) -> Vec<Notice> {
    let mut notices = Vec::new();
    let listed = |names: &[String]| sanitize::line(&names.join(", "), 300);
    let mut say = |id: &str, en: String, es: String| {
        let text = Text { en, es };
        notices.push(Notice::new(id, Level::Info, text));
    };
    if !answer.unknown_plugins.is_empty() {
        let names = listed(&answer.unknown_plugins);
        say(
            "machines.plugins",
            format!("the Vagrantfile asks for plugins of Vagrant that are not here; it was read without them: {names}"),
            format!("el Vagrantfile pide plugins de Vagrant que no están aquí; se leyó sin ellos: {names}"),
        );
    }
    if !answer.versions.is_empty() {
        let asked = listed(&answer.versions);
        say(
            "machines.version",
            format!("the Vagrantfile asks for another version of Vagrant ({asked}); it was read all the same"),
            format!("el Vagrantfile pide otra versión de Vagrant ({asked}); se leyó de todos modos"),
        );
    }
    notices
}

struct Folder<'a> {
    /// The Vagrantfile's, relative to the submission's root.
    folder: &'a Path,
    size: &'a dyn Fn(&Path) -> Option<u64>,
    before: &'a [Vec<String>],
}

impl Folder<'_> {
    fn machine(&self, machine: &answer::Machine) -> MachineDef {
        let at = machine.file.as_ref().zip(machine.line);
        let said = modified(machine);
        let networks = |kind: &'static str| machine.networks.iter().filter(move |network| network.kind == kind);
        let number = |value: Option<&Value>| value.and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
        let size = |path: &str| (self.size)(Path::new(path));
        MachineDef {
            name: machine.name.clone(),
            at: at.map(|(file, line)| Place { file: file.clone(), line, column: 1 }),
            autostart: machine.autostart,
            primary: machine.primary,
            boxed: machine.boxed.clone(),
            box_url: machine.box_url,
            box_urls: machine.box_urls.clone(),
            box_version: machine.box_version.clone().filter(|asked| !asked.trim().is_empty()),
            hostname: machine.hostname.clone(),
            insert_key: machine.insert_key,
            username: machine.username.as_deref().map(|name| sanitize::line(name, NAME)),
            communicator: machine.communicator.as_deref().map(|name| sanitize::line(name, NAME)),
            way_in: !machine.way_in.is_empty(),
            addresses: networks("private_network")
                .filter_map(|network| network.options.get("ip")?.as_str().map(str::to_owned))
                .collect(),
            private_networks: networks("private_network").count(),
            public_networks: networks("public_network").count(),
            forwarded: networks("forwarded_port")
                // Vagrant's own way in.
                .filter(|network| network.options.get("id").and_then(Value::as_str) != Some("ssh"))
                .filter_map(|network| {
                    Some((number(network.options.get("guest"))?, number(network.options.get("host"))?))
                })
                .collect(),
            synced: machine.synced.iter().map(|folder| self.synced(folder)).collect(),
            memory_bytes: said.memory.as_deref().and_then(disks::megabytes),
            cpus: said.cpus.and_then(|cpus| cpus.trim().parse().ok()).filter(|cpus: &f64| *cpus > 0.0),
            vb_name: said.name.or_else(|| machine.vb_name.clone()),
            disks: disks::of(machine, self.before, &|path| self.place(path), &size),
            provisioners: machine.provisioners.iter().map(|it| self.provisioner(it)).collect(),
            invalid: machine.invalid.iter().map(|said| sanitize::line(said, SCRIPT)).collect(),
        }
    }

    fn synced(&self, folder: &answer::Synced) -> SyncedDef {
        let host = folder.host.as_deref().unwrap_or_default();
        SyncedDef {
            host: host.strip_prefix(ROOT).map_or_else(|| host.to_owned(), |rest| self.place(&format!("{ROOT}{rest}"))),
            guest: folder.guest.clone().unwrap_or_default(),
            kind: folder.kind.clone().filter(|kind| !kind.is_empty()),
            disabled: folder.disabled,
        }
    }

    fn provisioner(&self, it: &answer::Provisioner) -> ProvisionerDef {
        let text = |value: &Option<Value>| value.as_ref().and_then(words).filter(|text| !text.trim().is_empty());
        let script = text(&it.inline).or_else(|| text(&it.path).map(|path| self.place(&path)));
        ProvisionerDef {
            kind: it.kind.clone(),
            name: it.name.clone(),
            run: it.run.clone(),
            playbook: text(&it.playbook).map(|path| self.place(path.strip_prefix("/vagrant/").unwrap_or(&path))),
            limit: text(&it.limit),
            inventory: text(&it.inventory_path).map(|path| self.place(&path)),
            script: script.map(|script| cut(&script)),
        }
    }

    /// A path as the Vagrantfile writes it, from the submission's root on where it lies inside; else as it is.
    fn place(&self, written: &str) -> String {
        let path = Path::new(written);
        let joined = match path.strip_prefix(ROOT) {
            Ok(inside) => inside.to_owned(),
            Err(_) if path.is_absolute() => {
                return path
                    .strip_prefix(HOME)
                    .map_or_else(|_| written.to_owned(), |rest| format!("~/{}", rest.display()));
            }
            Err(_) if written.contains("://") || written.starts_with('~') => return written.to_owned(),
            Err(_) => self.folder.join(path),
        };
        inside(&joined).map_or_else(|| written.to_owned(), |path| path.display().to_string())
    }
}

/// Without `.` and `..`, by its words alone; none where it leads out.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir if !out.pop() => return None,
            _ => {}
        }
    }
    Some(if out.as_os_str().is_empty() { PathBuf::from(".") } else { out })
}

/// What `modifyvm` says last, as VirtualBox takes it: `vb.memory` and `vb.cpus` are such commands too.
#[derive(Default)]
struct Modified {
    memory: Option<String>,
    cpus: Option<String>,
    name: Option<String>,
}

fn modified(machine: &answer::Machine) -> Modified {
    let mut said = Modified::default();
    for (_, command) in &machine.customizations {
        let [verb, args @ ..] = command.as_slice() else { continue };
        if verb != "modifyvm" {
            continue;
        }
        let option = |name| disks::option(args, name).map(|value| sanitize::line(value, NAME));
        said.memory = option("memory").or(said.memory);
        said.cpus = option("cpus").or(said.cpus);
        said.name = option("name").or(said.name);
    }
    said
}

/// A value that is a text or a list of them.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(all) => Some(all.iter().filter_map(words).collect::<Vec<_>>().join(",")),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn cut(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SCRIPT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reading(printed: &Value, path: &str) -> Reading {
        read(&printed.to_string(), Path::new(path), &|_| None)
    }

    fn machines(printed: &Value, path: &str) -> Vec<MachineDef> {
        match reading(printed, path).loaded {
            Loaded::Machines(machines) => machines,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_machine_as_declared() {
        let printed = json!({"version": 1, "count": 1, "machines": [{
            "name": "master", "file": "Exam2/Vagrantfile", "line": 7, "autostart": true, "primary": true, "box": "centos/7",
            "hostname": "master", "insert_key": false,
            "networks": [
                {"type": "private_network", "options": {"ip": "192.168.56.10", "protocol": "tcp"}},
                {"type": "private_network", "options": {"type": "dhcp"}},
                {"type": "forwarded_port", "options": {"guest": 5000, "host": 5001}},
                {"type": "forwarded_port", "options": {"guest": 22, "host": 2222, "id": "ssh"}},
                {"type": "public_network", "options": {}},
            ],
            "synced": [{"host": ".", "guest": "/vagrant", "type": null, "disabled": false},
                {"host": "/tmp/submission/shared", "guest": "/srv", "type": "rsync", "disabled": true}],
            "vb_name": "first",
            "customizations": [
                ["pre-boot", ["modifyvm", "id", "--memory", "512", "--cpus", "1", "--name", "second"]],
                ["pre-boot", ["modifyvm", "id", "--memory", "1024"]],
                ["pre-boot", ["createhd", "--filename", "./disks/m.vdi", "--size", "5120"]],
                ["pre-boot", ["storageattach", "id", "--storagectl", "IDE", "--port", "1", "--device", "0",
                    "--type", "hdd", "--medium", "/tmp/submission/Exam2/disks/m.vdi"]],
            ],
            "disks": [{"type": "disk", "name": "data", "bytes": 5_368_709_120_u64, "primary": false},
                {"type": "disk", "name": "vagrant_primary", "bytes": 1, "primary": true},
                {"type": "dvd", "name": "cd", "bytes": null, "primary": false}],
            "provisioners": [
                {"type": "ansible", "name": "site", "run": "always", "playbook": "../playbooks/site.yml",
                    "limit": ["master", "worker1"], "inventory_path": "hosts"},
                {"type": "ansible_local", "playbook": "/vagrant/local.yml", "inline": null},
                {"type": "shell", "inline": "  echo hi  "},
                {"type": "shell", "path": "/tmp/submission/install.sh"},
            ],
            "invalid": ["`playbook` file path\nmust be set."],
        }]});
        let one = machines(&printed, "Exam2/Vagrantfile").remove(0);
        assert_eq!(one.at, Some(Place { file: "Exam2/Vagrantfile".into(), line: 7, column: 1 }));
        assert!(one.autostart && one.primary && !one.insert_key);
        assert_eq!((one.boxed.as_deref(), one.hostname.as_deref()), (Some("centos/7"), Some("master")));
        assert_eq!(one.addresses, ["192.168.56.10"]);
        assert_eq!((one.private_networks, one.public_networks, one.forwarded), (2, 1, vec![(5000, 5001)]));
        assert_eq!((one.synced[0].host.as_str(), one.synced[1].host.as_str()), (".", "shared"));
        assert_eq!((one.memory_bytes, one.cpus, one.vb_name.as_deref()), (Some(1 << 30), Some(1.0), Some("second")));
        let disks: Vec<_> =
            one.disks.iter().map(|d| (d.name.as_str(), d.bytes, d.attached, d.spelling.as_str())).collect();
        let five = Some(5 << 30);
        assert_eq!(disks, [("Exam2/disks/m.vdi", five, true, "createhd"), ("data", five, true, "vm.disk")]);
        let it = &one.provisioners;
        assert_eq!(it[0].playbook.as_deref(), Some("playbooks/site.yml"));
        assert_eq!((it[0].limit.as_deref(), it[0].inventory.as_deref()), (Some("master,worker1"), Some("Exam2/hosts")));
        assert!(it[0].is_ansible() && it[1].is_ansible() && !it[2].is_ansible());
        assert_eq!(it[1].playbook.as_deref(), Some("Exam2/local.yml"));
        assert_eq!((it[2].script.as_deref(), it[3].script.as_deref()), (Some("echo hi"), Some("install.sh")));
        assert_eq!(one.invalid, ["`playbook` file path must be set."]);
    }

    #[test]
    fn one_machine_that_raises_keeps_all_from_starting() {
        let printed = json!({"count": 2, "machines": [{"name": "good"},
            {"name": "bad", "error": {"kind": "raised", "class": "TypeError", "message": "nil", "file": "Vagrantfile", "line": 6}}]});
        let Loaded::Refused { text, at } = reading(&printed, "Vagrantfile").loaded else { panic!("refused") };
        assert!(text.en.contains("`bad`") && text.es.contains("línea 6"), "{text:?}");
        assert_eq!(at.map(|at| at.line), Some(6));
    }

    #[test]
    fn what_was_made_up_for_is_said() {
        let printed =
            json!({"count": 1, "machines": [{"name": "a"}], "unknown_plugins": ["vbguest"], "versions": [">= 3"]});
        let said: Vec<_> = reading(&printed, "Vagrantfile").notices.into_iter().map(|n| (n.id, n.level)).collect();
        assert_eq!(said, [("machines.plugins".into(), Level::Info), ("machines.version".into(), Level::Info)]);
    }

    #[test]
    fn what_is_no_answer_is_not_held_against_anybody() {
        for printed in ["", "[]", "{\"machines\": 3}", "loading…"] {
            let loaded = read(printed, Path::new("Vagrantfile"), &|_| None).loaded;
            assert!(matches!(loaded, Loaded::Unknown { reason: Reason::Imparcial, .. }), "{printed}: {loaded:?}");
        }
        let many = json!({"count": 5000, "machines": [{"name": "a"}]});
        assert!(matches!(reading(&many, "Vagrantfile").loaded, Loaded::Refused { .. }));
    }

    #[test]
    fn paths_stay_inside_or_as_they_are() {
        let here = Folder { folder: Path::new("a/b"), size: &|_| None, before: &[] };
        assert_eq!(here.place("../c/./d"), "a/c/d");
        assert_eq!(here.place("../../../x"), "../../../x");
        assert_eq!(here.place("/etc/x"), "/etc/x");
        assert_eq!(here.place("/tmp/home/VirtualBox VMs/d.vdi"), "~/VirtualBox VMs/d.vdi");
        assert_eq!(here.place("https://x/y.sh"), "https://x/y.sh");
        assert_eq!(here.place("/tmp/submission"), ".");
    }
}

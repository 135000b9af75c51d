//! Machines that were asked for badly: what Vagrant makes of such a file with a lab's home Vagrantfile, and how a run of it ends, in which
//! time, and whose doing it is said to be. The submissions lie in `data/guests`, a folder each.
//!
//! Those that boot virtual machines are run by `make test-vms` alone.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use imparcial::backend::vagrant::acceleration;
use imparcial::lab::setup;
use imparcial::record::{RunRecord, Verdict};
use serde_json::{Value, json};

use crate::ansible::{docker, here};
use crate::live;
use crate::vagrantfile::load;

const SCENARIO: &str = "tests/it/data/guests/scenario.yaml";
const HOME: &str = "vagrant/images/lab/vagrant/Vagrantfile";
const LENIENT: &str = "vagrant/images/lab/vagrant/lenient.rb";

/// Where Vagrant keeps a box.
const BOX: &str = "/root/.vagrant.d/boxes/x/1/libvirt";

/// What Vagrant makes of machine `a`, of a box that has a Vagrantfile of its own where one is named.
async fn made(image: &str, provider: &str, submission: &str, given: &Value, boxed: Option<&str>) -> Value {
    let plan = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(plan.path(), json!({"machines": [given]}).to_string()).unwrap();
    let name = live::run_name("guests");
    let mut run: Vec<String> =
        ["run", "--rm", "--network", "none", "--memory", "1g", "--entrypoint", "timeout", "--name"]
            .map(str::to_owned)
            .to_vec();
    run.push(name);
    let mounts = [
        (here(HOME), "/root/.vagrant.d/Vagrantfile"),
        (here(LENIENT), "/usr/local/share/imparcial/vagrant/lenient.rb"),
        (here("tests/it/data/guests"), "/data"),
        (here("tests/it/data/guests/box"), BOX),
        (plan.path().to_string_lossy().into_owned(), "/run/imparcial/machines.json"),
    ];
    run.extend(mounts.iter().map(|(from, to)| format!("--volume={from}:{to}:ro")));
    run.extend([image, "120", "ruby", "/data/config.rb", provider].map(str::to_owned));
    run.push(format!("/data/{submission}"));
    run.extend(boxed.map(str::to_owned));
    let said = docker(run).await;
    assert!(said.ok(), "{}", said.both());
    let all: Value = serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.both()));
    all["a"].clone()
}

async fn has(image: &str) -> bool {
    let there = docker(["image", "inspect", image].map(str::to_owned).to_vec()).await.ok();
    if !there {
        eprintln!("skipped: {image} is not here (`imparcial setup --vms`)");
    }
    there
}

/// As `src/backend/vagrant/libvirt.rs` gives it.
fn guest() -> Value {
    let settings = json!({
        "uri": "qemu:///system", "default_prefix": "imparcial_", "driver": "qemu", "kernel": "/box/vmlinuz",
        "initrd": "/box/initrd.img", "cmd_line": "root=LABEL=root rw", "disk_bus": "scsi", "memory": 512, "cpus": 2,
    });
    let disks = json!([{"size": "5G", "device": "sdb", "bus": "scsi", "type": "qcow2"}]);
    json!({"name": "a", "guest": {
        "box": {"name": "imparcial/machine", "version": null}, "boot_timeout": 900, "console": "/run/imparcial/console-a.log", "settings": settings, "disks": disks,
    }})
}

#[tokio::test]
async fn whose_machine_it_is_and_where_it_runs_is_never_the_files_to_say() {
    if live::engine().await.is_none() || !has("imparcial/vms").await {
        return;
    }
    for submission in ["own-provider-block", "flags", "vmware-only"] {
        let made = made("imparcial/vms", "libvirt", submission, &guest(), None).await;
        let of = |name: &str| made["provider"][name].clone();
        for (name, value) in guest()["guest"]["settings"].as_object().unwrap() {
            assert_eq!(&of(name), value, "{submission}: {name}");
        }
        for (name, want) in [
            ("host", json!(null)),
            ("connect_via_ssh", json!(false)),
            ("storage_pool_name", json!("default")),
            ("storage_pool_path", json!(null)),
            ("qemu_use_session", json!(false)),
            ("management_network_name", json!("vagrant-libvirt")),
            ("random_hostname", json!(false)),
            ("disk_driver_opts", json!({})),
            ("qemu_args", json!([])),
            ("serials", json!([{"type": "file", "source": {"path": "/run/imparcial/console-a.log"}}])),
        ] {
            assert_eq!(of(name), want, "{submission}: {name}");
        }
        let disks = of("disks");
        assert_eq!((disks.as_array().unwrap().len(), &disks[0]["size"]), (1, &json!("5G")), "{submission}");
        assert_eq!(
            made["vm"],
            json!({"box": "imparcial/machine", "boot_timeout": 900, "communicator": null, "guest": null})
        );
        assert_eq!(made["folders"], json!(["rsync"]), "{submission}");
        way_in(submission, &made);
    }
}

#[tokio::test]
async fn a_box_that_is_taken_itself_says_how_it_starts_and_its_user_nothing() {
    if live::engine().await.is_none() || !has("imparcial/vms").await {
        return;
    }
    let mut given = guest();
    given["guest"]["box"] = json!({"name": "x", "version": "1"});
    given["guest"]["settings"] = json!({"memory": 512});
    let made = made("imparcial/vms", "libvirt", "own-provider-block", &given, Some(BOX)).await;
    let provider = &made["provider"];
    assert_eq!((&provider["disk_bus"], &provider["memory"]), (&json!("sata"), &json!(512)), "{made}");
    assert_eq!((&provider["host"], &provider["qemu_args"]), (&json!(null), &json!([])), "{made}");
    assert_eq!(made["vm"]["box"], "x");
}

#[tokio::test]
async fn a_container_node_is_what_the_lab_makes_of_it_whatever_the_file_says() {
    if live::engine().await.is_none() {
        return;
    }
    let given = json!({"name": "a", "image": "labs/node", "args": ["--label=x"]});
    let made = made("imparcial/lab", "docker", "own-provider-block", &given, None).await;
    assert_eq!(made["provider"]["image"], "labs/node");
    assert_eq!(made["vm"], json!({"box": null, "boot_timeout": 300, "communicator": null, "guest": null}));
    way_in("own-provider-block", &made);
}

fn way_in(submission: &str, made: &Value) {
    let want = json!({
        "host": null, "port": null, "guest_port": 22, "username": null, "password": null, "private_key_path": null,
    });
    assert_eq!(made["ssh"], want, "{submission}");
    let scoped = made["networks"].to_string();
    assert!(!scoped.contains("libvirt__") && scoped.contains("192.168.56.10"), "{submission}: {scoped}");
}

#[tokio::test]
async fn what_is_not_taken_over_is_said_when_the_file_is_read() {
    if live::engine().await.is_none() {
        return;
    }
    let kept = tempfile::tempdir().unwrap();
    let read = async |name: &str| load(Path::new(&here(&format!("tests/it/data/guests/{name}"))), kept.path()).await;
    let said = |submission: &imparcial::submission::Submission| {
        let all = submission.notices.iter().filter(|notice| notice.id.starts_with("machines."));
        all.map(|notice| format!("{} {}", notice.id, notice.text.en)).collect::<Vec<_>>()
    };
    let flags = read("flags").await;
    let [a] = flags.vagrantfile.as_ref().unwrap().machines() else { panic!("{flags:?}") };
    assert_eq!((a.memory_bytes, a.cpus, a.disks.len(), a.provisioners.len()), (Some(512 << 20), Some(32.0), 0, 1));
    let all = said(&flags).join("\n");
    for want in [
        "`libvirt` (kernel, memory, qemuargs, storage, uri)",
        "`parallels` (customize, memory)",
        "`vmware_desktop` (vmx)",
        "machines.way_in in a lab Vagrant gets into machines in the lab's own way; the file's is not taken over: \
         ssh.guest_port, ssh.port, ssh.username, vm.boot_timeout",
        "machine `a` is defined 2 times",
    ] {
        assert!(all.contains(want), "{want}: {all}");
    }
    let vmware = read("vmware-only").await;
    let [a] = vmware.vagrantfile.as_ref().unwrap().machines() else { panic!("{vmware:?}") };
    assert_eq!((a.memory_bytes, a.cpus), (None, None));
    assert!(said(&vmware).join("\n").contains("`vmware_desktop` (gui, vmx)"), "{:?}", said(&vmware));
    // What is as Vagrant has it by itself is not worth a word.
    assert_eq!(said(&read("panics").await), [""; 0]);
}

/// How a run must end.
struct Want {
    submission: &'static str,
    provider: &'static str,
    args: &'static [&'static str],
    /// Of `machine-up`, `work-done`, `played`.
    verdicts: [Verdict; 3],
    exit: i32,
    /// In the explanations and notices.
    says: &'static [&'static str],
    /// On a host that does nothing else, and emulates machines at the speed of the one where this was written.
    within: Duration,
}

use Verdict::{Error, Fail, Pass, Skip};

const MINUTE: Duration = Duration::from_secs(60);
const CONTAINERS: [Want; 3] = [
    Want {
        submission: "flags",
        provider: "docker",
        args: &[],
        verdicts: [Pass, Pass, Fail],
        exit: 1,
        says: &["of 32", "only VirtualBox counts", "is defined 2 times", "no Ansible provisioner"],
        within: Duration::from_secs(180),
    },
    Want {
        submission: "closed",
        provider: "docker",
        args: &[],
        verdicts: [Fail, Fail, Fail],
        exit: 1,
        says: CLOSED,
        within: MINUTE.saturating_mul(2),
    },
    Want {
        submission: "windows",
        provider: "docker",
        args: &[],
        verdicts: [Error, Error, Error],
        exit: 3,
        says: &["machine a is a `gusztavvargadr/windows-10`, which no machine of a lab can be"],
        within: MINUTE.saturating_mul(2),
    },
];
const CLOSED: &[&str] = &["as `nobody` (`config.ssh.username`)"];
const GUESTS: [Want; 10] = [
    Want {
        submission: "sixty-four-gib",
        provider: "libvirt",
        args: &[],
        verdicts: [Error, Error, Error],
        exit: 3,
        says: &["1 virtual machine: with 64.0 GiB of memory, that needs 6"],
        within: MINUTE.saturating_mul(2),
    },
    Want {
        submission: "sixty-four-gib",
        provider: "libvirt",
        args: &["--machine-memory-cap", "512MiB"],
        verdicts: [Pass, Pass, Fail],
        exit: 1,
        says: &["a 512MiB of 64GiB"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "closed",
        provider: "libvirt",
        args: &[],
        verdicts: [Fail, Fail, Fail],
        exit: 1,
        says: CLOSED,
        within: MINUTE.saturating_mul(5),
    },
    Want {
        submission: "flags",
        provider: "libvirt",
        args: &[],
        verdicts: [Pass, Pass, Fail],
        exit: 1,
        says: &["of 32", "only VirtualBox counts", "is defined 2 times", "no Ansible provisioner"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "vmware-only",
        provider: "libvirt",
        args: &[],
        verdicts: [Pass, Pass, Fail],
        exit: 1,
        says: &["`vmware_desktop` (gui, vmx)"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "panics",
        provider: "libvirt",
        args: &[],
        verdicts: [Fail, Fail, Fail],
        exit: 1,
        says: &["machine a crashed while it was provisioned: Kernel panic - not syncing: sysrq triggered crash"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "turns-itself-off",
        provider: "libvirt",
        args: &[],
        verdicts: [Fail, Fail, Fail],
        exit: 1,
        says: &["machine a was turned off while it was provisioned (shutdown)"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "closes-ssh",
        provider: "docker",
        args: SOON,
        // A container is looked at from outside.
        verdicts: [Fail, Pass, Fail],
        exit: 1,
        says: &["no SSH server greets on port 22: no answer to the connection attempt"],
        within: MINUTE.saturating_mul(10),
    },
    Want {
        submission: "closes-ssh",
        provider: "libvirt",
        args: SOON,
        verdicts: [Fail, Fail, Fail],
        exit: 1,
        says: &[FILTERED],
        within: MINUTE.saturating_mul(60),
    },
    Want {
        submission: "windows",
        provider: "libvirt",
        args: &[],
        verdicts: [Error, Error, Error],
        exit: 3,
        says: &["machine a is a `gusztavvargadr/windows-10`, which no machine of a lab can be"],
        within: MINUTE.saturating_mul(2),
    },
];
/// Provisioning has three minutes then, as long as a machine is no slower than what times were written for.
const SOON: &[&str] = &["--patience", "12s"];
const FILTERED: &str =
    "nobody gets into machine a since it was provisioned: it answers, but drops what is sent to its port 22";

fn ends_as(want: &Want) {
    let provider = want.provider;
    let began = Instant::now();
    let reports = tempfile::tempdir().unwrap();
    let submission = here(&format!("tests/it/data/guests/{}", want.submission));
    let mut command = Command::new(env!("CARGO_BIN_EXE_imparcial"));
    command.args([
        "--lang",
        "en",
        "grade",
        &submission,
        "--scenario",
        SCENARIO,
        "--provider",
        provider,
        "--fresh",
        "--quiet",
        "--boxes",
        "stand-in",
    ]);
    command.args(want.args).arg("--reports").arg(reports.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().unwrap();
    let took = began.elapsed();
    let record = std::fs::read_to_string(reports.path().join("latest/record.json"));
    let record = record.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let record: RunRecord = serde_json::from_str(&record).unwrap();
    let verdicts: Vec<Verdict> = record.checks.iter().map(|check| check.verdict).collect();
    // One that hangs on another is not looked at.
    let is = |(seen, want): (&Verdict, &Verdict)| seen == want || (*seen == Skip && *want != Pass);
    let explained = record.checks.iter().map(|check| &check.explanation.en);
    let said: Vec<&String> = explained.chain(record.notices.iter().map(|notice| &notice.text.en)).collect();
    let who = format!("{} with {provider}: {verdicts:?} {said:#?}", want.submission);
    assert!(verdicts.len() == 3 && verdicts.iter().zip(&want.verdicts).all(is), "{who}");
    assert_eq!(output.status.code(), Some(want.exit), "{who}");
    for words in want.says {
        assert!(said.iter().any(|text| text.contains(words)), "{words}: {who}");
    }
    eprintln!("{} {:?} with {provider}: {} s", want.submission, want.args, took.as_secs());
    let within = want.within.mul_f64(if provider == "libvirt" { slower() } else { 1.0 });
    assert!(took < within, "{} of {} s: {who}", took.as_secs(), within.as_secs());
}

/// [`acceleration::Acceleration::slowness`] of the host that the times above are of.
const OF_THE_TIMES: f64 = 3.6;

/// By how much this host emulates machines more slowly, as the run before has measured it.
fn slower() -> f64 {
    let host = acceleration::known(&setup::state());
    host.map_or(1.0, |host| (host.slowness() / OF_THE_TIMES).max(1.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn container_nodes_that_were_asked_for_badly_end_explained() {
    if live::engine().await.is_none() {
        return;
    }
    tokio::task::block_in_place(|| CONTAINERS.iter().for_each(ends_as));
}

/// Each boots a machine; `IMPARCIAL_ONLY` names those that are asked for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "half an hour where machines are emulated: make test-vms"]
async fn virtual_machines_that_were_asked_for_badly_end_explained() {
    if live::engine().await.is_none() {
        return;
    }
    let only = std::env::var("IMPARCIAL_ONLY").unwrap_or_default();
    let asked = GUESTS.iter().filter(|want| only.is_empty() || only.split(',').any(|name| name == want.submission));
    tokio::task::block_in_place(|| asked.for_each(ends_as));
}

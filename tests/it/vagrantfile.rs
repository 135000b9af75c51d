//! Vagrantfiles of every kind, read as they are: by Vagrant's own loader in a sealed container. They lie in
//! `data/vagrantfiles`, a folder each.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use imparcial::lab::vagrantfile;
use imparcial::notice::Reason;
use imparcial::submission::machines::{DiskDef, Loaded, MachineDef};
use imparcial::submission::{self, ReadOptions, Submission};

use tokio_util::sync::CancellationToken;

use crate::live;

/// As many at once as a small machine takes.
const AT_ONCE: usize = 3;
/// How often one is read again that the host was too busy for.
const ALONE: usize = 5;

pub(crate) async fn load(root: &Path, kept: &Path) -> Submission {
    let mut submission = submission::read(root, &ReadOptions::default()).expect("a submission");
    let binary = Path::new(env!("CARGO_BIN_EXE_imparcial"));
    vagrantfile::load_with(&mut submission, kept, binary, &CancellationToken::new()).await;
    submission
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/vagrantfiles").join(name)
}

/// For a line that is the moment's.
const ANY: u32 = 0;

/// What one of them must come to.
enum Want {
    Machines(fn(&Submission, &[MachineDef])),
    /// The submission's doing: words of it, and the line.
    Refused(&'static str, u32),
    Unknown(Reason),
}

use Want::{Machines, Refused, Unknown};

const ALL: [(&str, Want); 27] = [
    // Those that take long first.
    ("loop", Refused("does not come to an end", 2)),
    ("sleeps", Refused("waits for something", 2)),
    ("forks", Refused("starts processes without end", 2)),
    ("eats", Refused("memory", 1)),
    ("floods", Refused("prints without end", 1)),
    // What it starts goes on in the background, wherever the file itself is by then.
    ("bomb", Refused("starts processes without end", ANY)),
    // A burst is over by itself, and a daemon sleeps.
    ("burst", Machines(|_, machines| assert_eq!(machines.len(), 1))),
    ("daemon", Machines(|_, machines| assert_eq!(machines.len(), 1))),
    // Whose bound it was cannot be told.
    ("threads", Unknown(Reason::Host)),
    ("range", Machines(range)),
    ("hash", Machines(hash)),
    ("commented", Machines(commented)),
    ("scsi", Machines(scsi)),
    ("bom", Machines(bom)),
    ("plugins", Machines(plugins)),
    ("slips", Machines(slips)),
    ("syntax", Refused("syntax error", 4)),
    ("conflict", Refused("merge-conflict markers", 2)),
    ("name", Refused("undefined local variable or method `hostnme'", 3)),
    ("one_raises", Refused("machine `bad`: TypeError", 6)),
    ("shadow", Refused("Permission denied", 4)),
    ("missing", Refused("No such file or directory", 2)),
    ("network", Refused("asks the network", 3)),
    ("exits", Refused("ends Vagrant itself", 2)),
    ("kills", Refused("ends the program that reads it", 1)),
    ("program", Unknown(Reason::NotHere)),
    ("written_out", Machines(written_out)),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_vagrantfile_comes_to_what_it_should() {
    let Some(engine) = live::engine().await else { return };
    let kept = tempfile::tempdir().expect("a temporary folder");
    let began = Instant::now();
    use futures_util::StreamExt;
    let read = futures_util::stream::iter(&ALL).map(|(name, want)| {
        let kept = kept.path();
        async move { (*name, want, load(&data(name), kept).await) }
    });
    let mut read: Vec<_> = read.buffer_unordered(AT_ONCE).collect().await;
    // Where the host is too busy to tell, it says so, and that it is to be run again: the other tests start labs, and some of
    // these take all that they are given. So they are read again one by one.
    for (name, _, submission) in &mut read {
        for _ in 0..ALONE {
            let file = submission.vagrantfile.as_ref().expect("a Vagrantfile");
            match &file.loaded {
                Loaded::Unknown { reason: Reason::Host, text } if text.en.contains("too busy") => {}
                _ => break,
            }
            *submission = load(&data(name), kept.path()).await;
        }
    }
    let mut wrong = Vec::new();
    for (name, want, submission) in read {
        let file = submission.vagrantfile.as_ref().expect("a Vagrantfile");
        match (want, &file.loaded) {
            (Machines(look), Loaded::Machines(machines)) => look(&submission, machines),
            (Refused(words, line), Loaded::Refused { text, at })
                if text.en.contains(words)
                    && !text.es.is_empty()
                    && (*line == ANY || at.as_ref().is_some_and(|at| at.line == *line)) => {}
            (Unknown(want), Loaded::Unknown { reason, .. }) if want == reason => {}
            (_, other) => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eprintln!("{} Vagrantfiles in {:?}", ALL.len(), began.elapsed());
    // A second time nothing runs.
    let again = Instant::now();
    let submission = load(&data("range"), kept.path()).await;
    assert_eq!(submission.vagrantfile.expect("a Vagrantfile").machines().len(), 4);
    assert!(again.elapsed() < Duration::from_millis(700), "{:?}", again.elapsed());
    let this = format!("imparcial-sealed-vagrantfile-{}-", std::process::id());
    let options = bollard::query_parameters::ListContainersOptionsBuilder::new().all(true).build();
    let left = engine.docker().list_containers(Some(options)).await.expect("a list");
    let left: Vec<_> = left.iter().flat_map(|c| c.names.iter().flatten()).filter(|name| name.contains(&this)).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn names(machines: &[MachineDef]) -> Vec<&str> {
    machines.iter().map(|machine| machine.name.as_str()).collect()
}

fn addresses(machines: &[MachineDef]) -> Vec<&str> {
    machines.iter().flat_map(|machine| machine.addresses.iter().map(String::as_str)).collect()
}

fn disk(name: &str, gib: u64, spelling: &str) -> DiskDef {
    DiskDef { name: name.into(), bytes: Some(gib << 30), attached: true, spelling: spelling.into() }
}

fn notices(submission: &Submission) -> Vec<&str> {
    // Of a Vagrantfile alone, its playbooks are missing.
    let ours = submission.notices.iter().filter(|notice| notice.id.starts_with("machines."));
    let ours = ours.filter(|notice| notice.id != "machines.no_playbook");
    ours.map(|notice| notice.id.as_str()).collect()
}

fn written_out(submission: &Submission, machines: &[MachineDef]) {
    assert_eq!(names(machines), ["master", "worker1", "worker2", "worker3"]);
    assert_eq!(addresses(machines), ["192.168.56.10", "192.168.56.11", "192.168.56.12", "192.168.56.13"]);
    for machine in machines {
        assert_eq!(machine.disks, [disk(&format!("disks/{}.vdi", machine.name), 5, "createhd")]);
        assert_eq!((machine.memory_bytes, machine.cpus), (Some(512 << 20), Some(1.0)));
        assert_eq!(machine.vb_name.as_deref(), Some(machine.name.as_str()));
        assert!(machine.autostart && !machine.insert_key && machine.invalid.is_empty());
    }
    let it = &machines[3].provisioners[0];
    assert_eq!((it.playbook.as_deref(), it.limit.as_deref()), (Some("playbooks/site.yml"), Some("all")));
    assert_eq!(machines.iter().map(|m| m.at.as_ref().map_or(0, |at| at.line)).collect::<Vec<_>>(), [5, 16, 27, 38]);
    assert_eq!(notices(submission), [""; 0]);
}

fn range(_: &Submission, machines: &[MachineDef]) {
    assert_eq!(names(machines), ["master", "worker1", "worker2", "worker3"]);
    assert_eq!(addresses(machines)[3], "192.168.56.13");
    let last = &machines[3];
    assert_eq!((last.boxed.as_deref(), last.vb_name.as_deref()), (Some("generic/centos7"), Some("exam-worker3")));
    assert_eq!((last.memory_bytes, last.cpus), (Some(1 << 30), Some(2.0)));
    assert_eq!(last.disks, [disk("disks/worker3.vdi", 5, "createmedium")]);
    assert!(machines[0].primary && !last.primary);
}

fn hash(submission: &Submission, machines: &[MachineDef]) {
    assert_eq!(names(machines), ["mestro", "trabajador1", "trabajador2", "trabajador3"]);
    assert_eq!(addresses(machines)[1], "192.168.33.11");
    assert_eq!(machines[1].memory_bytes, Some(256 << 20));
    assert_eq!(machines[1].hostname.as_deref(), Some("trabajador1"), "from the provider's override");
    assert_eq!(notices(submission), [""; 0]);
}

fn commented(_: &Submission, machines: &[MachineDef]) {
    assert_eq!(names(machines), ["m", "w1", "w2", "w3"]);
    assert_eq!(addresses(machines), ["10.0.15.10", "10.0.15.20", "10.0.15.21", "10.0.15.22"]);
    let kinds: Vec<_> = machines[2].provisioners.iter().map(|it| (it.kind.as_str(), it.run.as_deref())).collect();
    assert_eq!(kinds, [("shell", Some("always")), ("ansible_local", None), ("file", None)]);
    assert_eq!(machines[0].invalid, ["File upload source file a must exist"]);
}

fn scsi(_: &Submission, machines: &[MachineDef]) {
    let [a, b] = machines else { panic!("{machines:?}") };
    assert!(!a.autostart && b.autostart);
    assert_eq!(a.disks, [disk("~/VirtualBox VMs/a/second.vmdk", 1, "createhd")]);
    assert_eq!((a.forwarded.as_slice(), a.private_networks, a.addresses.len()), ([(5000, 5000)].as_slice(), 1, 0));
    let synced: Vec<_> = a.synced.iter().map(|it| (it.host.as_str(), it.disabled, it.kind.as_deref())).collect();
    assert_eq!(synced, [(".", true, None), ("shared", false, Some("rsync"))]);
    assert_eq!(b.disks, [disk("data", 5, "vm.disk")]);
    assert!(a.invalid.is_empty() && b.invalid.is_empty(), "{:?} {:?}", a.invalid, b.invalid);
}

fn bom(_: &Submission, machines: &[MachineDef]) {
    let [one] = machines else { panic!("{machines:?}") };
    assert_eq!((one.name.as_str(), one.hostname.as_deref()), ("default", Some("solo")));
    assert_eq!(one.provisioners[0].script.as_deref(), Some("echo mañana"));
    assert!(one.invalid.is_empty());
}

fn plugins(submission: &Submission, machines: &[MachineDef]) {
    assert_eq!(names(machines), ["only"]);
    let only = &machines[0];
    assert_eq!(
        (only.box_version.as_deref(), only.box_urls.as_slice()),
        (Some("~> 2004.0"), ["https://boxes.example/centos7.json".to_owned()].as_slice())
    );
    assert!(machines[0].invalid.is_empty(), "{:?}", machines[0].invalid);
    assert_eq!(notices(submission), ["machines.plugins", "machines.version"]);
    assert_eq!(submission.vagrantfiles, [PathBuf::from("vagrantfile")]);
}

fn slips(submission: &Submission, machines: &[MachineDef]) {
    assert_eq!(machines[0].invalid, ["`playbook` file path must be set.", "Unknown configuration section 'mv'."]);
    assert_eq!(machines[1].invalid[0], "The following settings shouldn't exist: boxx");
    assert!(notices(submission).iter().all(|id| *id == "machines.invalid"));
}

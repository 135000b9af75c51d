//! What Vagrant and Ansible print where no task ran, or where a shell did the work.

use std::sync::LazyLock;

use regex::Regex;

use super::said::regex;
use super::{Seen, Verdict, task};
use crate::nearest;
use crate::notice::Reason;
use crate::sanitize;
use crate::stack::LeftOut;
use crate::stack::machines::Task;
use crate::text::Text;

static ERROR: LazyLock<Regex> = LazyLock::new(|| regex(r"(?m)^(?:[\w.-]+: |\s+[\w.-]+: |\s*)?ERROR! (.*)$"));
static PLACE: LazyLock<Regex> = LazyLock::new(|| regex(r"error appears to be in '([^']+)': line (\d+)"));
static NO_PLAYBOOK: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"`playbook` does not exist on the (?:host|guest): (\S+)|the playbook: (\S+) could not be found")
});
static UNRESOLVED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"couldn't resolve module/action '([^']+)'|this task '([^']+)' has extra params"));
static NO_ROLE: LazyLock<Regex> = LazyLock::new(|| regex(r"the role '([^']+)' was not found"));
static NOT_AN_ATTRIBUTE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"'(sudo|sudo_user|su|su_user|include|accelerate|always_run|static)' is not a valid attribute|conflicting action statements: .*\b(sudo|sudo_user|su|su_user|always_run)\b",
    )
});
static NOBODY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?s)leaves us with no hosts to target|Could not match supplied host pattern, ignoring: (\S+).*no hosts matched|skipping: no hosts matched",
    )
});
static SHELL: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?m)^==> ([\w.-]+): Running provisioner: (?:\S+ \()?shell\)?"));
static NO_ANSIBLE: LazyLock<Regex> =
    LazyLock::new(|| regex(r"The Ansible software could not be found|ansible-playbook.*(not found|No such file)"));

/// Modules that Ansible had under these names and has no more, some without a word about it.
const GONE: &[&str] = &[
    "docker",
    "docker_service",
    "docker_image_facts",
    "ec2_facts",
    "ec2_vpc",
    "accelerate",
    "fireball",
    "letsencrypt",
    "include",
    "nxos_ip_interface",
    "azure",
    "cl_bond",
    "s3",
    "gce",
    "kubernetes",
    "oc",
    "k8s_raw",
    "openshift_raw",
    "win_msi",
    "vsphere_guest",
    "ldap_attr",
];
/// Names that a mistyped one is compared with.
const KNOWN: &[&str] = &[
    "command",
    "shell",
    "copy",
    "template",
    "file",
    "yum",
    "dnf",
    "apt",
    "package",
    "service",
    "systemd",
    "user",
    "group",
    "lineinfile",
    "blockinfile",
    "get_url",
    "git",
    "pip",
    "mount",
    "filesystem",
    "parted",
    "script",
    "raw",
    "debug",
    "fetch",
    "unarchive",
    "uri",
    "cron",
    "hostname",
    "sysctl",
    "docker_container",
    "docker_image",
    "docker_network",
    "docker_swarm",
    "docker_compose",
    "gluster_volume",
    "gluster_peer",
    "firewalld",
    "selinux",
];

/// Why nothing was provisioned, as it was printed; none where nothing of the kind was.
pub(super) fn of(output: &str, seen: &Seen<'_>) -> Option<LeftOut> {
    if let Some(found) = NO_PLAYBOOK.captures(output) {
        let path = first(&found);
        let text = Text::new(
            format!("the playbook {path} that the Vagrantfile names is not there"),
            format!("el playbook {path} que nombra el Vagrantfile no existe"),
        );
        return Some(LeftOut { reason: None, text });
    }
    if let Some(found) = ERROR.captures(output) {
        return Some(of_error(&found[1], output, seen));
    }
    if let Some(found) = NOBODY.captures(output) {
        let pattern = found.get(1).map(|m| format!(" (`{}`)", sanitize::line(m.as_str(), 80))).unwrap_or_default();
        let text = Text::new(
            format!("the playbook's hosts{pattern} match no machine: no task ran"),
            format!("los hosts del playbook{pattern} no corresponden a ninguna máquina: no corrió ninguna tarea"),
        );
        return Some(LeftOut { reason: None, text });
    }
    if NO_ANSIBLE.is_match(output) {
        let text = Text::new("Ansible is not on this node", "Ansible no está en este nodo");
        return Some(LeftOut { reason: Some(Reason::NotHere), text });
    }
    of_shell(output, seen)
}

/// An `ERROR!` of ansible-playbook: it ended before any task.
fn of_error(said: &str, output: &str, seen: &Seen<'_>) -> LeftOut {
    let verdict = judged(said, output, seen);
    let at = PLACE.captures(output).map(|c| format!(" ({}:{})", own_path(&c[1]), &c[2])).unwrap_or_default();
    let detail = output.lines().skip_while(|line| !line.contains("Syntax Error while loading YAML")).nth(1);
    let said = sanitize::line(said, 240);
    let said =
        detail.map_or(said, |detail| format!("Syntax Error while loading YAML: {}", sanitize::line(detail, 160)));
    LeftOut {
        reason: verdict.reason,
        text: Text::new(
            format!("Ansible could not run the playbook{at}: {said}: {}", verdict.because.en),
            format!("Ansible no pudo correr el playbook{at}: {said}: {}", verdict.because.es),
        ),
    }
}

fn judged(said: &str, output: &str, seen: &Seen<'_>) -> Verdict {
    if said.contains("has been removed") || NOT_AN_ATTRIBUTE.is_match(said) {
        return task::removed(seen);
    }
    if let Some(found) = UNRESOLVED.captures(said) {
        let name = first(&found);
        if GONE.contains(&name.as_str()) {
            return task::removed(seen);
        }
        if name.matches('.').count() >= 2 {
            let why = Text::new("that collection is not installed here", "esa colección no está instalada aquí");
            return Verdict::undecided(Reason::NotHere, why);
        }
        let meant = nearest::nearest(&name, KNOWN.iter().copied());
        let (en, es) = meant.map_or_else(Default::default, |meant| {
            (format!("; did you mean `{meant}`?"), format!("; ¿quiso decir `{meant}`?"))
        });
        let why = Text::new(format!("there is no module `{name}`{en}"), format!("no hay módulo `{name}`{es}"));
        return Verdict::certain(why);
    }
    if let Some(found) = NO_ROLE.captures(said) {
        let name = first(&found);
        if name.contains('.') {
            let why = Text::new(
                "a role of Ansible Galaxy that is not in the submission",
                "un rol de Ansible Galaxy que no está en la entrega",
            );
            return Verdict::undecided(Reason::NotHere, why);
        }
        let why = Text::new("the submission has no such role", "la entrega no tiene ese rol");
        return Verdict::certain(why);
    }
    if said.contains("no hosts to target") {
        return Verdict::certain(Text::new("no machine is meant", "no se refiere a ninguna máquina"));
    }
    if said.contains("Unexpected Exception") || output.contains("Traceback (most recent call last)") {
        let why = Text::new("Ansible itself stopped", "el propio Ansible se detuvo");
        return Verdict::undecided(Reason::Host, why);
    }
    Verdict::certain(Text::new("the submission's own files are wrong", "los propios archivos de la entrega están mal"))
}

/// A shell that ended with something other than 0: what it printed is judged as a task's message is.
fn of_shell(output: &str, seen: &Seen<'_>) -> Option<LeftOut> {
    const FAILED: &str = "The SSH command responded with a non-zero exit status";
    let end = output.find(FAILED)?;
    let before = &output[..end];
    let begun = SHELL.captures_iter(before).last()?;
    let whole = begun.get(0)?;
    let host = begun.get(1)?.as_str().to_owned();
    let prefix = format!("    {host}: ");
    let said: Vec<&str> = before[whole.end()..]
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .filter(|line| !line.starts_with("Running: "))
        .collect();
    let last = said.len().saturating_sub(20);
    let shell = Task {
        host: host.clone(),
        module: "shell".to_owned(),
        status: "failed".to_owned(),
        message: said[last..].join("\n"),
        // What it ran is known by what it printed alone: a fetch is taken for one.
        command: Some("curl".to_owned()),
        ..Task::default()
    };
    let verdict = task::of(&shell, seen);
    let words = sanitize::line(said.last().copied().unwrap_or_default(), 240);
    Some(LeftOut {
        reason: verdict.reason,
        text: Text::new(
            format!("the shell provisioner of `{host}` failed ({words}): {}", verdict.because.en),
            format!("el aprovisionador shell de `{host}` falló ({words}): {}", verdict.because.es),
        ),
    })
}

fn first(found: &regex::Captures<'_>) -> String {
    sanitize::line(found.iter().skip(1).flatten().next().map(|m| m.as_str()).unwrap_or_default(), 120)
}

/// As the submission has it, where that can be told: without the run's own folder.
fn own_path(path: &str) -> String {
    let cut = ["/vagrant/", "/work/submission/", "/work/"].iter().find_map(|root| path.strip_prefix(root));
    sanitize::line(cut.unwrap_or(path), 160)
}

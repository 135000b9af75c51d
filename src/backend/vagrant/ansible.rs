//! What our callback plugin wrote down while playbooks ran (`vagrant/images/lab/ansible/callback`).
//!
//! Testimony: a play can write there what it likes. So every line is bounded and made harmless, what is no line of ours is
//! passed over, and nothing of it is taken for a path or a program.

use serde_json::Value;

use crate::sanitize;
use crate::stack::machines::{HostStats, Playbook, Task};

/// What is read of a log at most, in bytes and in results; a real playbook's is some kilobytes.
pub const MOST_BYTES: usize = 8 << 20;
const MOST_LINE: usize = 64 << 10;
const MOST_TASKS: usize = 5000;
const MOST_PLAYBOOKS: usize = 64;
const MOST_HOSTS: usize = 64;
/// Characters of a name, and of a message.
const NAME: usize = 200;
const MESSAGE: usize = 2200;

/// A controller's log.
pub struct Log<'l> {
    pub bytes: &'l [u8],
    /// The machine that was its own controller (`ansible_local`); none for the lab's.
    pub on_node: Option<&'l str>,
    /// The folders that the submission's files were in for it: `/work/submission`, `/vagrant`.
    pub roots: &'l [&'l str],
}

/// The playbooks of a log, in the order in which they began.
pub fn read(log: &Log<'_>) -> Vec<Playbook> {
    let mut runs: Vec<(String, Playbook)> = Vec::new();
    let mut tasks = 0;
    let bytes = &log.bytes[..log.bytes.len().min(MOST_BYTES)];
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| line.len() <= MOST_LINE) {
        let Ok(Value::Object(line)) = serde_json::from_slice(line) else { continue };
        let line = Value::Object(line);
        let (Some(run), Some(event)) = (line["run"].as_str(), line["event"].as_str()) else { continue };
        let index = match runs.iter().position(|(known, _)| known == run) {
            Some(index) => index,
            None if event == "playbook" && runs.len() < MOST_PLAYBOOKS => {
                let file = name(&line, "file").unwrap_or_default();
                let file = below(&file, log.roots).unwrap_or(file);
                runs.push((run.to_owned(), Playbook { file, ..Playbook::default() }));
                continue;
            }
            None => continue,
        };
        let playbook = &mut runs[index].1;
        match event {
            "start" | "result" if tasks < MOST_TASKS => {
                tasks += 1;
                take(playbook, event, task(&line, log));
            }
            "nobody" if playbook.nobody.len() < MOST_HOSTS => playbook.nobody.extend(name(&line, "play")),
            "stats" => {
                playbook.ended = true;
                playbook.hosts = hosts(&line["hosts"]);
            }
            _ => {}
        }
    }
    runs.into_iter().map(|(_, playbook)| playbook).collect()
}

fn take(playbook: &mut Playbook, event: &str, task: Task) {
    if event == "start" {
        playbook.unfinished.push(task);
        return;
    }
    let is_it = |begun: &Task| (&begun.host, &begun.name, &begun.at) == (&task.host, &task.name, &task.at);
    if let Some(index) = playbook.unfinished.iter().position(is_it) {
        playbook.unfinished.remove(index);
    }
    playbook.tasks.push(task);
}

fn task(line: &Value, log: &Log<'_>) -> Task {
    let flag = |key: &str| line[key].as_bool().unwrap_or(false);
    let controller = flag("local");
    Task {
        // Where a machine is its own controller, a play for `localhost` is a play for it.
        host: match (log.on_node, controller) {
            (Some(node), true) => node.to_owned(),
            _ => name(line, "host").unwrap_or_default(),
        },
        play: name(line, "play").unwrap_or_default(),
        name: name(line, "task").unwrap_or_default(),
        module: name(line, "module").unwrap_or_default(),
        status: name(line, "status").unwrap_or_default(),
        ignored: flag("ignored") || flag("rescued"),
        provided: flag("provided"),
        mapped: long(line, "mapped"),
        message: long(line, "message").unwrap_or_default(),
        at_s: line["at_s"].as_f64().unwrap_or_default(),
        at: name(line, "at").and_then(|at| below(&at, log.roots)),
        command: long(line, "cmd"),
        when: long(line, "when"),
        address: name(line, "address"),
        on_machine: !controller || log.on_node.is_some(),
    }
}

fn name(line: &Value, key: &str) -> Option<String> {
    let text = sanitize::line(line[key].as_str()?, NAME);
    (!text.is_empty()).then_some(text)
}

fn long(line: &Value, key: &str) -> Option<String> {
    let text: String = sanitize::text(line[key].as_str()?.trim()).chars().take(MESSAGE).collect();
    (!text.is_empty()).then_some(text)
}

/// A path as the submission has it.
fn below(path: &str, roots: &[&str]) -> Option<String> {
    let inside = |root: &&str| path.strip_prefix(root.trim_end_matches('/'))?.strip_prefix('/').map(str::to_owned);
    roots.iter().find_map(inside).filter(|path| !path.split('/').any(|part| part == ".."))
}

fn hosts(stats: &Value) -> Vec<HostStats> {
    let rows = stats.as_object().into_iter().flatten().take(MOST_HOSTS);
    rows.map(|(host, row)| {
        let count = |key: &str| row[key].as_u64().unwrap_or(0);
        HostStats {
            host: sanitize::line(host, NAME),
            ok: count("ok"),
            changed: count("changed"),
            unreachable: count("unreachable"),
            failed: count("failures"),
            skipped: count("skipped"),
            rescued: count("rescued"),
            ignored: count("ignored"),
        }
    })
    .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The lines of one run, as the plugin wrote them down in real ones.
    pub(crate) fn of(lines: &str) -> Vec<Playbook> {
        read(&Log { bytes: lines.as_bytes(), on_node: None, roots: &["/work"] })
    }

    const SITE: &str = r#"
{"run": "1-1", "event": "playbook", "file": "/work/playbooks/site.yml"}
{"run": "1-1", "event": "play", "play": "all", "hosts": "[\"all\"]"}
{"run": "1-1", "event": "start", "host": "master", "local": false, "play": "all", "task": "install", "module": "ansible.builtin.package", "at": "/work/playbooks/site.yml:8"}
{"run": "1-1", "event": "result", "host": "master", "local": false, "play": "all", "task": "install", "module": "ansible.builtin.package", "at": "/work/playbooks/site.yml:8", "status": "changed", "ignored": false, "rescued": false, "message": "", "provided": true, "mapped": "package → apt: docker → docker.io"}
{"run": "1-1", "event": "start", "host": "master", "local": false, "play": "all", "task": "wait", "module": "ansible.builtin.pause", "at": "/work/../etc/x.yml:1"}
"#;

    #[test]
    fn a_run_that_was_ended_shows_what_it_was_in() {
        let plays = of(SITE);
        assert_eq!((plays.len(), plays[0].file.as_str(), plays[0].ended), (1, "playbooks/site.yml", false));
        let [task] = &plays[0].tasks[..] else { panic!("{plays:?}") };
        assert_eq!((task.status.as_str(), task.provided, task.on_machine), ("changed", true, true));
        assert_eq!(task.at.as_deref(), Some("playbooks/site.yml:8"));
        assert_eq!(task.mapped.as_deref(), Some("package → apt: docker → docker.io"));
        let [wait] = &plays[0].unfinished[..] else { panic!("{plays:?}") };
        assert_eq!((wait.short_module(), &wait.at), ("pause", &None), "a path that leads out is none of it");
    }

    #[test]
    fn what_is_no_line_of_ours_is_passed_over_and_all_is_bounded() {
        let mut log =
            String::from("nonsense\n[1]\n{\"run\": 1}\n{\"run\": \"x\", \"event\": \"stats\", \"hosts\": 7}\n\u{0}\n");
        log.push_str(SITE);
        let huge = "y".repeat(40_000);
        for _ in 0..MOST_TASKS + 50 {
            log.push_str(
                "{\"run\": \"1-1\", \"event\": \"result\", \"host\": [], \"status\": \"ok\", \"local\": \"no\"}\n",
            );
        }
        log.push_str(&format!("{{\"run\": \"1-1\", \"event\": \"result\", \"message\": \"\\u001b[31m{huge}\"}}\n"));
        let plays = of(&log);
        assert_eq!(plays.len(), 1);
        assert!(plays[0].tasks.len() <= MOST_TASKS);
        let one = of(&format!(
            "{{\"run\": \"1\", \"event\": \"playbook\"}}\n{{\"run\": \"1\", \"event\": \"result\", \"message\": \"\\u001b[31m{huge}\"}}\n"
        ));
        let message = &one[0].tasks[0].message;
        assert!(message.chars().count() <= MESSAGE && !message.contains('\u{1b}'));
    }

    #[test]
    fn a_machine_that_is_its_own_controller_is_a_machine() {
        let line = "{\"run\": \"1\", \"event\": \"playbook\", \"file\": \"/vagrant/p.yml\"}\n\
            {\"run\": \"1\", \"event\": \"result\", \"host\": \"localhost\", \"local\": true, \"status\": \"ok\"}\n";
        let on =
            |node| read(&Log { bytes: line.as_bytes(), on_node: node, roots: &["/vagrant"] }).remove(0).tasks.remove(0);
        assert!(!on(None).on_machine);
        let task = on(Some("worker1"));
        assert_eq!((task.host.as_str(), task.on_machine), ("worker1", true));
    }
}

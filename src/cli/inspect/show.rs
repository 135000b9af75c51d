//! The text of `inspect`: what a person wants to know before grading. Whatever the submission wrote is made harmless.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::machines;
use super::view::{HitView, LimitView, ServiceView, View};
use crate::expect::Place;
use crate::notice::{Level, Notice};
use crate::sanitize;
use crate::scenario::units::show_bytes;
use crate::text::{Lang, Text};

/// Longer lists and texts are cut: the JSON has all of it.
const MAX_LISTED: usize = 12;
const MAX_LINE: usize = 400;

pub(super) fn show(view: &View, lang: Lang) -> String {
    let say = |en: &str, es: &str| Text::new(en, es).get(lang).to_owned();
    let mut out = String::new();
    let mut rows = vec![(say("submission", "entrega"), view.path.clone())];
    rows.extend(view.source.as_ref().and_then(|source| source.commit(lang)).map(|said| ("commit".to_owned(), said)));
    let compose = match (&view.compose_file, &view.compose_version) {
        (Some(path), Some(version)) => format!("{} ({} {version})", path.display(), say("version", "versión")),
        (Some(path), None) => path.display().to_string(),
        (None, _) => say("none", "ninguno"),
    };
    rows.push((say("compose file", "archivo compose"), compose));
    rows.push(("Dockerfiles".to_owned(), files(&view.dockerfiles, lang)));
    rows.push(("requirements".to_owned(), files(&view.requirements, lang)));
    rows.push(("SQL".to_owned(), files(&view.sql, lang)));
    rows.extend(view.vagrantfile.as_ref().map(|file| ("Vagrantfile".to_owned(), file.path.display().to_string())));
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, value) in &rows {
        put(&mut out, &format!("{name:<width$}  "), value);
    }
    if !view.services.is_empty() {
        section(&mut out, &say("Services", "Servicios"));
        for service in &view.services {
            put_service(&mut out, service, lang);
        }
    }
    if let Some(file) = &view.vagrantfile {
        section(&mut out, &say("Machines", "Máquinas"));
        for (before, line) in machines::lines(file, lang) {
            put(&mut out, before, &line);
        }
    }
    if !view.roles.is_empty() {
        section(&mut out, &say("Roles", "Roles"));
        for role in &view.roles {
            let service = role.service.as_deref().unwrap_or("–");
            put(&mut out, "  ", &format!("{} = {service}: {}", role.role, role.why.get(lang)));
        }
    }
    if let Some(scripts) = &view.scripts {
        let title = say("Scripts of the database", "Scripts de la base de datos");
        section(&mut out, &format!("{title} ({})", scripts.store));
        for why in &scripts.why {
            put(&mut out, "  ", why.get(lang));
        }
        for (word, list) in [
            (say("given", "dados"), &scripts.given),
            (say("shell, not read", "shell, no se leen"), &scripts.shell),
            (say("not given, create tables", "no dados, crean tablas"), &scripts.found),
        ] {
            if !list.is_empty() {
                put(&mut out, "  ", &format!("{word}: {}", files(list, lang)));
            }
        }
    }
    section(&mut out, &say("Policy", "Política"));
    if view.services.is_empty() {
        let nothing = say(
            "could not be judged: no compose file was read",
            "no se pudo juzgar: no se leyó ningún archivo compose",
        );
        put(&mut out, "  ", &nothing);
    } else if view.policy.is_empty() && view.services.iter().all(|s| s.host_paths.is_empty()) {
        out.push_str(&say("  nothing is asked of the machine\n", "  no se pide nada de la máquina\n"));
    }
    for hit in &view.policy {
        put(&mut out, "  ", &hit_line(hit, lang));
    }
    for service in view.services.iter().filter(|s| !s.host_paths.is_empty()) {
        put(&mut out, "  ", &host_paths(service, lang));
    }
    if !view.notices.is_empty() {
        section(&mut out, &say("Notices", "Avisos"));
        for notice in &view.notices {
            put(&mut out, "  ", &notice_line(notice, lang));
        }
    }
    out
}

/// What is wrong, a line each, and nothing else: what the policy refuses or takes out, warnings and problems.
pub(super) fn findings(view: &View, lang: Lang) -> String {
    let mut out = String::new();
    for hit in view.policy.iter().filter(|hit| hit.action != "allow") {
        put(&mut out, "", &hit_line(hit, lang));
    }
    for text in view.vagrantfile.iter().filter_map(|file| file.why.as_ref()) {
        put(&mut out, "", text.get(lang));
    }
    for notice in view.notices.iter().filter(|notice| notice.level != Level::Info) {
        put(&mut out, "", &notice_line(notice, lang));
    }
    out
}

fn hit_line(hit: &HitView, lang: Lang) -> String {
    let word = match hit.action {
        "refuse" => Text::new("refused", "rechazado"),
        "strip" => Text::new("taken out", "quitado"),
        _ => Text::new("allowed", "permitido"),
    };
    format!("{}: {} [{}]{}", word.get(lang), hit.text.get(lang), hit.rule, at(&hit.at))
}

fn host_paths(service: &ServiceView, lang: Lang) -> String {
    let text = Text::new(
        format!("`{}` binds paths of the machine (one that is not there is made, empty): ", service.name),
        format!("`{}` monta rutas de la máquina (la que no exista se crea vacía): ", service.name),
    );
    format!("{}{}", text.get(lang), service.host_paths.join(", "))
}

fn notice_line(notice: &Notice, lang: Lang) -> String {
    let mark = match notice.level {
        Level::Problem => Text::new("problem: ", "problema: "),
        Level::Warning => Text::new("warning: ", "atención: "),
        Level::Info => Text::default(),
    };
    let text = notice.text.get(lang);
    let place = notice.at.as_ref().map(at).filter(|place| !text.contains(place.trim_matches([' ', '(', ')'])));
    format!("{}{text}{}", mark.get(lang), place.unwrap_or_default())
}

fn put_service(out: &mut String, service: &ServiceView, lang: Lang) {
    let say = |en: &str, es: &str| Text::new(en, es).get(lang).to_owned();
    let mut parts = Vec::new();
    match (&service.build, &service.base) {
        (Some(context), Some(base)) => {
            parts.push(format!("{} {context}, {base}", say("built from", "construido desde")))
        }
        (Some(context), None) => parts.push(format!("{} {context}", say("built from", "construido desde"))),
        (None, _) => parts.push(service.image.clone().unwrap_or_else(|| say("no image", "sin imagen"))),
    }
    parts.push(if service.ports.is_empty() {
        say("no port published", "sin puertos publicados")
    } else {
        format!("{} {}", say("ports", "puertos"), service.ports.join(", "))
    });
    let limit = |limit: &Option<LimitView>, none: String, show: fn(f64) -> String| match limit {
        Some(l) => format!("{} ({}: {}, {} {})", show(l.value), l.spelling, l.written, say("line", "línea"), l.at.line),
        None => none,
    };
    parts.push(limit(&service.memory, say("no memory limit", "sin límite de memoria"), bytes));
    parts.push(limit(&service.cpus, say("no cpu limit", "sin límite de cpu"), |cpus| format!("{cpus} cpu")));
    put(out, "  ", &format!("{}: {}", service.name, parts.join("; ")));
}

fn bytes(value: f64) -> String {
    show_bytes(value as u64)
}

fn at(place: &Place) -> String {
    if place.line == 0 { String::new() } else { format!(" ({}:{}:{})", place.file, place.line, place.column) }
}

fn files(list: &[PathBuf], lang: Lang) -> String {
    if list.is_empty() {
        return Text::new("none", "ninguno").get(lang).to_owned();
    }
    let mut shown: Vec<String> = list.iter().take(MAX_LISTED).map(|path| path.display().to_string()).collect();
    if list.len() > MAX_LISTED {
        let more = list.len() - MAX_LISTED;
        shown.push(Text::new(format!("and {more} more"), format!("y {more} más")).get(lang).to_owned());
    }
    shown.join(", ")
}

fn section(out: &mut String, title: &str) {
    out.push('\n');
    put(out, "", title);
}

/// One line: what stands before it is ours, the rest may be a student's.
fn put(out: &mut String, before: &str, line: &str) {
    let _ = writeln!(out, "{before}{}", sanitize::line(line, MAX_LINE));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submission::{self, ReadOptions, bind};

    fn view(files: &[(&str, &str)]) -> View {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (file, content) in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
            std::fs::write(path, content).expect("a file");
        }
        let submission = submission::read(dir.path(), &ReadOptions::default()).expect("a submission");
        View::of(&submission, &bind::default_roles(), &[], &bind::plain_family)
    }

    #[test]
    fn a_delivery_in_both_languages() {
        let compose = "version: '3'\nservices:\n  web:\n    build: .\n    ports: ['5000:5000', 127.0.0.1:80:80/udp]\n    mem_limit: 20m\n    cap_add: [ALL]\n  bd:\n    image: mysql:5.7\n    volumes: ['./sql:/docker-entrypoint-initdb.d', '/mnt/datos:/var/lib/mysql']\n";
        let view = view(&[
            ("docker-compose.yml", compose),
            ("Dockerfile", "FROM python:3.6\n"),
            ("sql/init.sql", "create table t (a int);"),
        ]);
        assert!(!view.is_hopeless());
        let en = show(&view, Lang::En);
        for piece in [
            "compose file  docker-compose.yml (version 3)",
            "  web: built from ., python:3.6; ports 5000:5000, 127.0.0.1:80:80/udp; 20MiB (mem_limit: 20m, line 6); no cpu limit",
            "  app = web: ",
            "  db = bd: ",
            "  given: sql/init.sql",
            "  taken out: `web` asks for the capabilities ALL [cap_add] (docker-compose.yml:7:5)",
            "`bd` binds paths of the machine (one that is not there is made, empty): /mnt/datos",
        ] {
            assert!(en.contains(piece), "{piece}\n{en}");
        }
        let es = show(&view, Lang::Es);
        assert!(es.contains("archivo compose") && es.contains("quitado: ") && es.contains("sin límite de cpu"), "{es}");
        let json = serde_json::to_value(&view).expect("JSON");
        assert_eq!(json["roles"][1]["service"], "bd");
        assert_eq!(json["services"][0]["memory"]["value"], 20_971_520.0);
    }

    #[test]
    fn what_cannot_be_graded_is_hopeless_and_says_why() {
        let nothing = view(&[]);
        assert!(nothing.is_hopeless());
        assert!(show(&nothing, Lang::En).contains("problem: the folder is empty"));
        let broken = view(&[("compose.yml", "a: [\n")]);
        assert!(broken.is_hopeless());
        let text = show(&broken, Lang::Es);
        assert!(text.contains("compose.yml:") && text.matches("compose.yml:").count() == 1, "{text}");
    }

    #[test]
    fn names_of_a_submission_do_nothing_to_the_terminal() {
        let view = view(&[("compose.yml", "services:\n  \"a\\e[2J\\nb\": {image: \"x\\a\"}\n")]);
        let text = show(&view, Lang::En);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

//! Why a Vagrantfile, or one machine of it, could not be read: in words, with the line, and whose doing it is.

use super::Loaded;
use super::answer::Raised;
use crate::expect::Place;
use crate::notice::Reason;
use crate::sanitize;
use crate::text::Text;

const LONGEST: usize = 300;

/// What an error comes to. `machine` is whose block it was in, where it was in one.
pub(super) fn of(raised: &Raised, machine: Option<&str>, plugins: &[String]) -> Loaded {
    let at = place(raised);
    let line = line(&at);
    let message = first_line(&raised.message);
    let class = sanitize::line(&raised.class, 80);
    let refused = |en: String, es: String| {
        let (en, es) = match machine.map(|name| sanitize::line(name, 80)) {
            Some(name) => (format!("machine `{name}`: {en}"), format!("máquina `{name}`: {es}")),
            None => (en, es),
        };
        let text = Text::new(
            format!("Vagrant cannot load the Vagrantfile: {en}"),
            format!("Vagrant no puede cargar el Vagrantfile: {es}"),
        );
        Loaded::Refused { text, at: at.clone() }
    };
    let unknown = |reason, en: String, es: String| {
        let text = Text::new(
            format!("the Vagrantfile could not be read here: {en}"),
            format!("no se pudo leer aquí el Vagrantfile: {es}"),
        );
        Loaded::Unknown { reason, text }
    };
    let (en, es) = (&line.en, &line.es);
    match raised.kind.as_str() {
        "syntax" => {
            let message = without_place(&message);
            refused(format!("syntax error{en}: {message}"), format!("error de sintaxis{es}: {message}"))
        }
        "conflict" => refused(
            format!("merge-conflict markers are left in it{en}"),
            format!("quedaron marcas de conflicto de fusión{es}"),
        ),
        "exit" => {
            refused(format!("it ends Vagrant itself{en} ({message})"), format!("termina Vagrant{es} ({message})"))
        }
        "loop" => refused(
            format!("it does not come to an end{en}: it was stopped after {:.0} s on the processor", raised.cpu),
            format!("no termina{es}: se detuvo tras {:.0} s de procesador", raised.cpu),
        ),
        "waits" => refused(
            format!("it waits for something that does not come{en}: it was stopped after {:.0} s", raised.took),
            format!("espera algo que no llega{es}: se detuvo tras {:.0} s", raised.took),
        ),
        "processes" => refused(format!("it starts processes without end{en}"), format!("inicia procesos sin fin{es}")),
        "full" => unknown(
            Reason::Host,
            format!("this host lets no more processes be started{en}; run it again when it does less"),
            format!("este equipo no deja iniciar más procesos{es}; repita cuando haga menos"),
        ),
        "memory" => refused(
            format!("it asks for more memory than reading a Vagrantfile needs{en}"),
            format!("pide más memoria de la que necesita la lectura de un Vagrantfile{es}"),
        ),
        "network" => refused(
            format!("it asks the network while it is read{en}, which has no answer where it is read: {message}"),
            format!("consulta la red mientras se lee{es}, y no hay respuesta donde se lee: {message}"),
        ),
        "library" => unknown(
            Reason::NotHere,
            format!("it requires a Ruby library that is not here{en}: {message}"),
            format!("requiere una biblioteca de Ruby que no está aquí{es}: {message}"),
        ),
        "program" => unknown(
            Reason::NotHere,
            format!("it runs a program that is not here{en}: {message}"),
            format!("ejecuta un programa que no está aquí{es}: {message}"),
        ),
        "raised" if message.contains("uninitialized constant Vagrant") && !plugins.is_empty() => {
            let named = sanitize::line(&plugins.join(", "), LONGEST);
            unknown(
                Reason::NotHere,
                format!("it uses plugins that are not here ({named}){en}: {message}"),
                format!("usa plugins que no están aquí ({named}){es}: {message}"),
            )
        }
        "raised" | "vagrant" if at.is_some() => {
            refused(format!("{class}{en}: {message}"), format!("{class}{es}: {message}"))
        }
        "starved" | "late" => unknown(
            Reason::Host,
            format!("this host was too busy: after {:.0} s it was not done{en}; run it again", raised.took),
            format!("este equipo estaba demasiado ocupado: tras {:.0} s no había terminado{es}; repita", raised.took),
        ),
        "no_vagrant" => unknown(
            Reason::Host,
            format!("the lab's image has no Vagrant that works ({message}): run `imparcial setup`"),
            format!(
                "la imagen del laboratorio no tiene un Vagrant que funcione ({message}): ejecute `imparcial setup`"
            ),
        ),
        _ => unknown(Reason::Imparcial, format!("{class}: {message}"), format!("{class}: {message}")),
    }
}

fn place(raised: &Raised) -> Option<Place> {
    let (file, line) = (raised.file.as_ref()?, raised.line?);
    Some(Place { file: sanitize::line(file, LONGEST), line, column: 1 })
}

/// ` (Vagrantfile, line 4)`.
fn line(at: &Option<Place>) -> Text {
    at.as_ref().map_or_else(Text::default, |at| {
        let (file, line) = (&at.file, at.line);
        Text::new(format!(" ({file}, line {line})"), format!(" ({file}, línea {line})"))
    })
}

fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    sanitize::line(line, LONGEST)
}

/// Ruby writes `Vagrantfile:4: ` before what it says of the syntax, and we the line.
fn without_place(message: &str) -> &str {
    let mut parts = message.splitn(3, ':');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(line), Some(said)) if line.parse::<u32>().is_ok() => {
            said.trim_start().trim_start_matches("syntax error, ")
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised(kind: &str, class: &str, message: &str) -> Raised {
        let (file, line) = (Some("Exam/Vagrantfile".to_owned()), Some(4));
        Raised { kind: kind.into(), class: class.into(), message: message.into(), file, line, took: 6.2, cpu: 6.1 }
    }

    fn said(raised: &Raised, plugins: &[String]) -> (Option<Reason>, String) {
        match of(raised, None, plugins) {
            Loaded::Refused { text, at } => {
                assert_eq!(at.map(|at| at.line), raised.line);
                (None, text.en)
            }
            Loaded::Unknown { reason, text } => (Some(reason), text.en),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_mistake_of_the_file_is_its_own_and_has_its_line() {
        let message = "Exam/Vagrantfile:4: syntax error, unexpected fraction\n...ip: 1.2.3\n";
        let (reason, text) = said(&raised("syntax", "SyntaxError", message), &[]);
        assert_eq!(reason, None);
        assert!(text.ends_with("syntax error (Exam/Vagrantfile, line 4): unexpected fraction"), "{text}");
        for kind in ["conflict", "exit", "loop", "waits", "processes", "memory", "network", "raised", "vagrant"] {
            let (reason, text) = said(&raised(kind, "NameError", "undefined local variable `x'\n\n  x\n  ^"), &[]);
            assert!(reason.is_none() && text.contains("line 4"), "{kind}: {text}");
        }
        let one = of(&raised("raised", "TypeError", "nil"), Some("b\u{1b}[2Jad"), &[]);
        let Loaded::Refused { text, .. } = one else { panic!("{one:?}") };
        assert!(text.en.contains("machine `b") && !text.en.contains('\u{1b}'), "{}", text.en);
    }

    #[test]
    fn what_is_not_here_is_nobodys_mistake() {
        let plugins = ["vagrant-x".to_owned()];
        let constant = raised("raised", "NameError", "uninitialized constant VagrantPlugins::X");
        assert_eq!(said(&constant, &plugins).0, Some(Reason::NotHere));
        assert_eq!(said(&constant, &[]).0, None);
        assert_eq!(
            said(&raised("library", "LoadError", "cannot load such file -- colorize"), &[]).0,
            Some(Reason::NotHere)
        );
        assert_eq!(said(&raised("program", "Errno::ENOENT", "x"), &[]).0, Some(Reason::NotHere));
        assert_eq!(said(&raised("starved", "", ""), &[]).0, Some(Reason::Host));
        assert_eq!(said(&raised("full", "Errno::EAGAIN", "fork(2)"), &[]).0, Some(Reason::Host));
        // Raised in our own code.
        let ours = Raised { file: None, line: None, ..raised("raised", "NoMethodError", "x") };
        assert_eq!(said(&ours, &[]).0, Some(Reason::Imparcial));
        assert_eq!(said(&raised("never heard of", "", ""), &[]).0, Some(Reason::Imparcial));
    }
}

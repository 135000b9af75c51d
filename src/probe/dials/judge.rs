//! Whether what was heard of an app reaches its store by name: from what it asked for and dialled, and whose addresses
//! these are.

use std::net::{IpAddr, SocketAddr};

use crate::agent::dials::{Attempt, Dials, Question};
use crate::text::Text;

/// Whose names and addresses there are, and when it was ourselves who asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Scene {
    /// Where the store listens.
    pub port: u16,
    /// In lower case, the one to recommend first.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    /// Ports of the machine that lead to the store.
    pub published: Vec<u16>,
    /// The machine, as containers see it.
    pub machine: Vec<IpAddr>,
    /// The other services.
    pub others: Vec<(String, Vec<IpAddr>)>,
    /// The app's own addresses, `lo` left out.
    pub own: Vec<IpAddr>,
    /// The lines of the app's hosts file.
    pub hosts: Vec<(IpAddr, String)>,
    /// Seconds of the epoch: our own looks from inside, and the engine's health checks.
    pub not_the_app: Vec<(f64, f64)>,
    /// Seconds of the epoch when a health check may have run unseen: it counts neither for nor against the app.
    pub doubtful: Vec<(f64, f64)>,
}

/// How an app reaches its store, as far as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Dialled {
    /// It asked for this name of the store, or has it in its hosts file.
    ByName(String),
    /// It dialled this and never asked for the store.
    Wrong(Wrong),
    /// It tried no database at all; these names it asked for, and they lead nowhere.
    Nothing { unknown: Vec<String> },
}

/// An attempt at a database that is not by the store's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) struct Wrong {
    pub to: SocketAddr,
    pub whose: Whose,
    pub accepted: bool,
    /// Nothing was missed that could tell otherwise.
    pub sure: bool,
    /// The store's name.
    pub name: Option<String>,
    pub port: u16,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) enum Whose {
    /// The store's, dialled without its name.
    Store,
    /// The machine's, at a port that leads to the store.
    Machine,
    /// The app's own container.
    Itself,
    Service(String),
    /// Somebody answers who is no service.
    Elsewhere,
    Nobody,
}

/// Judges what was heard.
pub(super) fn judge(dials: &Dials, scene: &Scene) -> Dialled {
    let within = |spans: &[(f64, f64)], t: &f64| spans.iter().any(|(from, to)| (*from..=*to).contains(t));
    let perhaps = |at: &[f64]| at.iter().any(|t| !within(&scene.not_the_app, t));
    let theirs = |at: &[f64]| at.iter().any(|t| !within(&scene.not_the_app, t) && !within(&scene.doubtful, t));
    let for_store = |q: &&Question| {
        scene.names.contains(&q.name) || q.addresses.iter().any(|address| scene.addresses.contains(address))
    };
    if let Some(question) = dials.questions.iter().filter(for_store).find(|q| theirs(&q.at)) {
        return Dialled::ByName(question.name.clone());
    }
    let attempts = |whether: &dyn Fn(&[f64]) -> bool| -> Vec<(&Attempt, Whose)> {
        let those = dials.attempts.iter().filter(|a| whether(&a.at));
        those.filter_map(|a| scene.whose(a).map(|whose| (a, whose))).collect()
    };
    let mut known = attempts(&theirs);
    let line =
        |a: &Attempt| scene.hosts.iter().find(|(address, _)| *address == a.to.ip()).map(|(_, name)| name.clone());
    let leads = |whose: &Whose| matches!(whose, Whose::Store | Whose::Machine);
    if let Some(name) = known.iter().filter(|(_, whose)| leads(whose)).find_map(|(a, _)| line(a)) {
        return Dialled::ByName(name);
    }
    // Without any that is surely the app's, those that may be: they keep it from being decided.
    let certain = !known.is_empty();
    if !certain {
        known = attempts(&perhaps);
    }
    // What reaches the store is how the app works; among others, the last one.
    let last = |a: &Attempt| a.at.last().copied().unwrap_or_default();
    let chosen =
        known.iter().max_by(|(a, one), (b, other)| leads(one).cmp(&leads(other)).then(last(a).total_cmp(&last(b))));
    match chosen {
        None => Dialled::Nothing { unknown: unknown(dials, theirs) },
        Some((attempt, whose)) => {
            // A question that may have been ours may have been the app's too.
            let asked_unseen = dials.hidden_questions || dials.questions.iter().any(|q| for_store(&q));
            let asked_perhaps = dials.questions.iter().filter(for_store).any(|q| perhaps(&q.at));
            let heard = dials.from_start && dials.whole && certain && !asked_perhaps;
            let sure = heard && !(leads(whose) && asked_unseen);
            let name = scene.names.first().cloned();
            let accepted = attempt.accepted;
            Dialled::Wrong(Wrong { to: attempt.to, whose: whose.clone(), accepted, sure, name, port: scene.port })
        }
    }
}

/// Plain names that were asked for and have no address: what a service would be called.
fn unknown(dials: &Dials, theirs: impl Fn(&[f64]) -> bool) -> Vec<String> {
    let plain = |q: &&Question| q.addresses.is_empty() && !q.name.contains('.') && theirs(&q.at);
    dials.questions.iter().filter(plain).map(|q| q.name.clone()).collect()
}

impl Scene {
    /// Whose the address of an attempt at a database is; none where it is no such attempt.
    fn whose(&self, attempt: &Attempt) -> Option<Whose> {
        let (ip, port) = (attempt.to.ip(), attempt.to.port());
        if port != self.port && !self.published.contains(&port) {
            return None;
        }
        if self.addresses.contains(&ip) {
            return Some(Whose::Store);
        }
        if self.machine.contains(&ip) && self.published.contains(&port) && attempt.accepted {
            return Some(Whose::Machine);
        }
        if ip.is_loopback() || ip.is_unspecified() || self.own.contains(&ip) {
            // A forwarder of its own: what that dials is heard as well.
            return (!attempt.accepted).then_some(Whose::Itself);
        }
        if let Some((service, _)) = self.others.iter().find(|(_, addresses)| addresses.contains(&ip)) {
            return Some(Whose::Service(service.clone()));
        }
        Some(if attempt.accepted { Whose::Elsewhere } else { Whose::Nobody })
    }
}

impl Dialled {
    /// Whether it surely dials what no waiting makes its store.
    pub(in crate::probe) fn astray(&self) -> bool {
        matches!(self, Self::Wrong(wrong) if wrong.sure && !wrong.whose.is_store())
    }

    /// Whom it dials instead of its store, by every name that its code may write. `names` are the store's.
    pub(in crate::probe) fn hosts(&self, dials: &Dials, names: &[String]) -> Vec<String> {
        match self {
            Self::ByName(_) => Vec::new(),
            Self::Wrong(wrong) => {
                let ip = wrong.to.ip();
                let asked = dials.questions.iter().filter(|q| q.addresses.contains(&ip)).map(|q| q.name.clone());
                let own = (ip.is_loopback() || ip.is_unspecified()).then(|| "localhost".to_owned());
                std::iter::once(ip.to_string()).chain(own).chain(asked).collect()
            }
            Self::Nothing { unknown } => unknown.iter().filter(|asked| !names.contains(asked)).cloned().collect(),
        }
    }

    /// Why a page gets no rows, as far as whom its app dials explains it. `names` are the store's.
    pub(in crate::probe) fn trouble(&self, names: &[String]) -> Option<Text> {
        match self {
            // What reaches the store is not what the page lacks.
            Self::Wrong(wrong) if !wrong.whose.is_store() => Some(wrong.text()),
            // A store that is down has no name either.
            Self::Nothing { unknown } => {
                let unknown: Vec<_> = unknown.iter().filter(|asked| !names.contains(asked)).collect();
                let (asked, name) = (unknown.last()?, names.first()?);
                Some(Text::new(
                    format!("the app asks for `{asked}`, which no service is called; your database is `{name}`"),
                    format!(
                        "la aplicación pregunta por `{asked}`, y ningún servicio se llama así; su base de datos es `{name}`"
                    ),
                ))
            }
            _ => None,
        }
    }
}

impl Whose {
    /// Whether it leads to the store, though not by its name.
    pub(in crate::probe) fn is_store(&self) -> bool {
        matches!(self, Self::Store | Self::Machine)
    }
}

impl Wrong {
    /// Whether it leads to the store at all: at an address of the store's or the machine's, or, where somebody else took the
    /// connection, perhaps through that one, if the store can be reached from inside.
    pub(super) fn reaches(&self, from_inside: bool) -> bool {
        self.accepted && (self.whose.is_store() || from_inside)
    }

    /// In words for people.
    pub(in crate::probe) fn text(&self) -> Text {
        let to = self.to;
        let name = self.name.as_deref().unwrap_or("?");
        let (en, es) = match &self.whose {
            Whose::Store => (
                "which is the database's address in this run only, and never asks for its name".to_owned(),
                "que es la dirección de la base de datos solo en esta ejecución, y nunca pregunta por su nombre"
                    .to_owned(),
            ),
            Whose::Machine => (
                "the machine's address and the port that is published there".to_owned(),
                "la dirección de la máquina y el puerto que se publica en ella".to_owned(),
            ),
            Whose::Itself => (
                "its own container, where no database answers".to_owned(),
                "su propio contenedor, donde no responde ninguna base de datos".to_owned(),
            ),
            Whose::Service(service) => {
                (format!("which is your service `{service}`"), format!("que es su servicio `{service}`"))
            }
            Whose::Elsewhere => {
                ("which is none of your services".to_owned(), "que no es ninguno de sus servicios".to_owned())
            }
            Whose::Nobody => ("which nothing here answers".to_owned(), "donde aquí no responde nada".to_owned()),
        };
        let port = self.port;
        let inside = if to.port() == port { name.to_owned() } else { format!("{name}:{port}") };
        Text::new(
            format!("the app dials {to}, {en}; your database is `{inside}`"),
            format!("la aplicación llama a {to}, {es}; su base de datos es `{inside}`"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: &str = "172.18.0.2";
    const APP: &str = "172.18.0.3";
    const WEB: &str = "172.18.0.4";

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn scene() -> Scene {
        Scene {
            port: 3306,
            names: vec!["db".into(), "db.x_default".into(), "x_db_1".into()],
            addresses: vec![ip(DB)],
            published: vec![32000],
            machine: vec![ip("172.18.0.1"), ip("172.17.0.9")],
            others: vec![("web".into(), vec![ip(WEB)])],
            own: vec![ip(APP)],
            hosts: vec![(ip("127.0.0.1"), "localhost".into()), (ip(APP), "0123456789ab".into())],
            not_the_app: vec![(100.0, 101.0)],
            doubtful: Vec::new(),
        }
    }

    fn heard(questions: &[(&str, &[&str], f64)], attempts: &[(&str, bool, f64)]) -> Dials {
        let question = |(name, addresses, at): &(&str, &[&str], f64)| Question {
            name: (*name).into(),
            addresses: addresses.iter().map(|a| ip(a)).collect(),
            at: vec![*at],
        };
        let attempt = |(to, accepted, at): &(&str, bool, f64)| Attempt {
            to: to.parse().unwrap(),
            accepted: *accepted,
            refused: false,
            at: vec![*at],
        };
        Dials {
            from_start: true,
            whole: true,
            hidden_questions: false,
            questions: questions.iter().map(question).collect(),
            attempts: attempts.iter().map(attempt).collect(),
        }
    }

    /// `name …`, `nothing …`, or whose address was dialled, with `?` where it is not sure.
    fn verdict(dials: &Dials, scene: &Scene) -> String {
        match judge(dials, scene) {
            Dialled::ByName(name) => format!("name {name}"),
            Dialled::Nothing { unknown } => format!("nothing {}", unknown.join(" ")).trim_end().to_owned(),
            Dialled::Wrong(wrong) => {
                let whose = match &wrong.whose {
                    Whose::Service(service) => format!("service {service}"),
                    other => format!("{other:?}").to_lowercase(),
                };
                format!("{whose} {}{}", wrong.to, if wrong.sure { "" } else { "?" })
            }
        }
    }

    #[test]
    fn who_takes_the_connection_may_pass_it_on() {
        let to = |to: &str, accepted: bool| match judge(&heard(&[], &[(to, accepted, 1.0)]), &scene()) {
            Dialled::Wrong(wrong) => (wrong.reaches(true), wrong.reaches(false)),
            other => panic!("{other:?}"),
        };
        assert_eq!(to("172.18.0.2:3306", true), (true, true), "the store's address");
        assert_eq!(to("172.18.0.2:32000", false), (false, false), "a port of the machine's, at the store");
        assert_eq!(to("172.18.0.4:3306", true), (true, false), "a proxy of the file's");
        assert_eq!(to("172.18.0.4:3306", false), (false, false), "another service");
        assert_eq!(to("192.168.1.20:3306", false), (false, false), "nobody");
    }

    type Row =
        (&'static [(&'static str, &'static [&'static str], f64)], &'static [(&'static str, bool, f64)], &'static str);

    #[test]
    fn what_is_heard_decides() {
        let rows: &[Row] = &[
            // The store's name, whatever came of it, and whatever else is dialled.
            (&[("db", &[DB], 1.0)], &[("172.18.0.2:3306", true, 1.1)], "name db"),
            (&[("db", &[], 1.0)], &[], "name db"),
            (&[("db.x_default", &[DB], 1.0)], &[], "name db.x_default"),
            (&[("db", &[DB], 2.0)], &[("192.168.1.20:3306", false, 1.0)], "name db"),
            // A name that is not listed and leads there all the same.
            (&[("alias", &[DB], 1.0)], &[("172.18.0.2:3306", true, 1.1)], "name alias"),
            // Addresses.
            (&[], &[("192.168.1.20:3306", false, 1.0)], "nobody 192.168.1.20:3306"),
            (&[], &[("192.168.1.20:32000", false, 1.0)], "nobody 192.168.1.20:32000"),
            (&[], &[("127.0.0.1:3306", false, 1.0)], "itself 127.0.0.1:3306"),
            (&[], &[("[::1]:3306", false, 1.0)], "itself [::1]:3306"),
            (&[], &[("172.18.0.2:3306", true, 1.0)], "store 172.18.0.2:3306"),
            (&[], &[("172.18.0.2:3306", false, 1.0)], "store 172.18.0.2:3306"),
            (&[], &[("172.18.0.1:32000", true, 1.0)], "machine 172.18.0.1:32000"),
            (&[], &[("172.18.0.1:3306", false, 1.0)], "nobody 172.18.0.1:3306"),
            (&[], &[("8.8.8.8:3306", true, 1.0)], "elsewhere 8.8.8.8:3306"),
            (&[], &[("172.18.0.9:3306", false, 1.0)], "nobody 172.18.0.9:3306"),
            // The name of another service, and of the app itself.
            (&[("web", &[WEB], 1.0)], &[("172.18.0.4:3306", false, 1.1)], "service web 172.18.0.4:3306"),
            (&[("app", &[APP], 1.0)], &[("172.18.0.3:3306", false, 1.1)], "itself 172.18.0.3:3306"),
            // A forwarder inside the app's container: what matters is whom that dials.
            (&[], &[("127.0.0.1:3306", true, 1.0)], "nothing"),
            (&[("db", &[DB], 1.0)], &[("127.0.0.1:3306", true, 1.0)], "name db"),
            // No database: other ports, other names.
            (&[], &[], "nothing"),
            (&[("pypi.org", &[], 1.0)], &[("1.2.3.4:443", true, 1.0)], "nothing"),
            (&[("web", &[WEB], 1.0)], &[("172.18.0.4:80", true, 1.0)], "nothing"),
            (&[("bd", &[], 1.0)], &[], "nothing bd"),
            // What reaches the store is what counts, else the last.
            (&[], &[("172.18.0.2:3306", true, 1.0), ("10.0.0.1:3306", false, 2.0)], "store 172.18.0.2:3306"),
            (&[], &[("10.0.0.2:3306", false, 1.0), ("10.0.0.1:3306", false, 2.0)], "nobody 10.0.0.1:3306"),
            // Our own looks are nobody's.
            (&[("db", &[DB], 100.5)], &[("172.18.0.2:3306", true, 100.6)], "nothing"),
            (&[("db", &[DB], 100.5)], &[("10.0.0.1:3306", false, 50.0)], "nobody 10.0.0.1:3306"),
            (&[("db", &[DB], 100.5)], &[("172.18.0.2:3306", true, 102.0)], "store 172.18.0.2:3306?"),
        ];
        for (questions, attempts, expected) in rows {
            assert_eq!(verdict(&heard(questions, attempts), &scene()), *expected, "{questions:?} {attempts:?}");
        }
    }

    #[test]
    fn a_hosts_line_that_leads_to_the_store_is_a_name() {
        let with = |address: &str| {
            let mut scene = scene();
            scene.hosts.push((ip(address), "base".into()));
            scene
        };
        let store = heard(&[], &[("172.18.0.2:3306", true, 1.0)]);
        assert_eq!(verdict(&store, &with(DB)), "name base");
        let machine = heard(&[], &[("172.18.0.1:32000", true, 1.0)]);
        assert_eq!(verdict(&machine, &with("172.18.0.1")), "name base");
        let elsewhere = heard(&[], &[("192.168.1.20:3306", false, 1.0)]);
        assert_eq!(verdict(&elsewhere, &with("192.168.1.20")), "nobody 192.168.1.20:3306");
    }

    #[test]
    fn what_was_missed_makes_it_unsure() {
        let nobody = heard(&[], &[("192.168.1.20:3306", false, 1.0)]);
        let late = Dials { from_start: false, ..nobody.clone() };
        assert_eq!(verdict(&late, &scene()), "nobody 192.168.1.20:3306?");
        let lossy = Dials { whole: false, ..nobody.clone() };
        assert_eq!(verdict(&lossy, &scene()), "nobody 192.168.1.20:3306?");
        let hidden = Dials { hidden_questions: true, ..nobody };
        assert_eq!(verdict(&hidden, &scene()), "nobody 192.168.1.20:3306");
        let store = heard(&[], &[("172.18.0.2:3306", true, 1.0)]);
        assert_eq!(verdict(&Dials { hidden_questions: true, ..store }, &scene()), "store 172.18.0.2:3306?");
        let asked = heard(&[("db", &[DB], 1.0)], &[]);
        assert_eq!(verdict(&Dials { from_start: false, whole: false, ..asked }, &scene()), "name db");
    }

    #[test]
    fn what_may_be_a_health_checks_is_neither_for_nor_against() {
        let scene = Scene { doubtful: vec![(0.0, 10.0), (100.0, f64::INFINITY)], ..scene() };
        let said = |questions: &[(&str, &[&str], f64)], attempts: &[(&str, bool, f64)]| {
            verdict(&heard(questions, attempts), &scene)
        };
        // A fixed address, and a check that asks by name; and the other way round.
        assert_eq!(said(&[("db", &[DB], 5.0)], &[("10.0.0.1:3306", false, 50.0)]), "nobody 10.0.0.1:3306?");
        assert_eq!(said(&[("db", &[DB], 50.0)], &[("127.0.0.1:3306", false, 5.0)]), "name db");
        assert_eq!(said(&[], &[("127.0.0.1:3306", false, 5.0)]), "itself 127.0.0.1:3306?");
        assert_eq!(said(&[], &[("127.0.0.1:3306", false, 102.0)]), "itself 127.0.0.1:3306?");
        assert_eq!(said(&[], &[("10.0.0.1:3306", false, 50.0)]), "nobody 10.0.0.1:3306");
        assert_eq!(said(&[("db", &[DB], 5.0)], &[]), "nothing");
        // Ours is ours, whatever else may have been.
        assert_eq!(said(&[("db", &[DB], 100.5)], &[("10.0.0.1:3306", false, 50.0)]), "nobody 10.0.0.1:3306");
    }

    #[test]
    fn a_page_is_told_what_keeps_it_from_its_rows() {
        let told = |dials: &Dials| {
            let dialled = judge(dials, &scene());
            (dialled.astray(), dialled.trouble(&["db".into()]).map(|t| t.en))
        };
        let (astray, said) = told(&heard(&[], &[("127.0.0.1:3306", false, 1.0)]));
        assert!(astray && said.is_some_and(|s| s.contains("its own container, where no database answers")));
        let (astray, said) = told(&heard(&[("bd", &[], 1.0)], &[]));
        assert!(!astray && said.is_some_and(|s| s.starts_with("the app asks for `bd`, which no service is called")));
        // It gets through to the store: something else is wrong.
        assert_eq!(told(&heard(&[], &[("172.18.0.2:3306", true, 1.0)])), (false, None));
        assert_eq!(told(&heard(&[("db", &[DB], 1.0)], &[])), (false, None));
        let late = Dials { from_start: false, ..heard(&[], &[("10.0.0.1:3306", false, 1.0)]) };
        assert!(!told(&late).0);
    }

    #[test]
    fn it_is_said_whom_it_dials_and_what_the_database_is() {
        let said = |attempt: &str, accepted| match judge(&heard(&[], &[(attempt, accepted, 1.0)]), &scene()) {
            Dialled::Wrong(wrong) => wrong.text(),
            other => panic!("{other:?}"),
        };
        let text = said("192.168.1.20:3306", false);
        assert_eq!(text.en, "the app dials 192.168.1.20:3306, which nothing here answers; your database is `db`");
        assert_eq!(
            text.es,
            "la aplicación llama a 192.168.1.20:3306, donde aquí no responde nada; su base de datos es `db`"
        );
        let text = said("172.18.0.1:32000", true);
        assert!(text.en.ends_with("your database is `db:3306`"), "{}", text.en);
    }
}

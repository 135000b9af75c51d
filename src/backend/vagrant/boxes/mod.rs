//! Which machines are made of the boxes that they declare: asked of the catalogue, from the lab, and fetched by Vagrant there.
//!
//! Each box is asked for once, all at the same time and with a deadline. What is taken is an exact version at an exact address:
//! Vagrant is given that as a catalogue of its own, so that nothing is asked twice and nothing else can come of it.

mod catalogue;
mod version;

use std::time::Duration;

use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::catalogue::{Answer, PROVIDER, is_address};
use super::{output, run};
use crate::backend::log::Log;
use crate::backend::{BackendError, Site};
use crate::exec::{Cmd, RunErrorKind, ShellExt};
use crate::notice::{Level, Notice, Reason};
use crate::stack::LeftOut;
use crate::stack::machines::Taken;
use crate::submission::machines::MachineDef;
use crate::submission::machines::boxes::{self, Served};
use crate::text::Text;

/// Where boxes come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boxes {
    /// The catalogue, where it answers and has them for virtual machines in a lab; else stand-ins.
    #[default]
    Auto,
    /// Only the catalogue.
    Pull,
    /// Only stand-ins: nobody is asked.
    StandIn,
}

/// Where boxes come from, and whom to ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    pub from: Boxes,
    /// Another catalogue than the public one.
    pub server: Option<String>,
}

/// That of Vagrant where nothing else is said.
const PUBLIC: &str = "https://vagrantcloud.com/api/v2/vagrant";
/// In the lab: what Vagrant is told of the boxes that it is to fetch.
const TOLD: &str = "/run/imparcial/boxes";
/// Seconds, as `curl` takes them: for a connection, and for an answer.
const CONNECTS: &str = "3";
const ANSWERS: &str = "8";
/// Bytes of an answer: it has all versions of a box, and of a box itself the beginning is enough.
const LARGEST: &str = "3000000";
const ASKED: Duration = Duration::from_secs(20);

/// A box as a Vagrantfile declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    name: String,
    urls: Vec<String>,
    version: Option<String>,
}

/// The box that is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Real {
    pub(super) name: String,
    /// None of an address that is a box's own.
    pub(super) version: Option<String>,
    url: String,
    /// Its kind, and the sum.
    checksum: Option<(String, String)>,
}

/// Why a box cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nobody answers, or with what is no answer.
    Silent(String),
    /// There is none of that name.
    Unknown,
    /// The same of a catalogue, or of an address, that is somebody's own: others may have it.
    NotThere,
    /// None that meets what the Vagrantfile asks for.
    NoVersion(String),
    /// It is to be had for others only.
    OtherProviders(Vec<String>),
    /// No catalogue has names like that, and it has no address that could be asked.
    NoAddress,
    /// It is there, and could not be fetched.
    NotFetched(String),
}

/// What of each box is taken.
pub(super) type Known = Vec<(Wanted, Option<Real>)>;

/// What came of it for each box that the machines declare.
#[derive(Debug, Default)]
pub(super) struct Decided(Vec<(Wanted, Result<Real, Missing>)>);

impl Wanted {
    /// Nothing of a machine whose box is none, or no system that a lab can have.
    fn of(def: &MachineDef) -> Option<Self> {
        let name = def.boxed.clone().filter(|_| matches!(boxes::of_machine(def), Served::Node(_)))?;
        // Ours are there already.
        if name.starts_with("imparcial/") {
            return None;
        }
        Some(Self { name, urls: def.box_urls.clone(), version: def.box_version.clone() })
    }

    /// Where it is asked for.
    fn address(&self, server: &str) -> Option<String> {
        if let Some(url) = self.urls.iter().chain([&self.name]).find(|it| is_address(it)) {
            return Some(url.clone());
        }
        let named = self.urls.is_empty() && self.name.split('/').filter(|part| !part.is_empty()).count() == 2;
        named.then(|| format!("{}/{}", server.trim_end_matches('/'), self.name))
    }
}

impl Real {
    pub(super) fn taken(&self) -> Taken {
        Taken { version: self.version.clone(), from: shown(&self.url) }
    }
}

/// An address without what is nobody's business.
fn shown(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else { return String::new() };
    let _ = (url.set_username(""), url.set_password(None));
    url.set_query(None);
    crate::sanitize::line(url.as_str(), 200)
}

impl Decided {
    /// Of a machine's box; nothing where nobody was to be asked.
    pub(super) fn of(&self, def: &MachineDef) -> Option<&Result<Real, Missing>> {
        let wanted = Wanted::of(def)?;
        self.0.iter().find(|(known, _)| *known == wanted).map(|(_, found)| found)
    }

    /// What of each box is taken: where that is the same, so are the machines.
    pub(super) fn taken(&self) -> Known {
        self.0.iter().map(|(wanted, found)| (wanted.clone(), found.as_ref().ok().cloned())).collect()
    }

    /// Whether it would be another one if somebody had answered.
    pub(super) fn is_for_lack_of_an_answer(&self) -> bool {
        self.0.iter().any(|(_, found)| matches!(found, Err(Missing::Silent(_) | Missing::NotFetched(_))))
    }

    /// For reports: what serves in the place of which box, and why.
    pub(super) fn tell(&self, log: &mut Log) {
        let mut said: Vec<(&Missing, Vec<String>)> = Vec::new();
        for (wanted, found) in &self.0 {
            let Err(no) = found else { continue };
            let name = crate::sanitize::line(&wanted.name, 80);
            match said.iter_mut().find(|(known, _)| *known == no) {
                Some((_, names)) => names.push(name),
                None => said.push((no, vec![name])),
            }
        }
        log.notices().extend(said.into_iter().map(|(no, names)| {
            let (why, more) = (no.why(), no.more());
            let of = format!("{}{more}", names.join(", "));
            let text = Text::new(format!("{}: stand-ins ({of})", why.en), format!("{}: sustitutos ({of})", why.es));
            Notice::new("machines.boxes", Level::Info, text)
        }));
    }
}

impl Missing {
    fn why(&self) -> Text {
        match self {
            Self::Silent(_) => Text::new("the box catalogue does not answer", "el catálogo de boxes no responde"),
            Self::Unknown | Self::NotThere => Text::new(
                "the box catalogue has none of that name",
                "el catálogo de boxes no tiene ninguno con ese nombre",
            ),
            Self::NoVersion(asked) => {
                let asked = crate::sanitize::line(asked, 60);
                Text::new(
                    format!("the box catalogue has no version `{asked}` of it"),
                    format!("el catálogo de boxes no tiene la versión `{asked}`"),
                )
            }
            Self::OtherProviders(_) => Text::new(
                "the box catalogue does not have it for libvirt",
                "el catálogo de boxes no lo tiene para libvirt",
            ),
            Self::NoAddress => Text::new(
                "no catalogue has boxes of such names: it is on somebody's own computer",
                "ningún catálogo tiene boxes con nombres así: está en el computador de alguien",
            ),
            Self::NotFetched(_) => Text::new("the box could not be fetched", "no se pudo traer el box"),
        }
    }

    /// What was seen, behind a name.
    fn more(&self) -> String {
        match self {
            Self::Silent(said) | Self::NotFetched(said) => format!("; {said}"),
            Self::OtherProviders(others) if !others.is_empty() => format!("; {}", others.join(", ")),
            _ => String::new(),
        }
    }

    /// Why a machine is not there that was to be made of its own box alone. It is the submission's doing only where the catalogue
    /// knows no such box, nobody else knows the name either, and the delivery is known not to be so old (`old`) that there may have been one.
    pub(super) fn left_out(&self, def: &MachineDef, old: Option<bool>) -> LeftOut {
        let known = matches!(boxes::of_machine(def), Served::Node(entry) if entry.known);
        let reason = match self {
            Self::Unknown if known => Some(Reason::NotHere),
            Self::Unknown if old == Some(false) => None,
            Self::Unknown => Some(Reason::Age),
            Self::Silent(_) | Self::NotFetched(_) => Some(Reason::Host),
            _ => Some(Reason::NotHere),
        };
        let (machine, named) = (&def.name, crate::sanitize::line(def.boxed.as_deref().unwrap_or_default(), 80));
        let (why, more) = (self.why(), self.more());
        LeftOut {
            reason,
            text: Text::new(
                format!("machine {machine} is to be made of its own box (`--boxes pull`): {} ({named}{more})", why.en),
                format!(
                    "la máquina {machine} debe hacerse de su propio box (`--boxes pull`): {} ({named}{more})",
                    why.es
                ),
            ),
        }
    }
}

/// Asks for every box of the machines that `vagrant up` starts.
pub(super) async fn ask(site: &Site, defs: &[MachineDef], asking: &Asking) -> Decided {
    if asking.from == Boxes::StandIn {
        return Decided::default();
    }
    let mut all: Vec<Wanted> = Vec::new();
    for wanted in defs.iter().filter(|def| def.autostart).filter_map(Wanted::of) {
        if !all.contains(&wanted) {
            all.push(wanted);
        }
    }
    let server = asking.server.as_deref().unwrap_or(PUBLIC);
    let asked = all.into_iter().map(|wanted| async move {
        let found = match wanted.address(server) {
            Some(address) => {
                let found = catalogue::decide(&wanted, &address, &answer(site, &address).await);
                // Only of the public one is it known that nobody has it who is not there.
                let named = asking.server.is_some() || !address.starts_with(PUBLIC);
                found.map_err(|no| if named && no == Missing::Unknown { Missing::NotThere } else { no })
            }
            None => Err(Missing::NoAddress),
        };
        (wanted, found)
    });
    Decided(join_all(asked).await)
}

async fn answer(site: &Site, address: &str) -> Answer {
    let ask = Cmd::new(["curl", "--silent", "--show-error", "--location", "--globoff", "--proto", "=http,https"])
        .args(["--proto-redir", "=http,https", "--connect-timeout", CONNECTS, "--max-time", ANSWERS])
        .args(["--max-filesize", LARGEST, "--header", "Accept: application/json", "--write-out", "\n%{http_code}"])
        .args(["--url", address]);
    match site.shell.run(&ask.timeout(ASKED)).await {
        Ok(said) => Answer { status: said.status, complaint: said.err(), printed: said.stdout },
        Err(error) => Answer { status: -1, complaint: error.to_string(), printed: Vec::new() },
    }
}

/// Has Vagrant fetch what was found, all of it in that time. What cannot be fetched is none that is taken.
pub(super) async fn fetch(
    site: &Site,
    decided: &mut Decided,
    within: Duration,
    log: &mut Log,
) -> Result<(), BackendError> {
    let (mut there, mut said) = (Vec::<Real>::new(), String::new());
    let ends = Instant::now() + within;
    for (at, (_, found)) in decided.0.iter_mut().enumerate() {
        let Ok(real) = &*found else { continue };
        if there.contains(real) {
            continue;
        }
        let (text, why) = fetch_one(site, real, at, ends.saturating_duration_since(Instant::now())).await?;
        said.push_str(&text);
        match why {
            None => there.push(real.clone()),
            Some(why) => *found = Err(Missing::NotFetched(why)),
        }
    }
    if !said.is_empty() {
        log.keep("vagrant-box-add.txt", said);
    }
    Ok(())
}

/// What Vagrant said, and why the box is not there.
async fn fetch_one(
    site: &Site,
    real: &Real,
    number: usize,
    within: Duration,
) -> Result<(String, Option<String>), BackendError> {
    site.shell.must(&Cmd::new(["mkdir", "-p", TOLD]).timeout(ASKED)).await?;
    let mut add = run::at_home(run::plain()).args(["box", "add", "--provider", PROVIDER]);
    if real.version.is_some() {
        let told = format!("{TOLD}/{number}.json");
        let metadata = catalogue::metadata(real).to_string();
        site.shell.must(&Cmd::new(["tee", &told]).stdin(metadata).timeout(ASKED)).await?;
        add = add.arg(told);
    } else {
        add = add.arg(format!("--name={}", real.name)).arg(&real.url);
    }
    // In a folder without a Vagrantfile, and as the lab itself: with its proxies and its certificates.
    match site.shell.run(&add.cwd(TOLD).timeout(within)).await {
        Ok(done) => {
            let text = output::clean(done.both().as_bytes());
            let why = (!done.ok()).then(|| last(&output::clean(done.err().as_bytes()), &text));
            Ok((text, why))
        }
        Err(error) => match &error.kind {
            RunErrorKind::Timeout(..) => {
                let why = format!("{} s", within.as_secs());
                Ok((String::new(), Some(why)))
            }
            _ => Err(error.into()),
        },
    }
}

/// The words that a failed fetch ended with.
fn last(complaint: &str, all: &str) -> String {
    let said = if complaint.trim().is_empty() { all } else { complaint };
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    crate::sanitize::line(&lines[lines.len().saturating_sub(6)..].join(" "), 300)
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

//! The arguments that `plan` and `grade` share, and the way from them to a plan or to every problem at once.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Ctx, exit};
use crate::backend::vagrant::Provider;
use crate::backend::vagrant::boxes::{Asking, Boxes};
use crate::lab::{Guard, reaper, vagrantfile};
use crate::plan::{self, Images, Options, Place, Plan};
use crate::probe::PROBES;
use crate::scenario::{self, diagnostics, units};
use crate::submission::handed::{self, Fault, Given, TakeError};
use crate::submission::when::HandedIn;
use crate::submission::{self, ReadOptions, Submission};
use crate::text::Text;

/// A submission, a scenario, and what the caller decides about them.
#[derive(Clone, Debug, clap::Args)]
pub struct Planning {
    /// What was handed in: a folder, a .zip, a .tar.gz, a .tar, or the URL of a git repository (https, ssh, git@…, file;
    /// a branch behind `#`).
    #[arg(value_name = "FOLDER|ARCHIVE|URL")]
    pub submission: PathBuf,
    /// The branch or tag of a repository.
    #[arg(long)]
    pub branch: Option<String>,
    /// A scenario's name (`seed`, `compose-basics`) or the path of its file.
    #[arg(short, long, value_name = "NAME|FILE")]
    pub scenario: String,
    /// Which service plays a role, where imparcial cannot tell or tells it wrong.
    #[arg(long = "role", value_name = "ROLE=SERVICE", value_parser = pair)]
    pub roles: Vec<(String, String)>,
    /// The compose file to take, where several were handed in.
    #[arg(long, value_name = "FILE")]
    pub compose_file: Option<PathBuf>,
    /// The day of the delivery (`2022-03-01`, or a moment with its offset), where its last commit does not say it. What is more
    /// than half a year old and fails for packages published since is tried once more with those of that day.
    #[arg(long, value_name = "DATE")]
    pub handed_in: Option<String>,
    /// Where a page with rows is, if nothing leads there from the first one (`/list`).
    #[arg(long = "page", value_name = "PATH", value_parser = page)]
    pub pages: Vec<String>,
    /// No check waits longer than this (`12s`).
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub patience: Option<Duration>,
    /// Only these checks, and those that they hang on.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only checks of these layers of the scenario.
    #[arg(long, value_name = "LAYER", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(scenario::LAYERS))]
    pub layers: Vec<String>,
    /// What the random choices of drills are made from (which of several machines is hit), as a report names it: the same number
    /// makes the same choices.
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Where images come from.
    #[arg(long, value_enum, default_value_t = ImagesArg::Auto)]
    pub images: ImagesArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum ImagesArg {
    /// A registry where one answers, else stand-ins.
    Auto,
    /// Only a registry.
    Pull,
    /// Only stand-ins.
    StandIn,
}

/// Where a stack is brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum PlaceArg {
    /// A disposable container of its own.
    Lab,
    /// This machine's own engine.
    Host,
}

/// What machines are made of, and how much of it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Providing {
    /// What machines are made of. `libvirt` needs `imparcial setup --vms`; `virtualbox` is the user's own, with `--place host`.
    #[arg(long, value_enum, default_value_t = ProviderArg::Docker)]
    pub(super) provider: ProviderArg,
    /// No virtual machine in a lab gets more memory than that (`1GiB`): for those that declare more than this host has together.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) machine_memory_cap: Option<u64>,
    /// Where the boxes of virtual machines come from, with `--provider libvirt`.
    #[arg(long, value_enum, default_value_t = BoxesArg::Auto)]
    pub(super) boxes: BoxesArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum BoxesArg {
    /// The public catalogue (or that of VAGRANT_SERVER_URL) where it answers and has them for libvirt, else stand-ins.
    Auto,
    /// Only a catalogue: a machine whose box cannot be had is undecided.
    Pull,
    /// Only stand-ins: no catalogue is asked.
    StandIn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ProviderArg {
    /// Containers in a lab.
    Docker,
    /// Virtual machines in a lab, with kernels and disks of their own. Minutes where the processor has to be emulated.
    Libvirt,
    /// Virtual machines of this host, as the Vagrantfile has them; they are not looked into.
    #[value(name = "virtualbox")]
    VirtualBox,
}

impl Providing {
    /// Says why not, where what is asked for does not go together; `place` is where it is to be.
    pub(super) fn refuses(self, place: Option<PlaceArg>, ctx: Ctx) -> bool {
        let on_host = place == Some(PlaceArg::Host);
        let text = match self.provider {
            ProviderArg::VirtualBox if !on_host => Text::new(
                "`--provider virtualbox` needs `--place host`: its machines are this host's own",
                "`--provider virtualbox` necesita `--place host`: sus máquinas son de este anfitrión",
            ),
            ProviderArg::Libvirt if on_host => Text::new(
                "`--provider libvirt` needs a lab, which its machines are in: leave `--place host` out",
                "`--provider libvirt` necesita un laboratorio, donde están sus máquinas: quite `--place host`",
            ),
            ProviderArg::Docker | ProviderArg::VirtualBox if self.boxes == BoxesArg::Pull => Text::new(
                "`--boxes pull` needs `--provider libvirt`: no other machines of a lab are made of boxes",
                "`--boxes pull` necesita `--provider libvirt`: las demás máquinas de un laboratorio no se hacen de boxes",
            ),
            ProviderArg::Docker | ProviderArg::VirtualBox if self.machine_memory_cap.is_some() => Text::new(
                "`--machine-memory-cap` needs `--provider libvirt`: it is for virtual machines in a lab",
                "`--machine-memory-cap` necesita `--provider libvirt`: es para máquinas virtuales en un laboratorio",
            ),
            _ => return false,
        };
        usage(text.get(ctx.lang));
        true
    }

    pub(super) fn into(self, options: &mut Options) {
        options.provider = match self.provider {
            ProviderArg::Docker => Provider::Docker,
            ProviderArg::Libvirt => Provider::Libvirt,
            ProviderArg::VirtualBox => Provider::VirtualBox,
        };
        options.machine_memory_cap = self.machine_memory_cap;
        let from = match self.boxes {
            BoxesArg::Auto => Boxes::Auto,
            BoxesArg::Pull => Boxes::Pull,
            BoxesArg::StandIn => Boxes::StandIn,
        };
        // As Vagrant itself takes it.
        let server = std::env::var("VAGRANT_SERVER_URL").ok().filter(|url| !url.is_empty());
        options.boxes = Asking { from, server };
    }
}

fn size(text: &str) -> Result<u64, String> {
    units::bytes(text).ok_or_else(|| "a size such as `512MiB` or `1GiB`".to_owned())
}

impl Planning {
    /// A submission and a scenario, and nothing decided besides.
    pub fn of(submission: PathBuf, scenario: &Path) -> Self {
        Self {
            submission,
            branch: None,
            scenario: scenario.display().to_string(),
            roles: Vec::new(),
            compose_file: None,
            handed_in: None,
            pages: Vec::new(),
            patience: None,
            seed: None,
            only: Vec::new(),
            layers: Vec::new(),
            images: ImagesArg::Auto,
        }
    }

    /// The plan for a submission that is a folder; or, with everything that is wrong said on stderr, the exit code.
    pub async fn plan(&self, ctx: Ctx, cancel: &CancellationToken) -> Result<Plan, u8> {
        let (file, handed_in) = (self.file(ctx)?, self.handed_in(ctx)?);
        let submission = submission::read(&self.submission, &self.reading());
        let submission = submission.map_err(|error| usage(error.text.get(ctx.lang)))?;
        self.resolve(&file, Submission { handed_in, ..submission }, cancel).await
    }

    /// The plan for a submission of any form.
    pub async fn plan_any(&self, ctx: Ctx, cancel: &CancellationToken) -> Result<Plan, u8> {
        let (file, handed_in) = (self.file(ctx)?, self.handed_in(ctx)?);
        let given = Given {
            what: self.submission.clone().into_os_string(),
            branch: self.branch.clone(),
            watch: Some(reaper::of_folders),
        };
        let submission = handed::take(&given, &self.reading(), cancel).await;
        let submission = submission.map_err(|error| not_taken(&error, ctx))?;
        let handed_in = handed_in.or_else(|| submission.handed_in.clone());
        self.resolve(&file, Submission { handed_in, ..submission }, cancel).await
    }

    /// The same for who has nothing to take down: watches for interruptions while it unpacks.
    pub async fn plan_alone(&self, ctx: Ctx) -> Result<Plan, u8> {
        let guard = quiet_guard(ctx)?;
        self.plan_any(ctx, &guard.token()).await
    }

    fn file(&self, ctx: Ctx) -> Result<PathBuf, u8> {
        scenario::locate(&self.scenario).map_err(|text| usage(text.get(ctx.lang)))
    }

    /// The date as given.
    fn handed_in(&self, ctx: Ctx) -> Result<Option<HandedIn>, u8> {
        let now = time::OffsetDateTime::now_utc();
        let given = self.handed_in.as_ref().map(|text| HandedIn::given(text, now));
        given.transpose().map_err(|text| usage(text.get(ctx.lang)))
    }

    fn reading(&self) -> ReadOptions {
        ReadOptions { compose_file: self.compose_file.clone() }
    }

    async fn resolve(&self, file: &Path, submission: Submission, cancel: &CancellationToken) -> Result<Plan, u8> {
        let mut submission = Submission { pages: self.pages.clone(), ..submission };
        let read = scenario::read(file, &plan::names(PROBES));
        if let Some(scenario) = &read.scenario {
            let asked = if self.layers.is_empty() { &scenario.layers } else { &self.layers };
            vagrantfile::load_for(&mut submission, asked, cancel).await;
        }
        if cancel.is_cancelled() {
            return Err(exit::INTERRUPTED);
        }
        let source = read.source.clone();
        plan::resolve(read, submission, self.options(), PROBES).map_err(|problems| {
            say(&diagnostics::render(&problems, &source, color()));
            exit::USAGE
        })
    }

    fn options(&self) -> Options {
        let images = match self.images {
            ImagesArg::Auto => Images::Auto,
            ImagesArg::Pull => Images::Pull,
            ImagesArg::StandIn => Images::StandIn,
        };
        Options {
            roles: self.roles.clone(),
            patience: self.patience,
            seed: self.seed,
            only: self.only.clone(),
            layers: self.layers.clone(),
            images,
            keep: false,
            place: Place::Lab,
            ..Options::default()
        }
    }
}

/// Ends the unpacking where it is told to; nothing has been started that would have to be said to end.
pub(super) fn quiet_guard(ctx: Ctx) -> Result<Guard, u8> {
    Guard::watch(|_| ()).map_err(|error| super::grade::no_signals(&error, ctx))
}

/// Says why there is no submission, and gives the exit code.
pub(super) fn not_taken(error: &TakeError, ctx: Ctx) -> u8 {
    usage(error.text.get(ctx.lang));
    match error.fault {
        Fault::Caller => exit::USAGE,
        Fault::Ours => exit::NOT_GRADED,
        Fault::Interrupted => exit::INTERRUPTED,
    }
}

pub(super) fn usage(message: &str) -> u8 {
    say(&format!("error: {message}\n"));
    exit::USAGE
}

/// On stderr; a closed pipe there is nobody's loss.
pub(super) fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

pub(super) fn color() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A page's path below the first one.
fn page(text: &str) -> Result<String, String> {
    let below = text.starts_with('/') && !text.starts_with("//") && !text.contains(char::is_whitespace);
    if below { Ok(text.to_owned()) } else { Err("a path from the root is wanted, as in `/list`".to_owned()) }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((role, service)) if !role.is_empty() && !service.is_empty() => Ok((role.to_owned(), service.to_owned())),
        _ => Err("write ROLE=SERVICE, such as app=web".to_owned()),
    }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text).ok_or_else(|| "a duration needs its unit: 12s, 250ms, 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_a_path() {
        assert_eq!(page("/list?all=1"), Ok("/list?all=1".to_owned()));
        for other in ["list", "//elsewhere/x", "http://elsewhere/", "/a b", ""] {
            assert!(page(other).is_err(), "{other}");
        }
    }

    #[test]
    fn roles_and_durations_are_read() {
        assert_eq!(pair("app=web"), Ok(("app".to_owned(), "web".to_owned())));
        assert!(pair("app").is_err() && pair("=web").is_err() && pair("app=").is_err());
        assert_eq!(duration("12s"), Ok(Duration::from_secs(12)));
        assert!(duration("12").unwrap_err().contains("unit"));
    }
}

//! The machines through whose mounts a distributed volume is reached.

use std::time::Duration;

use super::ask::{teller, which};
use super::members::{Member, members};
use super::mounts;
use super::xml::Volume;
use crate::probe::ProbeError;
use crate::probe::common::Found;
use crate::probe::machines::On;
use crate::stack::Stack;
use crate::text::Text;

/// A volume and the machines of its cluster that are up.
pub(super) struct Reached<'a> {
    pub(super) volume: Volume,
    pub(super) members: Vec<Member<'a>>,
    /// What the first of them that has it mounted has of it: all of it (`/`), or a folder.
    pub(super) folder: String,
}

impl<'a> Reached<'a> {
    /// The machines that have it mounted, all of it or the same folder of it, and where.
    pub(super) fn mounted(&self) -> impl Iterator<Item = (&Member<'a>, &str)> {
        self.with_folder(&self.folder)
    }

    fn with_folder(&self, folder: &str) -> impl Iterator<Item = (&Member<'a>, &str)> {
        self.members.iter().filter_map(move |member| {
            let (mount, of) = mounts::mounted(&member.mounts, &self.volume.name)?;
            (of.folder == folder).then_some((member, mount.at.as_str()))
        })
    }

    pub(super) fn mounted_nowhere(&self) -> Text {
        let name = crate::sanitize::line(&self.volume.name, 60);
        Text::new(
            format!("volume {name} is mounted on no machine"),
            format!("el volumen {name} no está montado en ninguna máquina"),
        )
    }
}

/// The volume that is called so (or the only one that can be meant), and who has it mounted. `step` bounds each question.
pub(super) async fn reached<'a>(
    stack: &'a Stack,
    named: Option<&str>,
    step: Duration,
) -> Result<Found<Reached<'a>>, ProbeError> {
    let told = match teller(stack, &On::All, step).await? {
        Found::Here(told) => told,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let (members, _) = members(stack, step).await?;
    let folder_of =
        |name: &str| members.iter().find_map(|member| Some(mounts::mounted(&member.mounts, name)?.1.folder));
    let volume = match which(&told.volumes, named, |volume| folder_of(&volume.name).is_some())? {
        Found::Here(volume) => volume.clone(),
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let folder = folder_of(&volume.name).unwrap_or_default();
    Ok(Found::Here(Reached { volume, members, folder }))
}

/// A machine by its name, and where it has the volume mounted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::probe) struct Mounted {
    pub(in crate::probe) node: String,
    pub(in crate::probe) at: String,
}

/// A volume, and what of it is meant: all, or a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::probe) struct Part {
    pub(in crate::probe) volume: String,
    pub(in crate::probe) folder: String,
}

/// What of the volume is mounted, and where; never nowhere.
pub(in crate::probe) async fn part(
    stack: &Stack,
    named: Option<&str>,
    step: Duration,
) -> Result<Found<(Part, Vec<Mounted>)>, ProbeError> {
    let reached = match reached(stack, named, step).await? {
        Found::Here(reached) => reached,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let places = all(reached.mounted());
    if places.is_empty() {
        return Ok(Found::Absent(reached.mounted_nowhere()));
    }
    let part = Part { volume: reached.volume.name.clone(), folder: reached.folder.clone() };
    Ok(Found::Here((part, places)))
}

/// Where exactly that part is mounted now: by now it may be on fewer machines, or something else there.
pub(in crate::probe) async fn places(
    stack: &Stack,
    part: &Part,
    step: Duration,
) -> Result<Found<Vec<Mounted>>, ProbeError> {
    let reached = match reached(stack, Some(&part.volume), step).await? {
        Found::Here(reached) => reached,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let places = all(reached.with_folder(&part.folder));
    Ok(if places.is_empty() { Found::Absent(reached.mounted_nowhere()) } else { Found::Here(places) })
}

fn all<'r, 'a: 'r>(mounted: impl Iterator<Item = (&'r Member<'a>, &'r str)>) -> Vec<Mounted> {
    mounted.map(|(member, at)| Mounted { node: member.node.name().to_owned(), at: at.to_owned() }).collect()
}

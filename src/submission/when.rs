//! When a submission was handed in: as the caller says, else when its last commit was made.
//!
//! Of a repository that lies in a submission only the commit is read: git is given a folder of ours in its place, with
//! nothing of the submission in it but where its objects are, so that no hook and no setting of it counts.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration as Patience;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, Month, OffsetDateTime, UtcOffset};

use crate::exec::local::Local;
use crate::exec::{Cmd, Shell};
use crate::temp;
use crate::text::{Lang, Text};

/// Half a year: what is older may fail for what was published since.
const OLD: Duration = Duration::days(183);
/// Where a day begins first.
const EAST: Duration = Duration::hours(14);
/// Refs that were packed are in one file.
const MAX_REFS: u64 = 4 << 20;

/// The day, or the moment, of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedIn {
    /// A day (`2022-03-01`) as given, or a moment in RFC 3339.
    pub date: String,
    pub by: By,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// `--handed-in`
    Given,
    /// The last commit of the submission's own repository.
    Commit,
}

impl HandedIn {
    /// A date as the caller wrote it.
    ///
    /// # Errors
    /// It is no date, or later than `now`.
    pub fn given(text: &str, now: OffsetDateTime) -> Result<Self, Text> {
        let read = Self { date: text.trim().to_owned(), by: By::Given };
        let shown = crate::sanitize::line(text, 60);
        let Some((from, _)) = read.span() else {
            return Err(Text::new(
                format!("`--handed-in {shown}` is no date: write 2022-03-01, or 2022-03-01T23:59:00-05:00"),
                format!("`--handed-in {shown}` no es una fecha: escriba 2022-03-01 o 2022-03-01T23:59:00-05:00"),
            ));
        };
        if from > now {
            return Err(Text::new(
                format!("`--handed-in {shown}` is in the future"),
                format!("`--handed-in {shown}` está en el futuro"),
            ));
        }
        Ok(read)
    }

    /// The moment of a commit, in RFC 3339; none of one that claims to be later than `now`.
    pub fn commit(date: &str, now: OffsetDateTime) -> Option<Self> {
        let read = Self { date: date.trim().to_owned(), by: By::Commit };
        (read.span()?.0 <= now).then_some(read)
    }

    /// The first and the last moment that it may mean, in UTC; none where the calendar ends before them.
    fn span(&self) -> Option<(OffsetDateTime, OffsetDateTime)> {
        if let Ok(moment) = OffsetDateTime::parse(&self.date, &Rfc3339) {
            let moment = moment.checked_to_offset(UtcOffset::UTC)?;
            return Some((moment, moment));
        }
        let day = day(&self.date)?.midnight().assume_utc();
        Some((day.checked_sub(EAST)?, day.checked_add(Duration::DAY)?))
    }

    /// Whether it is more than half a year before `now`.
    pub fn is_old(&self, now: OffsetDateTime) -> bool {
        self.span().is_some_and(|(_, until)| now - until > OLD)
    }

    /// The moment until which packages count: a day is taken to its end. RFC 3339, UTC.
    pub fn until(&self) -> String {
        self.span().map(|(_, until)| crate::time::rfc3339(until)).unwrap_or_default()
    }

    /// As people say it: the day.
    pub fn day(&self) -> &str {
        self.date.get(..10).unwrap_or(&self.date)
    }

    /// The date and who says so, for people.
    pub fn said(&self, lang: Lang) -> String {
        let by = match self.by {
            By::Given => Text::new("as told by --handed-in", "según --handed-in"),
            By::Commit => Text::new("its last commit", "su último commit"),
        };
        format!("{} ({})", self.date, by.get(lang))
    }
}

fn day(text: &str) -> Option<Date> {
    let digits = |part: &str, len: usize| {
        (part.len() == len && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok()).flatten()
    };
    let mut parts = text.split('-');
    let (year, month, day) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let whole = parts.next().is_none();
    Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok().filter(|_| whole)
}

/// When the last commit was made of the repository that lies at a submission's root; none where that cannot be told.
pub async fn of_last_commit(root: &Path, now: OffsetDateTime) -> Option<HandedIn> {
    let git = root.join(".git");
    if !fs::symlink_metadata(&git).is_ok_and(|about| about.is_dir()) {
        return None;
    }
    let commit = head(&git)?;
    let ours = temp::folder("repository").ok()?;
    for folder in ["objects", "refs"] {
        fs::create_dir(ours.path().join(folder)).ok()?;
    }
    fs::write(ours.path().join("HEAD"), "ref: refs/heads/none\n").ok()?;
    let log = ["log", "-1", "--no-show-signature", "--no-patch", "--format=%cI", &commit, "--"].map(str::to_owned);
    let cmd = Cmd::new(["git".to_owned(), format!("--git-dir={}", ours.path().display())]).args(log);
    let cmd = Cmd { clean_env: true, ..cmd.timeout(Patience::from_secs(10)) }
        .env("LC_ALL", "C")
        .env("GIT_OBJECT_DIRECTORY", git.join("objects").display().to_string())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0");
    let output = Local.run(&cmd).await.ok().filter(crate::exec::Output::ok)?;
    HandedIn::commit(output.out().trim(), now)
}

/// The commit that is checked out, by its number.
fn head(git: &Path) -> Option<String> {
    let head = text(&git.join("HEAD"), 4096)?;
    let Some(name) = head.trim().strip_prefix("ref:").map(str::trim) else { return number(&head) };
    let plain = name.starts_with("refs/") && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    if !plain {
        return None;
    }
    let packed = || {
        let all = text(&git.join("packed-refs"), MAX_REFS)?;
        let of = all.lines().filter_map(|line| line.split_once(' ')).find(|(_, of)| *of == name);
        number(of?.0)
    };
    text(&git.join(name), 4096).and_then(|loose| number(&loose)).or_else(packed)
}

fn number(text: &str) -> Option<String> {
    let text = text.trim();
    (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// A small file's text; nothing of what is no file.
fn text(path: &Path, most: u64) -> Option<String> {
    if !fs::symlink_metadata(path).is_ok_and(|about| about.is_file() && about.len() <= most) {
        return None;
    }
    let mut text = String::new();
    fs::File::open(path).ok()?.take(most).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use std::sync::LazyLock;

    use super::*;

    static NOW: LazyLock<OffsetDateTime> =
        LazyLock::new(|| OffsetDateTime::parse("2026-11-25T03:00:00Z", &Rfc3339).unwrap());

    #[test]
    fn what_is_no_date_or_in_the_future_is_said_in_both_languages() {
        let misspelt = ["", "yesterday", "2022-3-1", "2022-02-30", "2022-13-01", "01/03/2022", "2022-03-01-1"];
        // The calendar ends within it, or before it in UTC.
        let ends = ["-2022-03-01", "9999-12-31", "9999-12-31T23:59:59-05:00"];
        for text in misspelt.into_iter().chain(ends) {
            let said = HandedIn::given(text, *NOW).unwrap_err();
            assert!(said.en.contains("no date") && said.es.contains("no es una fecha"), "{text}");
        }
        for text in ["2026-11-26", "2099-01-01", "2026-11-25T03:00:01Z"] {
            assert!(HandedIn::given(text, *NOW).unwrap_err().en.contains("in the future"), "{text}");
        }
        assert!(HandedIn::commit("9999-12-31T23:59:59-05:00", *NOW).is_none());
        assert!(HandedIn::given("0000-01-01", *NOW).is_ok(), "long ago is a date");
        assert!(HandedIn::given("2026-11-25", *NOW).is_ok());
        let evening = *NOW + Duration::hours(8);
        assert!(HandedIn::given("2026-11-26", evening).is_ok(), "it is the 26th already in the east");
    }

    #[test]
    fn half_a_year_makes_it_old() {
        let old = |text: &str| HandedIn::given(text, *NOW).unwrap().is_old(*NOW);
        assert!(old("2022-03-01") && old("2026-05-01") && old("2022-03-01T23:59:00-05:00"));
        assert!(!old("2026-06-01") && !old("2026-11-25"));
        assert!(HandedIn::commit("2027-01-01T00:00:00Z", *NOW).is_none(), "a clock that was wrong says nothing");
    }

    #[test]
    fn a_day_counts_to_its_end() {
        assert_eq!(HandedIn::given("2022-03-01", *NOW).unwrap().until(), "2022-03-02T00:00:00Z");
        let moment = HandedIn::given("2022-03-01T23:30:00-05:00", *NOW).unwrap();
        assert_eq!((moment.until().as_str(), moment.day()), ("2022-03-02T04:30:00Z", "2022-03-01"));
    }

    fn git(folder: &Path, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(args).current_dir(folder);
        git.env("GIT_COMMITTER_DATE", "2021-10-04T12:00:00-05:00").env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.output().unwrap().status.success(), "{args:?}");
    }

    #[tokio::test]
    async fn the_last_commit_says_it_and_nothing_of_the_repository_runs() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        git(root, &["init", "-q", "-b", "main"]);
        assert_eq!(of_last_commit(root, *NOW).await, None, "nothing was committed");
        git(root, &["commit", "-q", "--allow-empty", "-m", "x"]);
        let trap = root.join("trap");
        let script = root.join("pager");
        fs::write(&script, format!("#!/bin/sh\ntouch {}\n", trap.display())).unwrap();
        let shown = script.display();
        let config = format!(
            "[core]\n pager = sh {shown}\n fsmonitor = sh {shown}\n sshCommand = sh {shown}\n hooksPath = {0}\n\
             [log]\n showSignature = true\n[gpg]\n program = {shown}\n[alias]\n log = !sh {shown}\n[pager]\n log = sh {shown}\n",
            root.display()
        );
        fs::write(root.join(".git/config"), config).unwrap();
        let expected = HandedIn { date: "2021-10-04T12:00:00-05:00".to_owned(), by: By::Commit };
        assert_eq!(of_last_commit(root, *NOW).await, Some(expected.clone()));
        // Broken by any hand, or packed.
        fs::remove_file(root.join(".git/config")).unwrap();
        git(root, &["gc", "-q"]);
        git(root, &["pack-refs", "--all"]);
        assert_eq!(of_last_commit(root, *NOW).await, Some(expected));
        assert!(!trap.exists());
        fs::write(root.join(".git/HEAD"), "ref: refs/../../x\n").unwrap();
        assert_eq!(of_last_commit(root, *NOW).await, None);
    }
}

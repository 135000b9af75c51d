//! Sets the clock of a machine by that of this place, or says whether it is right.
//!
//! Two of us talk, at both ends of a command that leads into the machine, such as `ssh`. The one in the machine says that it is
//! there, and only then is a time sent or asked for: what it takes to get there, seconds on an emulated processor, is no part of
//! it. The time is that of the moment, so that a command that was written down long ago sets it right as well.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::time::ClockId;

use super::BINARY;
use super::serve::NAME;
use crate::exec::Cmd;

const ASKED: &str = "--clock";
const ANSWER: &str = "answer";
const SET: &str = "set";
const IS_RIGHT: &str = "is-right";
/// It talked, and has another time than it should have.
const WRONG: u8 = 4;
/// Nobody talked.
const SILENT: u8 = 3;
/// What a clock may be off and still be right, in nanoseconds: less than anybody sets one wrong by on purpose.
const RIGHT: i64 = 2_000_000_000;

/// What the one in the machine says first, and what asks for its time.
const HERE: &str = "here";
const WHEN: &str = "when";
/// More than all that it has to say, in bytes: it may be anybody.
const MOST: u64 = 4096;

/// In the machine: answers until its input ends.
pub(crate) fn answering() -> Cmd {
    of(&[ANSWER])
}

/// Sets the clock where `answering` leads to so many milliseconds off ours.
pub(crate) fn set(off: i64, answering: &Cmd) -> Cmd {
    of(&[SET, &off.to_string()]).args(answering.argv.iter().cloned())
}

/// Ends well where that clock is right.
pub(crate) fn is_right(answering: &Cmd) -> Cmd {
    of(&[IS_RIGHT]).args(answering.argv.iter().cloned())
}

fn of(words: &[&str]) -> Cmd {
    Cmd::new([BINARY, NAME, ASKED]).args(words.iter().copied())
}

/// Does what the arguments ask for; none where they do not.
pub(super) fn asked(args: &[String]) -> Option<ExitCode> {
    let [name, what, rest @ ..] = args else { return None };
    if name != ASKED {
        return None;
    }
    let off = match (what.as_str(), rest) {
        (ANSWER, []) => {
            let answered = answer(io::stdin().lock(), io::stdout(), &mut System);
            return Some(if answered.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        (SET, [off, ..]) => Some(off.parse::<i64>().ok()?.checked_mul(1_000_000)?),
        (IS_RIGHT, _) => None,
        _ => return None,
    };
    let (code, said) = match reach(&rest[usize::from(off.is_some())..], off) {
        Ok(wrong) if wrong.abs() <= RIGHT => (0, format!("its clock is right, by {} s", seconds(wrong))),
        Ok(wrong) => (WRONG, format!("its clock is {} s off", seconds(wrong))),
        Err(error) => (SILENT, format!("its clock did not answer: {error}")),
    };
    let _ = writeln!(io::stdout(), "{said}");
    Some(ExitCode::from(code))
}

fn seconds(nanos: i64) -> String {
    format!("{:+.3}", nanos as f64 / 1e9)
}

/// Starts the command, and talks with what it leads to.
fn reach(words: &[String], off: Option<i64>) -> io::Result<i64> {
    let (program, args) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    // Its input ends with that, and so does the other one.
    let talked = talk(to, from, off, &System);
    if talked.is_err() {
        let _ = child.kill();
    }
    child.wait()?;
    talked
}

/// What a clock is off from where it should be, in nanoseconds, after it was set where that is wanted.
fn talk(mut to: impl Write, from: impl Read, off: Option<i64>, own: &impl Clock) -> io::Result<i64> {
    let mut from = BufReader::new(from.take(MOST));
    let mut hear = || {
        let mut line = String::new();
        from.read_line(&mut line)?;
        if line.is_empty() { Err(io::Error::from(io::ErrorKind::UnexpectedEof)) } else { Ok(line.trim().to_owned()) }
    };
    let odd = |said: &str| io::Error::other(format!("it said {:?}", said.chars().take(100).collect::<String>()));
    let time = |said: String| said.parse::<i64>().map_err(|_| odd(&said));
    let first = hear()?;
    if first != HERE {
        return Err(odd(&first));
    }
    if let Some(off) = off {
        writeln!(to, "{}", own.now().saturating_add(off))?;
        time(hear()?)?;
    }
    let began = own.now();
    writeln!(to, "{WHEN}")?;
    let theirs = time(hear()?)?.saturating_sub(off.unwrap_or_default());
    let ended = own.now().max(began);
    // Nobody knows when in between it looked at its clock.
    Ok(theirs.saturating_sub(theirs.clamp(began, ended)))
}

/// The side in the machine: each line is a time to set, or asks for it, and is answered with the time after that.
fn answer(input: impl Read, mut output: impl Write, own: &mut impl Clock) -> io::Result<()> {
    writeln!(output, "{HERE}")?;
    output.flush()?;
    for line in BufReader::new(input.take(MOST)).lines() {
        let line = line?;
        let set = match line.trim() {
            WHEN => Ok(()),
            time => time.parse().map_err(io::Error::other).and_then(|time| own.set(time)),
        };
        match set {
            Ok(()) => writeln!(output, "{}", own.now())?,
            Err(error) => writeln!(output, "not set: {error}")?,
        }
        output.flush()?;
    }
    Ok(())
}

/// In nanoseconds of the epoch.
trait Clock {
    fn now(&self) -> i64;
    fn set(&mut self, time: i64) -> io::Result<()>;
}

/// That of the kernel that we run on.
struct System;

impl Clock for System {
    fn now(&self) -> i64 {
        i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos()).unwrap_or_default()
    }

    fn set(&mut self, time: i64) -> io::Result<()> {
        let time = u64::try_from(time).map_err(io::Error::other)?;
        Ok(ClockId::CLOCK_REALTIME.set_time(TimeSpec::from_duration(Duration::from_nanos(time)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Off from the true time by so much, and whether it can be set.
    struct Fake(i64, bool);

    impl Clock for Fake {
        fn now(&self) -> i64 {
            System.now() + self.0
        }

        fn set(&mut self, time: i64) -> io::Result<()> {
            if !self.1 {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            self.0 = time - System.now();
            Ok(())
        }
    }

    /// What came of it, and how far the machine's clock is off afterwards.
    fn talked(machine: Fake, off: Option<i64>) -> (io::Result<i64>, i64) {
        let (ask, to) = io::pipe().unwrap();
        let (from, tell) = io::pipe().unwrap();
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                let mut machine = machine;
                answer(ask, tell, &mut machine).unwrap();
                machine.0
            });
            let said = talk(to, from, off, &Fake(0, false));
            (said, there.join().unwrap())
        })
    }

    #[test]
    fn a_clock_is_asked_for_and_set_at_the_moment_of_asking() {
        let near = |a: i64, b: i64| (a - b).abs() < SECOND;
        let (said, left) = talked(Fake(-600 * SECOND, true), None);
        assert!(near(said.unwrap(), -600 * SECOND) && left == -600 * SECOND, "it was only looked at");
        assert!(near(talked(Fake(SECOND / 2, true), None).0.unwrap(), SECOND / 2));
        let (said, left) = talked(Fake(0, true), Some(600 * SECOND));
        assert!(said.unwrap() < RIGHT && near(left, 600 * SECOND));
        let (said, left) = talked(Fake(600 * SECOND, true), Some(0));
        assert!(said.unwrap() < RIGHT && near(left, 0));
    }

    #[test]
    fn what_cannot_be_set_or_says_something_else_is_told() {
        let (said, left) = talked(Fake(9 * SECOND, false), Some(0));
        assert!(said.unwrap_err().to_string().contains("not set: permission denied") && left == 9 * SECOND);
        for (from, why) in [("Password:\n", "Password:"), ("", "end of file"), ("here\nsoon\n", "soon")] {
            let error = talk(io::sink(), from.as_bytes(), None, &System).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
        let endless = talk(io::sink(), io::repeat(b'x'), None, &System).unwrap_err();
        assert!(endless.to_string().len() < 200, "{endless}");
    }

    #[test]
    fn it_is_asked_for_by_name_and_the_rest_is_the_way_into_the_machine() {
        let cmd = set(-600_000, &Cmd::new(["ssh", "vagrant@a", "--", "x y"]));
        assert_eq!(cmd.argv[1..], ["agent", "--clock", "set", "-600000", "ssh", "vagrant@a", "--", "x y"]);
        assert_eq!(answering().to_string(), "/usr/local/bin/imparcial agent --clock answer");
        let asked = |words: &[&str]| asked(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>());
        assert!(asked(&["--inside", "7"]).is_none() && asked(&["--clock"]).is_none());
        assert!(asked(&["--clock", "set", "soon", "true"]).is_none());
        let silent = format!("{:?}", ExitCode::from(SILENT));
        for words in [&["--clock", "is-right", "true"][..], &["--clock", "set", "0", "/no/such/program"]] {
            assert_eq!(format!("{:?}", asked(words).unwrap()), silent, "{words:?}");
        }
        assert_eq!(format!("{:?}", asked(&["--clock", "is-right"]).unwrap()), silent);
    }
}

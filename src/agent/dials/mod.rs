//! What the processes of a network namespace ask for and dial: the names of their DNS questions, the addresses of their
//! connection attempts. Packets are taken from a socket that was opened before the namespace's first process ran.
//!
//! What is kept is bounded, since whoever sends packets chooses how many; what had no room is said.

mod join;
mod packet;
mod watch;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use self::packet::Event;
pub(super) use self::watch::{seen, start};

/// Names and addresses kept of one namespace.
const MOST: usize = 256;
/// Times kept of each: the first half and the last half of them.
const TIMES: usize = 64;

/// What was seen in one network namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dials {
    /// The socket was open while no process of the container ran yet.
    pub from_start: bool,
    /// Every packet was seen, and all that they told was kept.
    pub whole: bool,
    /// Questions may have been asked over connections, whose content is not read.
    pub hidden_questions: bool,
    pub questions: Vec<Question>,
    pub attempts: Vec<Attempt>,
}

/// A name that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// In lower case, without the last dot.
    pub name: String,
    pub addresses: Vec<IpAddr>,
    /// Seconds of the epoch; not all of them where there are many.
    pub at: Vec<f64>,
}

/// An address and port that a connection was tried to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub to: SocketAddr,
    /// At least once.
    pub accepted: bool,
    pub refused: bool,
    /// Seconds of the epoch; not all of them where there are many.
    pub at: Vec<f64>,
}

impl Dials {
    fn new(from_start: bool) -> Self {
        Self { from_start, whole: true, ..Self::default() }
    }

    fn note(&mut self, event: Event, now: f64) {
        match event {
            Event::Asked(name) => {
                if let Some(question) = self.question(name) {
                    push(&mut question.at, now);
                }
            }
            Event::Told(name, addresses) => {
                // An answer without a question is nobody's doing here.
                if let Some(question) = self.questions.iter_mut().find(|q| q.name == name) {
                    for address in addresses {
                        if question.addresses.len() < TIMES && !question.addresses.contains(&address) {
                            question.addresses.push(address);
                        }
                    }
                }
            }
            Event::Tried(to) => {
                if let Some(attempt) = self.attempt(to) {
                    push(&mut attempt.at, now);
                }
            }
            Event::Accepted(by) => {
                if let Some(attempt) = self.attempts.iter_mut().find(|a| a.to == by) {
                    attempt.accepted = true;
                }
            }
            Event::Refused(by) => {
                if let Some(attempt) = self.attempts.iter_mut().find(|a| a.to == by) {
                    attempt.refused = true;
                }
            }
            Event::Hidden => self.hidden_questions = true,
        }
    }

    fn question(&mut self, name: String) -> Option<&mut Question> {
        if let Some(known) = self.questions.iter().position(|q| q.name == name) {
            return self.questions.get_mut(known);
        }
        if self.questions.len() >= MOST {
            self.whole = false;
            return None;
        }
        self.questions.push(Question { name, ..Question::default() });
        self.questions.last_mut()
    }

    fn attempt(&mut self, to: SocketAddr) -> Option<&mut Attempt> {
        if let Some(known) = self.attempts.iter().position(|a| a.to == to) {
            return self.attempts.get_mut(known);
        }
        if self.attempts.len() >= MOST {
            self.whole = false;
            return None;
        }
        self.attempts.push(Attempt { to, accepted: false, refused: false, at: Vec::new() });
        self.attempts.last_mut()
    }
}

fn push(times: &mut Vec<f64>, now: f64) {
    if times.len() >= TIMES {
        times.remove(TIMES / 2);
    }
    times.push(now);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn answers_belong_to_what_was_asked_and_tried() {
        let mut dials = Dials::new(true);
        dials.note(Event::Told("db".into(), vec!["172.18.0.2".parse().unwrap()]), 1.0);
        dials.note(Event::Accepted(to("172.18.0.2:3306")), 1.0);
        assert_eq!(dials, Dials::new(true), "what nobody asked for is not kept");
        dials.note(Event::Asked("db".into()), 1.0);
        dials.note(Event::Told("db".into(), vec!["172.18.0.2".parse().unwrap()]), 1.1);
        dials.note(Event::Tried(to("172.18.0.2:3306")), 1.2);
        dials.note(Event::Accepted(to("172.18.0.2:3306")), 1.3);
        assert_eq!(dials.questions[0].addresses, ["172.18.0.2".parse::<IpAddr>().unwrap()]);
        assert!(dials.attempts[0].accepted && !dials.attempts[0].refused);
    }

    #[test]
    fn a_flood_is_bounded_and_said() {
        let mut dials = Dials::new(true);
        for i in 0..10_000_u32 {
            dials.note(Event::Asked(format!("n{i}")), f64::from(i));
            dials.note(Event::Tried(SocketAddr::from(([10, 0, (i >> 8) as u8, i as u8], 3306))), f64::from(i));
            dials.note(Event::Asked("db".into()), f64::from(i));
        }
        assert_eq!((dials.questions.len(), dials.attempts.len()), (MOST, MOST));
        assert!(!dials.whole);
        let db = dials.questions.iter().find(|q| q.name == "db").unwrap();
        assert_eq!(db.at.len(), TIMES);
        assert_eq!((db.at[0], db.at[TIMES - 1]), (0.0, 9999.0));
    }
}

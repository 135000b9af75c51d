//! Whom a page that fails may be blamed on, by what was heard of its app.

use crate::probe::dials::{Dialled, Heard};

/// The hosts, and the ports that were dialled there: what surely does not reach the store. By
/// its address or the machine's it is reached, and something else is wrong. `names` are the store's.
pub(super) fn to_blame(heard: &Heard, names: &[String]) -> (Vec<String>, Vec<u16>) {
    let hosts = || heard.dialled.hosts(&heard.dials, names);
    match &heard.dialled {
        Dialled::Wrong(wrong) if heard.dialled.astray() => (hosts(), vec![wrong.to.port()]),
        Dialled::Nothing { .. } => (hosts(), Vec::new()),
        Dialled::Wrong(_) | Dialled::ByName(_) => Default::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::dials::{Whose, Wrong};

    #[test]
    fn a_page_is_blamed_on_no_address_that_reaches_the_store_or_may() {
        let names = ["db".to_owned()];
        let dialled = |whose, sure| {
            let to = "10.77.0.10:3306".parse().unwrap();
            let dialled = Dialled::Wrong(Wrong { to, whose, accepted: false, sure, name: None, port: 3306 });
            to_blame(&Heard { dials: Default::default(), dialled }, &names)
        };
        assert_eq!(dialled(Whose::Nobody, true), (vec!["10.77.0.10".to_owned()], vec![3306]));
        for (whose, sure) in [(Whose::Store, true), (Whose::Machine, true), (Whose::Nobody, false)] {
            assert_eq!(dialled(whose, sure), (vec![], vec![]));
        }
        let nothing = Dialled::Nothing { unknown: vec!["mysql-server".to_owned(), "db".to_owned()] };
        let heard = Heard { dials: Default::default(), dialled: nothing };
        assert_eq!(
            to_blame(&heard, &names),
            (vec!["mysql-server".to_owned()], vec![]),
            "a store that is down is right"
        );
    }
}

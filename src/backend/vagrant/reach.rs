//! Whether a machine lets anybody in by SSH, tried as Vagrant does it, and what it means that it does not.

use std::time::Duration;

use tokio::time::Instant;

use crate::backend::Site;
use crate::exec::ssh::Ssh;
use crate::exec::{Output, RunError};
use crate::notice::Reason;
use crate::stack::LeftOut;
use crate::text::Text;

/// Between two tries.
const EVERY: Duration = Duration::from_secs(3);
/// A packet that is not answered is sent again for so long; who does not answer for an address at all is given up after three seconds.
const CONNECTS: Duration = Duration::from_secs(20);
/// A machine that starts again is not there meanwhile, and its server comes last.
const PATIENCE: Duration = Duration::from_secs(60);
/// However much slower everything is.
const MOST: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Somebody is let in, or asked for another key.
    In,
    /// The machine's kernel says that nobody listens.
    Refused,
    /// The machine's kernel is there, and answers nothing on that port.
    Filtered,
    /// What that comes from cannot be told.
    Silent(String),
}

impl Reach {
    fn of(tried: &Result<Output, RunError>) -> Self {
        let said = match tried {
            Ok(output) if output.ok() => return Self::In,
            Ok(output) => output.err(),
            Err(error) => error.to_string(),
        };
        let said = crate::sanitize::line(said.trim(), 160);
        if said.contains("Permission denied") {
            Self::In
        } else if said.contains("Connection refused") {
            Self::Refused
        } else if said.ends_with("port 22: Connection timed out") {
            // Its address is asked for first, and again while nothing comes: a machine that stands still does not answer that either,
            // and is unreachable, not late.
            Self::Filtered
        } else {
            Self::Silent(said)
        }
    }

    /// Why a machine that was there before its provisioning lets nobody in after it.
    pub(super) fn why(&self, machine: &str) -> Option<LeftOut> {
        let (reason, en, es) = match self {
            Self::In => return None,
            Self::Refused => {
                (None, "its SSH server does not listen any more".to_owned(), "su servidor SSH ya no escucha".to_owned())
            }
            Self::Filtered => (
                None,
                "it answers, but drops what is sent to its port 22".to_owned(),
                "responde, pero descarta lo que se envía a su puerto 22".to_owned(),
            ),
            Self::Silent(said) => {
                (Some(Reason::Host), format!("it says nothing ({said})"), format!("no dice nada ({said})"))
            }
        };
        let machine = crate::sanitize::line(machine, 80);
        Some(LeftOut {
            reason,
            text: Text::new(
                format!("nobody gets into machine {machine} since it was provisioned: {en}"),
                format!("nadie entra en la máquina {machine} desde que se aprovisionó: {es}"),
            ),
        })
    }
}

/// Whether somebody is let in, or told that nobody is: tried once.
pub(super) async fn answers(site: &Site, address: &str) -> bool {
    let knock = Ssh::knock(address, CONNECTS).timeout(CONNECTS + PATIENCE);
    matches!(Reach::of(&site.shell.run(&knock).await), Reach::In | Reach::Refused)
}

/// Tries until somebody is let in, for as long as a machine may take that is slower by so much.
pub(super) async fn of(site: &Site, address: &str, slower: f64) -> Reach {
    let ends = Instant::now() + PATIENCE.mul_f64(slower).min(MOST);
    let knock = Ssh::knock(address, CONNECTS).timeout(CONNECTS + PATIENCE);
    let mut silent = None;
    loop {
        let reach = Reach::of(&site.shell.run(&knock).await);
        if reach == Reach::In {
            return reach;
        }
        if Instant::now() >= ends {
            // One that starts again is silent first and refuses then; one that is out of memory takes connections and never looks
            // at them, until its kernel has no place for more.
            return silent.unwrap_or(reach);
        }
        if let Reach::Silent(_) = &reach {
            silent = Some(reach);
        }
        tokio::time::sleep(EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ssh_says_is_told_apart() {
        let of = |status, said: &str| {
            Reach::of(&Ok(Output { status, stderr: said.as_bytes().to_vec(), ..Output::default() }))
        };
        assert_eq!(of(0, ""), Reach::In);
        assert_eq!(of(255, "vagrant@192.168.121.7: Permission denied (publickey).\r\n"), Reach::In);
        assert_eq!(of(255, "ssh: connect to host 192.168.121.7 port 22: Connection refused\r\n"), Reach::Refused);
        assert_eq!(of(255, "ssh: connect to host 192.168.121.7 port 22: Connection timed out\r\n"), Reach::Filtered);
        for said in [
            "ssh: connect to host 192.168.121.7 port 22: No route to host\r\n",
            "Connection timed out during banner exchange\r\nConnection to 192.168.121.7 port 22 timed out\r\n",
            "kex_exchange_identification: read: Connection reset by peer",
        ] {
            let reach = of(255, said);
            assert!(matches!(&reach, Reach::Silent(_)), "{said}: {reach:?}");
            assert_eq!(reach.why("w1").and_then(|left| left.reason), Some(Reason::Host));
        }
        let left = Reach::Filtered.why("w1").expect("nobody gets in");
        assert!(left.reason.is_none() && left.text.en.contains("machine w1") && left.text.es.contains("máquina w1"));
        assert_eq!(Reach::In.why("w1"), None);
    }
}

//! Rules that drop packets in the network namespace of a container, a service's or a machine's: set from outside, by the
//! machine of its engine; in a virtual machine, by our agent in it. They are in the one table that everything passes which comes,
//! goes or goes through.
//!
//! The namespace is entered by the engine's own name for it, which is another one after each start: a container that was
//! started anew has no rules of ours, and nothing else is ever touched in its place.

use std::net::Ipv4Addr;

use super::{At, FaultError, Proof, Undo};
use crate::docker::Container;
use crate::exec::{Cmd, Shell, ShellExt};
use crate::stack::Body;
use crate::text::Text;

/// Where an engine keeps the network namespaces of its containers.
const FOLDER: &str = "/var/run/docker/netns";
/// On each rule, for who looks.
const OURS: &str = "imparcial";

/// What is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    /// All that comes and goes by an interface.
    Interface(String),
    /// All but what stays inside.
    Everything,
    /// All from and to an address.
    Address(Ipv4Addr),
}

impl Drop {
    /// Chain and conditions, one for each direction.
    fn rules(&self) -> [Vec<String>; 2] {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        match self {
            Self::Interface(name) => [words(&["PREROUTING", "-i", name]), words(&["POSTROUTING", "-o", name])],
            Self::Everything => [words(&["PREROUTING", "!", "-i", "lo"]), words(&["POSTROUTING", "!", "-o", "lo"])],
            Self::Address(address) => {
                let address = address.to_string();
                [words(&["PREROUTING", "-s", &address]), words(&["POSTROUTING", "-d", &address])]
            }
        }
    }
}

/// The network of somebody who is hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Net {
    /// A file that stands for it, where the rules are set from.
    Namespace(String),
    /// The one in which the command runs anyway.
    Own,
}

impl Net {
    pub(super) fn of(container: &Container) -> Self {
        Self::Namespace(format!("{FOLDER}/{}", container.namespace))
    }

    pub(super) fn of_machine(body: &Body) -> Self {
        match body {
            Body::Container(container) => Self::of(container),
            Body::Guest(_) => Self::Own,
        }
    }

    fn inside(&self, argv: &[&str]) -> Cmd {
        match self {
            Self::Namespace(file) => Cmd::new(["nsenter", &format!("--net={file}")]).args(argv.iter().copied()),
            Self::Own => Cmd::new(argv.iter().copied()),
        }
    }
}

fn command(net: &Net, operation: &str, rule: &[String]) -> Cmd {
    // An engine that changes its own rules holds the lock for a moment.
    let cmd = net.inside(&["iptables", "-w", "10", "-t", "mangle", operation]);
    cmd.args(rule.iter().cloned()).args(["-m", "comment", "--comment", OURS, "-j", "DROP"]).timeout(super::ASKED)
}

/// Sets the rules.
pub(super) async fn set(shell: &dyn Shell, net: &Net, drops: &[Drop]) -> Result<(), FaultError> {
    for rule in drops.iter().flat_map(Drop::rules) {
        shell.must(&command(net, "-I", &rule)).await?;
    }
    Ok(())
}

/// Takes exactly these rules away; each is proven by not being there.
pub(super) fn unset(at: &At, name: &str, net: &Net, drops: &[Drop]) -> Vec<Undo> {
    let what = Text::new(format!("{name} is connected"), format!("{name} está conectado"));
    let undo = |rule: Vec<String>| {
        let proof = Proof::no(command(net, "-C", &rule), 1);
        Undo::new(at.clone(), command(net, "-D", &rule), proof, what.clone())
    };
    entered(at, name, net).into_iter().chain(drops.iter().flat_map(Drop::rules).map(undo)).collect()
}

/// That it can be looked into, or is gone: `nsenter` that gets nowhere ends as `iptables` does where there is no such rule.
fn entered(at: &At, name: &str, net: &Net) -> Option<Undo> {
    let Net::Namespace(file) = net else { return None };
    let enter = net.inside(&["true"]).timeout(super::ASKED);
    // What an engine that died leaves is a file that nothing is mounted on.
    let mounted = Cmd::new(["findmnt", "--noheadings", "--mountpoint", file]).timeout(super::ASKED);
    let what = Text::new(format!("the network of {name} can be looked at"), format!("se puede mirar la red de {name}"));
    Some(Undo::new(at.clone(), enter.clone(), Proof::ok(enter), what).unless(Proof::no(mounted, 1)))
}

/// The addresses of a machine's private networks: all but the one by which Vagrant, and so whoever manages it, comes in.
pub(super) fn private(body: &Body) -> Vec<Ipv4Addr> {
    let managed = |network: &str| network == "bridge";
    let all = body.addresses().iter().filter(|(network, _)| !managed(network));
    all.filter_map(|(_, address)| address.parse().ok()).collect()
}

/// The interfaces that have these addresses.
///
/// # Errors
/// One of them is on none.
pub(super) async fn interfaces(
    shell: &dyn Shell,
    net: &Net,
    name: &str,
    addresses: &[Ipv4Addr],
) -> Result<Vec<String>, FaultError> {
    let list = net.inside(&["ip", "-oneline", "-4", "address"]).timeout(super::ASKED);
    let said = shell.must(&list).await?.out();
    let found = addresses.iter().map(|address| {
        interface(&said, *address).ok_or_else(|| {
            FaultError::host(
                format!("no interface of {name} has the address {address}"),
                format!("ninguna interfaz de {name} tiene la dirección {address}"),
            )
        })
    });
    found.collect()
}

/// Of a line such as `16: eth1    inet 192.168.56.12/24 brd …`.
fn interface(said: &str, address: Ipv4Addr) -> Option<String> {
    said.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let name = words.next()?;
        let own = words.skip_while(|word| *word != "inet").nth(1)?.split('/').next()?;
        // A pair's other end may be named behind an `@`.
        (own.parse() == Ok(address)).then(|| name.split('@').next().unwrap_or(name).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::exec::scripted::{Reply, Scripted};
    use crate::fault::undo::is_healed;

    const LISTED: &str = "1: lo    inet 127.0.0.1/8 scope host lo\\       valid_lft forever preferred_lft forever
10: eth0    inet 172.28.0.4/24 brd 172.28.0.255 scope global eth0\\       valid_lft forever preferred_lft forever
16: eth1@if17    inet 192.168.56.12/24 brd 192.168.56.255 scope global eth1\\       valid_lft forever";

    pub(crate) fn node() -> Container {
        let addresses = [("bridge", "172.28.0.4"), ("vagrant_network_192.168.56.0/24", "192.168.56.12")];
        Container {
            name: "worker2".into(),
            namespace: "e75889f1a76e".into(),
            addresses: addresses.map(|(network, at)| (network.to_owned(), at.to_owned())).into(),
            ..Container::default()
        }
    }

    #[tokio::test]
    async fn the_interface_by_which_a_machine_is_managed_is_none_of_them() {
        let shell = Scripted::default().on(["nsenter"], vec![Reply::out(LISTED)]);
        let private = private(&Body::Container(Box::new(node())));
        assert_eq!(private, [Ipv4Addr::new(192, 168, 56, 12)]);
        assert_eq!(interfaces(&shell, &Net::of(&node()), "worker2", &private).await.unwrap(), ["eth1"]);
        assert!(interfaces(&shell, &Net::of(&node()), "worker2", &[Ipv4Addr::new(10, 0, 0, 1)]).await.is_err());
        let asked = shell.asked();
        assert_eq!(asked[0], "nsenter --net=/var/run/docker/netns/e75889f1a76e ip -oneline -4 address");
    }

    #[tokio::test]
    async fn what_is_set_is_what_is_taken_away_in_both_directions() {
        let shell = Scripted::default().on(["nsenter"], vec![Reply::out("")]);
        let drops = [Drop::Interface("eth1".into()), Drop::Address(Ipv4Addr::new(1, 2, 3, 4)), Drop::Everything];
        set(&shell, &Net::of(&node()), &drops).await.unwrap();
        let set: Vec<String> = shell.asked();
        let front = "nsenter --net=/var/run/docker/netns/e75889f1a76e iptables -w 10 -t mangle -I ";
        let back = " -m comment --comment imparcial -j DROP";
        let words: Vec<&str> =
            set.iter().map(|line| line.strip_prefix(front).unwrap().strip_suffix(back).unwrap()).collect();
        assert_eq!(
            words,
            [
                "PREROUTING -i eth1",
                "POSTROUTING -o eth1",
                "PREROUTING -s 1.2.3.4",
                "POSTROUTING -d 1.2.3.4",
                "PREROUTING '!' -i lo",
                "POSTROUTING '!' -o lo"
            ]
        );
        let undos = unset(&At::Ground, "worker2", &Net::of(&node()), &drops);
        let [enter, rules @ ..] = undos.as_slice() else { panic!("nothing is undone") };
        assert_eq!(enter.proof.run.to_string(), "nsenter --net=/var/run/docker/netns/e75889f1a76e true");
        let deleted: Vec<String> = rules.iter().map(|u| u.run.to_string().replace(" -D ", " -I ")).collect();
        assert_eq!(deleted, set);
        let proven: Vec<String> = rules.iter().map(|u| u.proof.run.to_string().replace(" -C ", " -I ")).collect();
        assert_eq!(proven, set);
        assert!(rules.iter().all(|u| u.proof.status == 1), "the rule is not there");
    }

    #[tokio::test]
    async fn a_namespace_that_is_gone_is_connected_and_one_that_nobody_can_enter_is_not_known_to_be() {
        let healed = async |shell: Scripted| {
            let undos = unset(&At::Ground, "worker2", &Net::of(&node()), &[Drop::Everything]);
            let shell: Arc<dyn Shell> = Arc::new(shell);
            is_healed(&undos, &|_: &At| Some(shell.clone())).await
        };
        let no = || vec![Reply::fail(1, "nsenter: reassociate to namespace failed: Operation not permitted")];
        assert!(!healed(Scripted::default().on(["nsenter"], no()).on(["findmnt"], vec![Reply::out("nsfs")])).await);
        assert!(healed(Scripted::default().on(["nsenter"], no()).on(["findmnt"], vec![Reply::fail(1, "")])).await);
    }
}

//! The tables of `imparcial bench`, at most 100 columns wide. Medians; ratios are medians of pairs: machines drift.

use super::{Measured, Services};
use crate::engine::bench::Round;
use crate::engine::bench::drill::Drilled;
use crate::engine::bench::looks::ROW;
use crate::engine::bench::machines::Machines;
use crate::engine::bench::peers::{Peer, Peers, SAME, SCENARIO};
use crate::engine::bench::whole::{Steps, Whole};
use crate::sanitize;

/// Where the first column ends.
const WIDE: usize = 52;

/// Everything that was measured.
pub(super) fn show(measured: &Measured, load: &str) -> String {
    let mut out = measured.whole.as_ref().map(whole).unwrap_or_default();
    out += &measured.machines.as_ref().map(machines).unwrap_or_default();
    out += &measured.services.as_ref().map(services).unwrap_or_default();
    out + &format!("\n{load}, at the end; build: {}\n", if cfg!(debug_assertions) { "debug" } else { "release" })
}

fn whole(took: &Whole) -> String {
    let mut out = format!("the whole exam, medians of {} pairs, each in a lab of its own\n", took.ours.len());
    let mut both = |name: &str, get: &dyn Fn(&Steps) -> f64| {
        let of = |steps: &[Steps]| seconds(median(&steps.iter().map(get).collect::<Vec<_>>()));
        out += &row(name, format!("{} {}", of(&took.by_hand), of(&took.ours)));
    };
    both("by hand, imparcial: machines, provisioned", &|s| s.machines);
    both("services on a machine", &|s| s.services);
    both("the page", &|s| s.page);
    both("the second provisioning", &|s| s.again);
    both("all of it gone", &|s| s.gone);
    both("together", &Steps::common);
    both("apart: looks", &|s| s.looks);
    let pairs = took.ours.iter().zip(&took.by_hand).map(|(ours, hand)| (ours.common(), hand.common()));
    out + &row("ratio, pair by pair", format!("{:>8.2} x", ratio(pairs))) + "\n"
}

fn machines(took: &Machines) -> String {
    let pairs = || took.ours.iter().copied().zip(took.by_hand.iter().copied());
    let mut out =
        format!("{} machines ready, medians of {} pairs, both of a pair in one lab\n", took.count, took.ours.len());
    out += &row("by hand: vagrant up", seconds(median(&took.by_hand)));
    out += &row("imparcial: copy, disks, vagrant up, who is there", seconds(median(&took.ours)));
    out += &row("ratio, pair by pair", format!("{:>8.2} x", ratio(pairs())));
    out + &row("the lab gone, with all of them in it", seconds(took.gone)) + "\n"
}

fn services(measured: &Services) -> String {
    let mut out = steps(&measured.rounds);
    if let Some(took) = measured.down {
        out += &row("of a whole lab, once: teardown", seconds(took));
    }
    let looks = &measured.ready.looks;
    out += "\none look at a ready stack, by kind\n";
    for (kind, took) in &looks.kinds {
        out += &row(kind, format!("{}   n = {}", millis(median(took)), took.len()));
    }
    out += &row(&format!("{ROW} looks, one after another"), millis(median(&looks.row)));
    out += &row(&format!("{ROW} looks, side by side as in a run"), millis(median(&looks.beside)));
    out += "\npeak resident memory\n";
    let memory = &measured.ready.memory;
    out += &row("imparcial", mega(memory.own));
    let agents: Vec<String> = memory.agents.iter().map(|kb| mega(*kb).trim_start().to_owned()).collect();
    out += &row("its agents in the lab", if agents.is_empty() { "none runs".to_owned() } else { agents.join(", ") });
    match &measured.ready.drill {
        Some(Ok(took)) => out += &drill(took),
        Some(Err(why)) => out += &format!("\na drill was not measured: {}\n", why.en),
        None => {}
    }
    out += &match &measured.ready.peers {
        Some(peers) => compared(peers),
        None => format!("\nother tools: their files are written for the scenario {SCENARIO} with its reference\n"),
    };
    out
}

fn drill(took: &Drilled) -> String {
    let pairs = took.ours.iter().copied().zip(took.by_hand.iter().copied());
    let mut out = format!("\nthe drill {}, medians of {} pairs, at the same ready stack\n", took.id, took.ours.len());
    out += &row("a script of the same steps", seconds(median(&took.by_hand)));
    out += &row("imparcial", seconds(median(&took.ours)));
    out + &row("ratio, pair by pair", format!("{:>8.2} x", ratio(pairs)))
}

fn steps(rounds: &[Round]) -> String {
    let of = |get: &dyn Fn(&Round) -> f64| seconds(median(&rounds.iter().map(get).collect::<Vec<_>>()));
    let mut out = format!("medians of {} pairs, in one lab\n", rounds.len());
    out += &row("by hand: up, first 200, quiet, down", of(&|r| r.by_hand));
    out += &row("imparcial: the same, and every look", of(&|r| r.ours));
    out += &row("overhead, pair by pair", of(&|r| r.ours - r.by_hand));
    out += &row("ratio, pair by pair", format!("{:>8.2} x", ratio(rounds.iter().map(|r| (r.ours, r.by_hand)))));
    out += &row("looks done besides", format!("{:>8}", rounds.iter().map(|r| r.looks).min().unwrap_or(0)));
    out += &row("of it: resolve", of(&|r| r.resolve));
    out += &row("of it: images (already there)", of(&|r| r.images));
    out += &row("of it: evidence", of(&|r| r.evidence));
    out += &row("of it: teardown", of(&|r| r.down));
    out += &row("apart: exercises", of(&|r| r.exercises));
    out
}

fn compared(peers: &Peers) -> String {
    let ours = median(&peers.ours);
    let mut out = format!("\nthe same {} checks at the same ready stack, in pairs\n{}\n", SAME.len(), SAME.join(", "));
    out += "Others run on the host, DOCKER_HOST at the lab's engine: `bats seed.bats`, `pytest -q test_seed.py`.\n";
    out += &format!("{:<40} {:>10} {:>10} {:>15} {:>10}\n", "", "as typed", "ratio", "start-up apart", "ratio");
    let line = |name: &str, whole: f64, first: f64, apart: f64, second: f64| {
        format!("{name:<40} {:>10} {first:>8.1} x {:>15} {second:>8.1} x\n", millis(whole), millis(apart))
    };
    out += &line("imparcial: its looks, within a run", ours, 1.0, ours, 1.0);
    for (name, peer) in &peers.tools {
        out += &match peer {
            Peer::NotInstalled => format!("{name:<40} not installed; `make bench-peers` installs it\n"),
            Peer::Failed(said) => {
                let last = said.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default();
                format!("{name:<40} failed: {}\n", sanitize::line(last, 48))
            }
            Peer::Measured { whole, empty } => {
                let apart: Vec<f64> = whole.iter().zip(empty).map(|(w, e)| w - e).collect();
                let against = |theirs: &[f64]| ratio(theirs.iter().copied().zip(peers.ours.iter().copied()));
                line(name, median(whole), against(whole), median(&apart), against(&apart))
            }
        };
    }
    let pairs = peers.ours.len();
    out + &format!("medians of {pairs} pairs; start-up is the same tool with one test that does nothing\n")
}

fn row(name: &str, value: String) -> String {
    format!("{name:<WIDE$} {value}\n")
}

fn seconds(s: f64) -> String {
    format!("{s:>8.2} s")
}

fn millis(s: f64) -> String {
    format!("{:>7.1} ms", s * 1000.0)
}

fn mega(kb: u64) -> String {
    format!("{:>8.1} MB", kb as f64 * 1024.0 / 1e6)
}

/// The upper one of two in the middle; 0 of none.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn ratio(pairs: impl Iterator<Item = (f64, f64)>) -> f64 {
    median(&pairs.map(|(a, b)| a / b).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bench::Ready;

    fn measured(tools: Vec<(&'static str, Peer)>) -> Measured {
        let mut ready = Ready::default();
        ready.looks.kinds.insert("round_trip", vec![0.003, 0.001, 0.002]);
        ready.looks.row = vec![0.5];
        ready.memory.own = 50_000;
        ready.memory.agents = vec![20_000, 10_000];
        ready.peers = Some(Peers { ours: vec![0.1, 0.2, 0.4], tools });
        let round = Round { by_hand: 10.0, ours: 12.0, down: 1.0, ..Round::default() };
        let services = Services { rounds: vec![round; 3], ready, down: Some(3.0) };
        let machines = Machines { count: 4, by_hand: vec![10.0, 20.0], ours: vec![11.0, 21.0], gone: 4.0 };
        Measured { services: Some(services), machines: Some(machines), whole: None }
    }

    #[test]
    fn ratios_are_of_pairs_and_start_up_stands_apart() {
        let peer = Peer::Measured { whole: vec![0.5, 0.8, 2.0], empty: vec![0.3, 0.4, 0.8] };
        let out = show(&measured(vec![("bats + curl", peer)]), "load averages 1 2 3 on 2 cpus");
        let line = out.lines().find(|l| l.starts_with("bats")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        // Pairs 5, 4, 5 and 2, 2, 3.
        assert_eq!(words[3..], ["800.0", "ms", "5.0", "x", "400.0", "ms", "2.0", "x"], "{out}");
        assert!(out.contains("1.20 x") && out.contains("2.0 ms   n = 3") && out.contains("51.2 MB"), "{out}");
        assert!(out.starts_with("4 machines ready, medians of 2 pairs"), "{out}");
    }

    #[test]
    fn the_whole_exam_is_compared_without_our_looks() {
        let steps = |again: f64, looks: f64| Steps { machines: 20.0, again, looks, ..Steps::default() };
        let pairs = Whole { by_hand: vec![steps(20.0, 0.0)], ours: vec![steps(22.0, 500.0)] };
        let out = show(&Measured { whole: Some(pairs), ..measured(Vec::new()) }, "load");
        let line =
            |name: &str| out.lines().find(|l| l.starts_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line("together"), ["together", "40.00", "s", "42.00", "s"], "{out}");
        assert!(out.starts_with("the whole exam") && out.contains("1.05 x"), "{out}");
        assert!(out.lines().all(|l| l.chars().count() <= 100), "{out}");
    }

    #[test]
    fn what_is_not_installed_or_fails_is_a_line_and_all_fits_100_columns() {
        let failed = Peer::Failed(format!("ok\n\u{1b}[31mnot ok {}\n\n", "x".repeat(300)));
        let out = show(&measured(vec![("bats + curl", Peer::NotInstalled), ("pytest-testinfra", failed)]), "load");
        assert!(out.contains("not installed; `make bench-peers`"), "{out}");
        assert!(out.contains("failed: not ok xxx") && !out.contains('\u{1b}'), "{out}");
        assert!(out.lines().all(|l| l.chars().count() <= 100), "{out}");
        let mut none = measured(Vec::new());
        if let Some(services) = &mut none.services {
            services.ready.peers = None;
        }
        assert!(show(&none, "load").contains("written for the scenario seed"));
    }
}

//! From outcomes to the record's checks: verdicts settled, one sentence each, evidence on disk.

use std::collections::BTreeMap;

use super::eventually::{End, Waited};
use super::schedule::Outcome;
use super::settle::{Raw, Settled, Ties, proven_by, settle};
use crate::expect::Finding;
use crate::notice::Reason;
use crate::plan::{Plan, PlannedCheck};
use crate::record::{Cause, CheckRecord, RunFolder, Verdict, store};
use crate::scenario::CheckSpec;
use crate::text::Text;

/// The ties of a plan's checks.
pub fn ties(plan: &Plan) -> Vec<Ties> {
    let drill = |i: usize| plan.checks[i].probe.drill();
    // Another drill's, and earlier in the order of running.
    let before = |i: usize, order: &[usize]| {
        let earlier = order.iter().copied().take_while(|&j| j != i);
        earlier.filter(|&j| drill(i).is_some() && drill(j).is_some() && drill(j) != drill(i)).collect()
    };
    let order = plan.order();
    (0..plan.checks.len())
        .map(|i| Ties {
            id: plan.checks[i].spec.id.clone(),
            needs: plan.needs(i),
            explained_by: plan.explained_by(i),
            after_drills: before(i, &order),
        })
        .collect()
}

/// Settles the outcomes and writes the evidence of each check.
pub fn checks(
    plan: &Plan,
    outcomes: Vec<Outcome>,
    interrupted: bool,
    broken_by: &BTreeMap<String, String>,
    folder: &RunFolder,
) -> Vec<CheckRecord> {
    let raw: Vec<Raw> = outcomes.iter().map(|o| o.raw).collect();
    let mut ties = ties(plan);
    let drill = |i: usize| plan.checks[i].probe.drill();
    for (i, tie) in ties.iter_mut().enumerate() {
        // Only what is known to have left something broken explains that a later drill could not begin.
        let culprit = drill(i).and_then(|id| broken_by.get(id)).map(String::as_str);
        tie.after_drills.retain(|&j| culprit.is_some() && drill(j) == culprit);
    }
    let settled = settle(&raw, &ties, &plan.order());
    let proof = |i: usize| proven_by(i, &raw, &ties).map(|other| ties[other].id.as_str());
    plan.checks
        .iter()
        .zip(outcomes)
        .zip(settled)
        .enumerate()
        .map(|(i, ((check, outcome), settled))| {
            let by_another = settled.verdict == Verdict::Pass && outcome.raw != Raw::Pass;
            let mut record = one(check, outcome, settled, interrupted, folder);
            record.notes.extend(proof(i).filter(|_| by_another).map(proven));
            record
        })
        .collect()
}

fn one(check: &PlannedCheck, outcome: Outcome, settled: Settled, interrupted: bool, folder: &RunFolder) -> CheckRecord {
    let spec = &check.spec;
    let waited = outcome.waited.as_ref();
    let explanation = explain(&settled, &outcome, waited, interrupted);
    let reason = match (settled.verdict, outcome.raw) {
        (Verdict::Error, Raw::Error(reason) | Raw::Refused(reason)) => Some(reason),
        (Verdict::Error, _) => Some(Reason::Imparcial),
        _ => None,
    };
    let evidence = waited.map(|w| evidence(&spec.id, settled.verdict, w, folder)).unwrap_or_default();
    CheckRecord {
        id: spec.id.clone(),
        title: spec.title.clone().unwrap_or_else(|| Text::same(&spec.id)),
        kind: spec.kind.clone(),
        points: spec.points,
        at: spec.at.clone(),
        visibility: spec.visibility.name().to_owned(),
        details: spec.details.map(|details| details.name().to_owned()).unwrap_or_default(),
        verdict: settled.verdict,
        reason,
        cause: settled.cause,
        explanation,
        hint: spec.hint.clone(),
        credit: (settled.verdict == Verdict::Fail).then(|| credit(spec, waited)).flatten(),
        drill: check.probe.drill().map(str::to_owned),
        look_at: Vec::new(),
        findings: waited.map(|w| w.findings.iter().map(clean).collect()).unwrap_or_default(),
        notes: waited.map(|w| w.observation.notes.clone()).unwrap_or_default(),
        attempts: waited.map_or(0, |w| w.attempts),
        started_ms: outcome.started_ms,
        elapsed_ms: outcome.elapsed_ms,
        evidence,
    }
}

/// What a measured value between the two bounds earns all the same.
fn credit(spec: &CheckSpec, waited: Option<&Waited>) -> Option<u64> {
    let credit = spec.credit.as_ref()?;
    let (_, facts) = waited?.observation.subjects.first()?;
    let measured = facts.get(&credit.fact)?.as_f64()?;
    Some(credit.earned(spec.points, measured)).filter(|earned| *earned > 0)
}

fn proven(by: &str) -> Text {
    Text::new(
        format!("nothing was there to tell it by; what `{by}` wrote was seen"),
        format!("no había con qué saberlo; se vio lo que escribió `{by}`"),
    )
}

/// What was seen may be of any size and hold anything.
fn clean(finding: &Finding) -> Finding {
    Finding { observed: crate::sanitize::line(&finding.observed, 500), ..finding.clone() }
}

/// What the last look saw: the files that it gives, and all of its facts where they came to no pass.
fn evidence(id: &str, verdict: Verdict, waited: &Waited, folder: &RunFolder) -> Vec<String> {
    let seen = &waited.observation;
    let mut files = seen.evidence.clone();
    if verdict != Verdict::Pass && !seen.subjects.is_empty() {
        let facts: serde_json::Map<_, _> = seen
            .subjects
            .iter()
            .map(|(name, facts)| (if name.is_empty() { id } else { name }.to_owned(), serde_json::json!(facts)))
            .collect();
        files.push(("facts.json".to_owned(), store::to_json(&facts).unwrap_or_default()));
    }
    // A disk that fills up now costs evidence and no verdict; the record itself is written later and says so.
    files.iter().filter_map(|(name, bytes)| folder.evidence(id, &format!("{id}-{name}"), bytes).ok()).collect()
}

fn explain(settled: &Settled, outcome: &Outcome, waited: Option<&Waited>, interrupted: bool) -> Text {
    match settled.verdict {
        Verdict::Pass => Text::default(),
        Verdict::Skip => settled.cause.as_ref().map(because).unwrap_or_default(),
        Verdict::Error if outcome.raw == Raw::NotRun && interrupted => stopped(),
        Verdict::Error if outcome.raw == Raw::NotRun => Text::new("this was not looked at", "esto no se llegó a mirar"),
        Verdict::Error | Verdict::Fail => outcome.said.clone().unwrap_or_else(|| not_so(waited)),
    }
}

/// What is said of a check that an interrupted run did not get to.
fn stopped() -> Text {
    Text::new("the run was interrupted before this was decided", "la ejecución se interrumpió antes de decidir esto")
}

fn because(cause: &Cause) -> Text {
    let id = &cause.check;
    if cause.verdict == Verdict::Error {
        Text::new(format!("undecided, because `{id}` is"), format!("sin decidir, porque `{id}` lo está"))
    } else {
        Text::new(
            format!("not counted again: it follows from `{id}`"),
            format!("no se cuenta aparte: se sigue de `{id}`"),
        )
    }
}

/// The first thing that is not as expected, in words.
fn not_so(waited: Option<&Waited>) -> Text {
    let Some(waited) = waited else { return Text::default() };
    let Some(finding) = waited.findings.iter().find(|f| !f.holds) else {
        return Text::new("nothing was seen that could be judged", "no se vio nada que se pudiera evaluar");
    };
    let of = if finding.subject.is_empty() { String::new() } else { format!("{}: ", finding.subject) };
    let seen = crate::sanitize::line(&finding.observed, 200);
    if let End::Seen(after) = &waited.end {
        let after = after.as_secs_f64();
        let never = finding.expected.trim_start_matches("never ");
        return Text::new(
            format!("{of}{} must never be {never}, and {seen} was seen after {after:.1} s", finding.fact),
            format!("{of}{} no debe ser nunca {never}, y se vio {seen} a los {after:.1} s", finding.fact),
        );
    }
    let (en, es) = match &waited.end {
        End::Hopeless(_) => ("waiting longer is hopeless", "esperar más no serviría"),
        _ => ("when patience ended", "al agotarse la espera"),
    };
    Text::new(
        format!("{of}expected {} {}, seen {seen} ({en})", finding.fact, finding.expected),
        format!("{of}se esperaba {} {}, se vio {seen} ({es})", finding.fact, finding.expected),
    )
}

/// A submission with nothing to bring up: the checks at the root get this verdict, the rest follows from them.
pub fn hopeless(plan: &Plan, reason: Option<Reason>, text: &Text, folder: &RunFolder) -> Vec<CheckRecord> {
    let ties = ties(plan);
    let outcomes = ties
        .iter()
        .map(|t| {
            let root = t.needs.is_empty() && t.explained_by.is_empty();
            let raw = if root { reason.map_or(Raw::Fail, Raw::Error) } else { Raw::NotRun };
            Outcome { raw, waited: None, said: Some(text.clone()), started_ms: 0, elapsed_ms: 0 }
        })
        .collect();
    checks(plan, outcomes, false, &BTreeMap::new(), folder)
}

/// Nothing could be looked at for a reason of ours or the host's: everything is undecided.
pub fn unable(plan: &Plan, reason: Reason, text: &Text, interrupted: bool, folder: &RunFolder) -> Vec<CheckRecord> {
    let outcomes = plan
        .checks
        .iter()
        .map(|_| {
            let raw = if interrupted { Raw::NotRun } else { Raw::Error(reason) };
            Outcome { raw, waited: None, said: Some(text.clone()), started_ms: 0, elapsed_ms: 0 }
        })
        .collect();
    let mut checks = checks(plan, outcomes, interrupted, &BTreeMap::new(), folder);
    for check in &mut checks {
        check.verdict = Verdict::Error;
        check.cause = None;
        check.reason = Some(reason);
        check.explanation = if interrupted { stopped() } else { text.clone() };
    }
    checks
}

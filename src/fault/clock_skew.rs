//! `clock_skew`: a machine's clock is set forward, or back, while it runs. A container node has none of its own: it says so
//! beforehand.
//!
//! What puts it right knows neither how long it was wrong nor whether the machine was started anew meanwhile: it sets the lab's
//! time, at the moment at which it is run.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::target::{Kinds, shown};
use super::{Fault, FaultError, FaultKind, Ground, Target, Undo, Victim, guest};
use crate::exec::ShellExt;
use crate::exec::ssh::Ssh;
use crate::scenario::tree::Decoder;
use crate::scenario::units::show_duration;
use crate::stack::machines::Node;
use crate::stack::{Guest, Stack, clock_set};
use crate::text::Text;

pub static FAULT: FaultKind = FaultKind {
    name: "clock_skew",
    summary: "A machine's clock is set forward, or back, while it runs, and set right when the fault is healed; needs virtual machines (`--provider libvirt`)",
    example: "{clock_skew: {node: worker2, by: 10m}}",
    schema,
    decode: |d| Some(Box::new(ClockSkew::decode(d)?) as Box<dyn Fault>),
};

/// A clock that is two seconds off counts as right: less than this might be taken for it.
const LEAST: Duration = Duration::from_secs(10);

struct ClockSkew {
    target: Target,
    by: Duration,
    back: bool,
}

fn schema() -> Value {
    let by = json!({"type": "string", "description": "how far from the time that it is: `10m`; 10s at least"});
    let back = json!({"type": "boolean", "description": "it is set back; forward where nothing is said"});
    let mut schema = Target::schema_with(Kinds::Machines, &json!({"by": by, "back": back}));
    schema["required"] = json!(["by"]);
    schema
}

fn why() -> Text {
    Text::new(
        "a container node has the clock of its host's kernel; a skewed one needs a virtual machine: `--provider libvirt`",
        "un nodo en contenedor tiene el reloj del núcleo de su anfitrión; para desajustarlo hace falta una máquina virtual: `--provider libvirt`",
    )
}

impl ClockSkew {
    fn decode(d: &mut Decoder<'_>) -> Option<Self> {
        d.required("by");
        let (by, back) = (d.duration("by"), d.bool_or("back", false));
        if by.is_some_and(|by| by < LEAST) {
            d.problem_with("by", "`by` must be at least 10s", Some("a clock that is a little off counts as right"));
        }
        let target = Target::decode(d, Kinds::Machines)?;
        Some(Self { target, by: by?, back })
    }

    /// In milliseconds. No duration is longer than a year.
    fn off(&self) -> i64 {
        let ms = i64::try_from(self.by.as_millis()).unwrap_or_default();
        if self.back { -ms } else { ms }
    }

    fn told(&self, name: &str) -> Text {
        let by = show_duration(self.by);
        let (en, es) = if self.back { ("back", "atrasó") } else { ("forward", "adelantó") };
        Text::new(format!("the clock of {name} was set {en} by {by}"), format!("el reloj de {name} se {es} {by}"))
    }
}

#[async_trait]
impl Fault for ClockSkew {
    fn target(&self) -> &Target {
        &self.target
    }

    fn cannot(&self, ground: Ground) -> Option<Text> {
        guest::only_guests(ground, why)
    }

    async fn inverse(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Undo>, FaultError> {
        let right = |(name, guest, ssh): (String, &Guest, Ssh)| guest::clock_right(&name, &guest.domain, &ssh);
        Ok(guests(stack, victims)?.into_iter().map(right).collect())
    }

    async fn inject(&self, stack: &Arc<Stack>, victims: &[Victim]) -> Result<Vec<Text>, FaultError> {
        let all = guests(stack, victims)?.into_iter().map(|(name, _, ssh)| async move {
            stack.ground.shell.must(&clock_set(&ssh, self.off())).await?;
            Ok(self.told(&name))
        });
        // Together, as far as that goes: clocks that are wrong by the same are not wrong for each other.
        futures_util::future::join_all(all).await.into_iter().collect()
    }
}

/// Those who are hit, for people, and the way into each.
fn guests<'a>(stack: &Stack, victims: &'a [Victim]) -> Result<Vec<(String, &'a Guest, Ssh)>, FaultError> {
    let led = |(node, guest): (&Node, &'a Guest)| {
        let name = shown(node.name());
        let ssh = Ssh::new(stack.ground.shell.clone(), &name, &guest.address);
        (name, guest, ssh)
    };
    Ok(guest::guests(victims, why)?.into_iter().map(led).collect())
}

#[cfg(test)]
mod tests {
    use super::super::machine::machines;
    use super::super::target::tests::decoded;
    use super::*;
    use crate::stack::Body;

    fn skew(text: &str) -> Result<ClockSkew, Vec<String>> {
        decoded(text, ClockSkew::decode)
    }

    #[test]
    fn forward_where_nothing_is_said_and_back_where_it_is() {
        let forward = skew("{node: worker2, by: 10m}").unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((forward.off(), forward.told("w").en.as_str()), (600_000, "the clock of w was set forward by 10m"));
        let back = skew("{node: others, pick: one, by: 90s, back: true}").unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!((back.off(), back.told("w").es.as_str()), (-90_000, "el reloj de w se atrasó 90s"));
        assert!(skew("{node_of: db, by: 8760h}").is_ok());
    }

    #[test]
    fn how_far_is_asked_for() {
        let wrong = |text| skew(text).err().unwrap_or_default();
        assert_eq!(wrong("{node: worker2}"), ["1:1 `by` is missing"]);
        assert_eq!(wrong("{node: worker2, by: 2s}"), ["1:21 `by` must be at least 10s"]);
        assert!(wrong("{node: worker2, by: -10m}")[0].contains("`by` must be a duration"));
        assert!(wrong("{node: worker2, by: 10}")[0].contains("`by` must be a duration"));
        assert!(!wrong("{role: db, by: 10m}").is_empty());
        assert_eq!(schema()["required"], json!(["by"]));
    }

    #[test]
    fn only_a_virtual_machine_has_a_clock_of_its_own() {
        let fault = skew("{node: worker2, by: 10m}").unwrap_or_else(|e| panic!("{e:?}"));
        let why = fault.cannot(Ground::Lab).unwrap();
        assert!(why.en.contains("`--provider libvirt`") && why.es.contains("`--provider libvirt`"), "{}", why.en);
        assert!(fault.cannot(Ground::Guests).is_none());
        for ground in [Ground::Host, Ground::Attached] {
            assert!(fault.cannot(ground).unwrap().en.contains("only a lab has machines"));
        }
        let victims = [super::super::target::tests::machine("w1")];
        assert!(machines(&victims).all(|(_, body)| matches!(body, Body::Container(_))));
    }
}

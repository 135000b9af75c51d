//! Who is hit: services by their role, machines by name, or some of several by a choice that can be repeated.

use serde_json::{Value, json};

use super::{Aim, FaultError};
use crate::docker::Container;
use crate::scenario::tree::Decoder;
use crate::stack::found::{no_container, not_running};
use crate::stack::machines::Node;
use crate::stack::{Body, Found, Stack};
use crate::text::Text;

/// As a scenario names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub whom: Whom,
    pub pick: Pick,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The containers of a role.
    Role(String),
    /// Machines: `all`, `first`, `others`, or a name.
    Node(String),
    /// The machine that a role's container runs on.
    NodeOf(String),
}

/// How many of several are hit: Jepsen's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    One,
    /// Fewer than half.
    Minority,
    #[default]
    All,
}

/// Somebody who is hit.
#[derive(Clone, Debug)]
pub enum Victim {
    Service(Box<Container>),
    /// The machine, and what it is while it is up.
    Machine(Box<Node>, Box<Body>),
}

impl Victim {
    /// For people: `app (x_app_1)`, `worker2`.
    pub fn name(&self) -> String {
        match self {
            Self::Service(container) => format!("{} ({})", container.service, container.name),
            Self::Machine(node, _) => shown(node.name()),
        }
    }

    fn key(&self) -> &str {
        match self {
            Self::Service(container) => &container.name,
            Self::Machine(node, _) => node.name(),
        }
    }
}

/// A machine's name, for people: it is the submission's own word.
pub(super) fn shown(machine: &str) -> String {
    crate::sanitize::line(machine, 60)
}

/// What a fault can be aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    Services,
    Machines,
    Both,
}

impl Target {
    /// `role`, `node` or `node_of`, and `pick`: of the fault's own keys.
    pub fn decode(d: &mut Decoder<'_>, kinds: Kinds) -> Option<Self> {
        let (services, machines) = (kinds != Kinds::Machines, kinds != Kinds::Services);
        let given: Vec<&'static str> = [("role", services), ("node", machines), ("node_of", machines)]
            .into_iter()
            .filter(|(key, may)| *may && d.has(key))
            .map(|(key, _)| key)
            .collect();
        // Asked for, so that a mistyped key is told what it may be.
        if machines {
            d.node("node");
            d.node("node_of");
        }
        let pick = d.word("pick", &["one", "minority", "all"]).map(|word| match word {
            "one" => Pick::One,
            "minority" => Pick::Minority,
            _ => Pick::All,
        });
        if let [_, second, ..] = given.as_slice() {
            d.problem_with(second, format!("`{second}` is a second target"), Some("keep one"));
        }
        let whom = match (given.first().copied(), services) {
            (Some("node"), _) => d.required_text("node").map(|name| Whom::Node(name.trim().to_owned())),
            (Some("node_of"), _) => d.role("node_of").map(Whom::NodeOf),
            (None, false) => {
                d.required("node");
                None
            }
            _ => d.role("role").map(Whom::Role),
        };
        let whom = whom?;
        let usual = if matches!(whom, Whom::NodeOf(_)) { Pick::One } else { Pick::All };
        Some(Self { whom, pick: pick.unwrap_or(usual) })
    }

    /// The properties of a JSON Schema.
    pub fn schema(kinds: Kinds) -> Value {
        Self::schema_with(kinds, &json!({}))
    }

    /// The same, with more keys of the fault's own.
    pub fn schema_with(kinds: Kinds, more: &Value) -> Value {
        let mut properties = json!({
            "pick": {"enum": ["one", "minority", "all"], "description": "how many of several are hit; all by default, of `node_of` one"}
        });
        let keys = [
            ("role", kinds != Kinds::Machines, "the containers of a role"),
            ("node", kinds != Kinds::Services, "machines: `first`, `others`, `all`, or a machine's name"),
            ("node_of", kinds != Kinds::Services, "the machine that the container of a role runs on"),
        ];
        let mut one_of = Vec::new();
        for (key, _, description) in keys.iter().filter(|(_, may, _)| *may) {
            properties[key] = json!({"type": "string", "description": description});
            one_of.push(json!({"required": [key]}));
        }
        for (key, schema) in more.as_object().into_iter().flatten() {
            properties[key] = schema.clone();
        }
        json!({"type": "object", "additionalProperties": false, "properties": properties, "oneOf": one_of})
    }

    /// For people: `one of role app`, `machine worker2`.
    pub fn describe(&self) -> Text {
        let whom = match &self.whom {
            Whom::Role(role) => Text::new(format!("role {role}"), format!("el rol {role}")),
            Whom::Node(name) => match name.as_str() {
                "all" => Text::new("the machines", "las máquinas"),
                "first" => Text::new("the first machine", "la primera máquina"),
                "others" => Text::new("the machines but the first", "las máquinas menos la primera"),
                name => Text::new(format!("machine {name}"), format!("la máquina {name}")),
            },
            Whom::NodeOf(role) => {
                Text::new(format!("the machine of role {role}"), format!("la máquina del rol {role}"))
            }
        };
        let many = match &self.whom {
            Whom::Node(name) => matches!(name.as_str(), "all" | "others"),
            _ => false,
        };
        match self.pick {
            Pick::One if many => Text::new(format!("one of {}", whom.en), format!("una de {}", whom.es)),
            Pick::Minority => Text::new(format!("a minority of {}", whom.en), format!("una minoría de {}", whom.es)),
            Pick::One | Pick::All => whom,
        }
    }

    /// Whether machines are hit, and not services.
    pub fn on_machines(&self) -> bool {
        !matches!(self.whom, Whom::Role(_))
    }

    /// Whether the choice depends on the seed.
    pub fn is_random(&self) -> bool {
        let several = !matches!(&self.whom, Whom::Node(name) if !matches!(name.as_str(), "all" | "others"));
        several && self.pick != Pick::All
    }

    /// Who that is now.
    ///
    /// # Errors
    /// Where it cannot be told, for no fault of the submission's.
    pub async fn resolve(&self, stack: &Stack, seed: u64) -> Result<Aim, FaultError> {
        let all = match &self.whom {
            Whom::Role(role) => match players(stack, role).await? {
                Found::Absent(why) => return Ok(Aim::Nobody(why)),
                Found::Here(containers) => containers.into_iter().map(|c| Victim::Service(Box::new(c))).collect(),
            },
            Whom::Node(word) => match machines(stack, word).await? {
                Found::Absent(why) => return Ok(Aim::Nobody(why)),
                Found::Here(machines) => machines,
            },
            Whom::NodeOf(role) => match machines_of(stack, role).await? {
                Found::Absent(why) => return Ok(Aim::Nobody(why)),
                Found::Here(machines) => machines,
            },
        };
        let of = all.len();
        let chosen = choose(all, self.pick, seed);
        if chosen.is_empty() {
            return Err(FaultError::not_here(
                format!("there is no minority of {of}"),
                format!("no hay minoría de {of}"),
            ));
        }
        Ok(Aim::At(chosen))
    }
}

/// By name, beginning where the seed says.
fn choose(mut all: Vec<Victim>, pick: Pick, seed: u64) -> Vec<Victim> {
    all.sort_by(|a, b| a.key().cmp(b.key()));
    let of = all.len();
    let wanted = match pick {
        Pick::All => return all,
        Pick::One => 1,
        Pick::Minority => of.saturating_sub(1) / 2,
    };
    if let Some(from) = usize::try_from(seed % (of.max(1) as u64)).ok().filter(|_| of > 0) {
        all.rotate_left(from);
    }
    all.truncate(wanted);
    all.sort_by(|a, b| a.key().cmp(b.key()));
    all
}

/// The running containers of a role.
async fn players(stack: &Stack, role: &str) -> Result<Found<Vec<Container>>, FaultError> {
    let service = match stack.service_of(role)? {
        Found::Here(service) => service,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let (running, ended): (Vec<_>, Vec<_>) =
        stack.containers().await?.into_iter().filter(|c| c.service == service).partition(Container::running);
    if !running.is_empty() {
        return Ok(Found::Here(running));
    }
    Ok(Found::Absent(ended.first().map_or_else(|| no_container(&service), not_running)))
}

/// The machines that a word means, of those that are up; where none is, why.
async fn machines(stack: &Stack, word: &str) -> Result<Found<Vec<Victim>>, FaultError> {
    let meant = |(number, node): &(usize, &Node)| match word {
        "all" => true,
        "first" => *number == 0,
        "others" => *number > 0,
        name => node.name() == name,
    };
    let nodes: Vec<&Node> = stack.machines.nodes.iter().enumerate().filter(meant).map(|(_, node)| node).collect();
    if nodes.is_empty() {
        return nobody(stack, word).map(Found::Absent);
    }
    let (mut up, mut fault, mut unknown) = (Vec::new(), None, None);
    for node in nodes {
        match stack.machine(node).await {
            Ok(Found::Here(body)) => up.push(Victim::Machine(Box::new(node.clone()), Box::new(body))),
            Ok(Found::Absent(why)) => fault = fault.or(Some(why)),
            Err(error) => unknown = unknown.or(Some(error)),
        }
    }
    match (up.is_empty(), unknown, fault) {
        (false, ..) => Ok(Found::Here(up)),
        (true, Some(error), _) => Err(error.into()),
        (true, None, why) => Ok(Found::Absent(why.unwrap_or_default())),
    }
}

fn nobody(stack: &Stack, word: &str) -> Result<Text, FaultError> {
    let nodes = &stack.machines.nodes;
    if nodes.is_empty() {
        return match &stack.machines.left_out {
            Some(left_out) => Ok(left_out.fault()?),
            None => Err(FaultError::ours(
                "the machines were not brought up in this run",
                "las máquinas no se levantaron en esta ejecución",
            )),
        };
    }
    let names: Vec<String> = nodes.iter().map(|node| shown(node.name())).collect();
    let names = names.join(", ");
    Ok(Text::new(
        format!("the Vagrantfile defines no machine that is meant by {word}; it defines: {names}"),
        format!("el Vagrantfile no define ninguna máquina que corresponda a {word}; define: {names}"),
    ))
}

/// The machines on which the containers of a role run.
async fn machines_of(stack: &Stack, role: &str) -> Result<Found<Vec<Victim>>, FaultError> {
    let containers = match players(stack, role).await? {
        Found::Here(containers) => containers,
        Found::Absent(why) => return Ok(Found::Absent(why)),
    };
    let mut victims: Vec<Victim> = Vec::new();
    for container in &containers {
        let Some(name) = &stack.spot_of(container).node else {
            return Err(FaultError::not_here(
                format!("{} runs in the lab itself, not on a machine", container.service),
                format!("{} corre en el propio laboratorio, no en una máquina", container.service),
            ));
        };
        if victims.iter().any(|victim| victim.key() == name) {
            continue;
        }
        let Some(node) = stack.machines.node(name) else { continue };
        match stack.machine(node).await? {
            Found::Here(own) => victims.push(Victim::Machine(Box::new(node.clone()), Box::new(own))),
            Found::Absent(why) => return Ok(Found::Absent(why)),
        }
    }
    Ok(Found::Here(victims))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scenario::tree;

    /// A fault's parameters, decoded; else its problems.
    pub(crate) fn decoded<T>(text: &str, decode: impl FnOnce(&mut Decoder<'_>) -> Option<T>) -> Result<T, Vec<String>> {
        let node = tree::read(text, "s.yaml").unwrap();
        let mut problems = Vec::new();
        let mut d = Decoder::new(&node, &mut problems);
        let out = decode(&mut d);
        d.finish();
        let told: Vec<String> =
            problems.iter().map(|p| format!("{}:{} {}", p.at.line, p.at.column, p.message)).collect();
        if told.is_empty() { Ok(out.unwrap()) } else { Err(told) }
    }

    fn target(text: &str, kinds: Kinds) -> Result<Target, Vec<String>> {
        decoded(text, |d| Target::decode(d, kinds))
    }

    pub(crate) fn machine(name: &str) -> Victim {
        let mut node = Node::default();
        node.def.name = name.to_owned();
        let own = Container { id: format!("{name}-id"), name: name.to_owned(), ..Container::default() };
        Victim::Machine(Box::new(node), Box::new(Body::Container(Box::new(own))))
    }

    #[test]
    fn who_is_meant_is_one_of_three_and_how_many_has_its_usual_answer() {
        let is = |text, whom, pick| assert_eq!(target(text, Kinds::Both), Ok(Target { whom, pick }), "{text}");
        is("{role: app}", Whom::Role("app".into()), Pick::All);
        is("{role: app, pick: one}", Whom::Role("app".into()), Pick::One);
        is("{node: worker2}", Whom::Node("worker2".into()), Pick::All);
        is("{node: others, pick: minority}", Whom::Node("others".into()), Pick::Minority);
        is("{node_of: db}", Whom::NodeOf("db".into()), Pick::One);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(target("{}", Kinds::Both).unwrap_err(), ["1:1 `role` is missing"]);
        assert_eq!(target("{}", Kinds::Machines).unwrap_err(), ["1:1 `node` is missing"]);
        assert_eq!(target("{role: app, node: first}", Kinds::Both).unwrap_err(), ["1:19 `node` is a second target"]);
        assert_eq!(target("{nod: first}", Kinds::Machines).unwrap_err(), ["1:2 unknown key `nod`"]);
        assert_eq!(target("{role: app}", Kinds::Machines).unwrap_err().len(), 2, "not a machine, and unknown there");
        assert_eq!(
            target("{role: app, pick: two}", Kinds::Services).unwrap_err(),
            ["1:19 unknown value `two` for `pick`"]
        );
    }

    #[test]
    fn the_choice_is_the_same_for_the_same_seed_and_reaches_everybody() {
        let all = || ["w3", "w1", "w2", "w4"].map(machine).to_vec();
        let names = |victims: Vec<Victim>| victims.iter().map(Victim::name).collect::<Vec<_>>();
        assert_eq!(names(choose(all(), Pick::All, 7)), ["w1", "w2", "w3", "w4"]);
        for (seed, name) in [(0, "w1"), (1, "w2"), (2, "w3"), (3, "w4"), (4, "w1"), (u64::MAX, "w4")] {
            assert_eq!(names(choose(all(), Pick::One, seed)), [name], "{seed}");
        }
        assert_eq!(names(choose(all(), Pick::Minority, 1)), ["w2"], "two of four are no minority");
        let five = ["a", "b", "c", "d", "e"].map(machine).to_vec();
        assert_eq!(names(choose(five, Pick::Minority, 4)), ["a", "e"]);
        assert!(choose(["a", "b"].map(machine).to_vec(), Pick::Minority, 0).is_empty());
        assert!(choose(Vec::new(), Pick::One, 3).is_empty());
    }

    #[test]
    fn it_says_whom_it_means() {
        let said = |text: &str| target(text, Kinds::Both).unwrap().describe().en;
        assert_eq!(said("{role: app}"), "role app");
        assert_eq!(said("{node: others, pick: one}"), "one of the machines but the first");
        assert_eq!(said("{node: worker2, pick: one}"), "machine worker2");
        assert_eq!(said("{node: all, pick: minority}"), "a minority of the machines");
        assert!(target("{node_of: db}", Kinds::Both).unwrap().on_machines());
        assert!(target("{node: all, pick: one}", Kinds::Both).unwrap().is_random());
        assert!(!target("{node: first, pick: one}", Kinds::Both).unwrap().is_random());
    }
}

//! A swarm as one of its managers tells of it: its nodes, its services and their tasks. And whether an engine is in one.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    EndpointPortConfigProtocolEnum, EndpointPortConfigPublishModeEnum, EndpointSpecModeEnum, LocalNodeState, Node,
    NodeSpecAvailabilityEnum, NodeSpecRoleEnum, NodeState, Reachability, Service, Task, TaskState,
};
use bollard::query_parameters::{ListNodesOptions, ListServicesOptions, ListTasksOptions};

use super::{Engine, EngineError};

/// The label that `docker stack deploy` gives: the stack.
pub const NAMESPACE: &str = "com.docker.stack.namespace";
/// On a task's container: the service, by its full name.
pub const SERVICE_NAME: &str = "com.docker.swarm.service.name";
/// And the task.
pub const TASK: &str = "com.docker.swarm.task.id";

/// What an engine says of its own part in a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// `inactive`, `pending`, `active`, `error`, `locked`.
    pub state: String,
    pub node: String,
    /// It can be asked about the swarm.
    pub manager: bool,
    /// Why it is not what it should be, in the engine's words.
    pub error: String,
}

impl Membership {
    pub fn active(&self) -> bool {
        self.state == "active"
    }
}

/// A swarm as it is now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Swarm {
    pub members: Vec<Member>,
    pub services: Vec<SwarmService>,
    pub tasks: Vec<SwarmTask>,
}

/// A node of a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    pub hostname: String,
    pub address: String,
    pub manager: bool,
    /// Of a manager: the others reach it.
    pub reachable: bool,
    /// `ready`, `down`, `disconnected`, `unknown`.
    pub state: String,
    /// `active`, `pause`, `drain`.
    pub availability: String,
    pub labels: BTreeMap<String, String>,
}

impl Member {
    /// Whether tasks are given to it.
    pub fn takes_tasks(&self) -> bool {
        self.state == "ready" && self.availability == "active"
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwarmService {
    pub id: String,
    /// In full: `stack_app`.
    pub name: String,
    /// The stack that it is of; empty where it was created by itself.
    pub stack: String,
    /// How many tasks it should have; none where it runs on every node.
    pub replicas: Option<u64>,
    /// Its name means the addresses of its tasks, and not one address that is spread over them.
    pub dnsrr: bool,
    pub ports: Vec<SwarmPort>,
    pub constraints: Vec<String>,
    /// The most of its tasks that one node takes; 0 is any number.
    pub most_per_node: u64,
    /// It ran, and ran to its end: a job, or one that is not started again.
    pub one_shot: bool,
}

impl SwarmService {
    /// As its file names it: `app` of `stack_app`.
    pub fn short_name(&self) -> &str {
        short(&self.name, &self.stack)
    }
}

/// `app` of `stack_app`.
pub fn short<'a>(name: &'a str, stack: &str) -> &'a str {
    name.strip_prefix(stack).and_then(|rest| rest.strip_prefix('_')).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmPort {
    pub target: u16,
    pub published: u16,
    /// A port of the node that the task runs on, and not of every node.
    pub host: bool,
    /// What speaks no TCP there.
    pub udp: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwarmTask {
    pub id: String,
    pub service: String,
    pub node: String,
    pub slot: u64,
    /// It is meant to run, and not a part of the service's past.
    pub wanted: bool,
    /// `running`, `pending`, `preparing`, `rejected`, `failed` …
    pub state: String,
    pub error: String,
    pub container: String,
}

impl SwarmTask {
    pub fn running(&self) -> bool {
        self.wanted && self.state == "running"
    }
}

impl Swarm {
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    pub fn tasks_of<'a>(&'a self, service: &'a SwarmService) -> impl Iterator<Item = &'a SwarmTask> {
        self.tasks.iter().filter(move |task| task.service == service.id)
    }

    /// A service of a stack, by the name that its file gives it.
    pub fn service(&self, stack: &str, name: &str) -> Option<&SwarmService> {
        self.services.iter().find(|service| service.stack == stack && service.short_name() == name)
    }

    /// How many tasks of a service run, and how many should.
    pub fn replicas(&self, service: &SwarmService) -> (u64, u64) {
        let running = self.tasks_of(service).filter(|task| task.running()).count() as u64;
        let wanted = self.tasks_of(service).filter(|task| task.wanted).count() as u64;
        (running, service.replicas.unwrap_or(wanted))
    }
}

impl Engine {
    /// Whether the engine is in a swarm, and what it is there.
    ///
    /// # Errors
    /// Where it does not say.
    pub async fn membership(&self) -> Result<Membership, EngineError> {
        let info = self.docker().info().await.map_err(|e| self.explain("ask about its swarm", &e))?;
        let swarm = info.swarm.unwrap_or_default();
        let state = swarm.local_node_state.unwrap_or(LocalNodeState::INACTIVE);
        Ok(Membership {
            state: state.to_string(),
            node: swarm.node_id.unwrap_or_default(),
            manager: state == LocalNodeState::ACTIVE && swarm.control_available.unwrap_or_default(),
            error: swarm.error.unwrap_or_default(),
        })
    }

    /// The swarm that it manages.
    ///
    /// # Errors
    /// Where it does not answer, or manages none.
    pub async fn swarm(&self) -> Result<Swarm, EngineError> {
        let docker = self.docker();
        let nodes = docker.list_nodes(None::<ListNodesOptions>).await;
        let nodes = nodes.map_err(|e| self.explain("list the nodes of its swarm", &e))?;
        let services = docker.list_services(None::<ListServicesOptions>).await;
        let services = services.map_err(|e| self.explain("list the services of its swarm", &e))?;
        let tasks = docker.list_tasks(None::<ListTasksOptions>).await;
        let tasks = tasks.map_err(|e| self.explain("list the tasks of its swarm", &e))?;
        Ok(Swarm {
            members: nodes.into_iter().map(member).collect(),
            services: services.into_iter().map(service).collect(),
            tasks: tasks.into_iter().map(task).collect(),
        })
    }
}

fn ordered(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

fn member(node: Node) -> Member {
    let spec = node.spec.unwrap_or_default();
    let status = node.status.unwrap_or_default();
    let manager = node.manager_status;
    Member {
        id: node.id.unwrap_or_default(),
        hostname: node.description.and_then(|d| d.hostname).unwrap_or_default(),
        address: status.addr.unwrap_or_default(),
        manager: spec.role == Some(NodeSpecRoleEnum::MANAGER),
        reachable: manager.and_then(|m| m.reachability) == Some(Reachability::REACHABLE),
        state: status.state.unwrap_or(NodeState::UNKNOWN).to_string(),
        availability: spec.availability.unwrap_or(NodeSpecAvailabilityEnum::ACTIVE).to_string(),
        labels: ordered(spec.labels),
    }
}

fn service(service: Service) -> SwarmService {
    let spec = service.spec.unwrap_or_default();
    let mut labels = ordered(spec.labels);
    let task = spec.task_template.unwrap_or_default();
    let placement = task.placement.unwrap_or_default();
    let endpoint = spec.endpoint_spec.unwrap_or_default();
    // Which ports it was given, where the file leaves that to the swarm.
    let given = service.endpoint.and_then(|endpoint| endpoint.ports).filter(|ports| !ports.is_empty());
    let ports = given.or(endpoint.ports).unwrap_or_default();
    let mode = spec.mode.unwrap_or_default();
    let restart = task.restart_policy.and_then(|policy| policy.condition).map(|condition| condition.to_string());
    let number = |n: Option<i64>| n.and_then(|n| u16::try_from(n).ok()).unwrap_or_default();
    SwarmService {
        id: service.id.unwrap_or_default(),
        name: spec.name.unwrap_or_default(),
        stack: labels.remove(NAMESPACE).unwrap_or_default(),
        one_shot: mode.replicated_job.is_some()
            || mode.global_job.is_some()
            || matches!(restart.as_deref(), Some("none" | "on-failure")),
        // One is what the engine takes where none is said.
        replicas: mode.replicated.map(|r| r.replicas.and_then(|n| u64::try_from(n).ok()).unwrap_or(1)),
        dnsrr: endpoint.mode == Some(EndpointSpecModeEnum::DNSRR),
        ports: ports
            .into_iter()
            .map(|port| SwarmPort {
                target: number(port.target_port),
                published: number(port.published_port),
                host: port.publish_mode == Some(EndpointPortConfigPublishModeEnum::HOST),
                udp: port.protocol.is_some_and(|protocol| protocol != EndpointPortConfigProtocolEnum::TCP),
            })
            .collect(),
        constraints: placement.constraints.unwrap_or_default(),
        most_per_node: placement.max_replicas.and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
    }
}

fn task(task: Task) -> SwarmTask {
    let status = task.status.unwrap_or_default();
    SwarmTask {
        id: task.id.unwrap_or_default(),
        service: task.service_id.unwrap_or_default(),
        node: task.node_id.unwrap_or_default(),
        slot: task.slot.and_then(|slot| u64::try_from(slot).ok()).unwrap_or_default(),
        wanted: task.desired_state == Some(TaskState::RUNNING),
        state: status.state.map(|state| state.to_string()).unwrap_or_default(),
        error: status.err.unwrap_or_default(),
        container: status.container_status.and_then(|c| c.container_id).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_counts_when_it_is_ready_and_active() {
        let read = |availability: &str, state: &str| {
            member(
                serde_json::from_value(json!({
                    "ID": "n1", "Spec": {"Role": "worker", "Availability": availability, "Labels": {"disk": "big"}},
                    "Description": {"Hostname": "worker1"}, "Status": {"State": state, "Addr": "192.168.60.11"}
                }))
                .unwrap(),
            )
        };
        let active = read("active", "ready");
        assert!(active.takes_tasks() && !active.manager);
        assert_eq!((active.hostname.as_str(), active.labels["disk"].as_str()), ("worker1", "big"));
        assert!(!read("drain", "ready").takes_tasks());
        assert!(!read("active", "down").takes_tasks());
    }

    #[test]
    fn a_service_is_read_as_its_stack_names_it() {
        let read = service(
            serde_json::from_value(json!({
                "ID": "s1", "Spec": {"Name": "faros_app", "Labels": {NAMESPACE: "faros"},
                    "TaskTemplate": {"Placement": {"Constraints": ["node.role == worker"], "MaxReplicas": 1},
                        "RestartPolicy": {"Condition": "any"}},
                    "Mode": {"Replicated": {"Replicas": 2}},
                    "EndpointSpec": {"Mode": "dnsrr", "Ports": [
                        {"Protocol": "tcp", "TargetPort": 5000, "PublishedPort": 5000, "PublishMode": "host"}]}}
            }))
            .unwrap(),
        );
        assert_eq!((read.short_name(), read.replicas, read.dnsrr, read.most_per_node), ("app", Some(2), true, 1));
        assert_eq!(read.ports, [SwarmPort { target: 5000, published: 5000, host: true, udp: false }]);
        assert!(!read.one_shot);
        assert_eq!(short("alone", ""), "alone");
        assert_eq!(short("faros", "faros"), "faros");
    }

    #[test]
    fn only_tasks_that_are_meant_to_run_count() {
        let read = |desired: &str, state: &str| {
            task(
                serde_json::from_value(json!({
                    "ID": "t", "ServiceID": "s1", "NodeID": "n1", "Slot": 2, "DesiredState": desired,
                    "Status": {"State": state, "ContainerStatus": {"ContainerID": "c1"}}
                }))
                .unwrap(),
            )
        };
        assert!(read("running", "running").running());
        assert!(!read("shutdown", "running").running(), "it is on its way out");
        assert!(!read("running", "preparing").running());
        let of = SwarmService { id: "s1".into(), replicas: Some(3), ..SwarmService::default() };
        let swarm = Swarm { tasks: vec![read("running", "running"), read("shutdown", "failed")], ..Swarm::default() };
        assert_eq!(swarm.replicas(&of), (1, 3));
        assert_eq!(swarm.replicas(&SwarmService { replicas: None, ..of }), (1, 1), "on every node that takes it");
    }
}

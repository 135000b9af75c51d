//! A service's container as the engine sees it now.

use std::collections::BTreeMap;

/// A container of a service as it is now.
#[derive(Clone, Debug, Default)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub service: String,
    /// `created`, `running`, `restarting`, `exited`, `dead`, `paused`.
    pub state: String,
    pub pid: i64,
    /// Seconds since the Unix epoch, as the engine's clock has it.
    pub started_at: f64,
    pub exit_code: i64,
    pub oom_killed: bool,
    pub error: String,
    pub restarts: u64,
    pub restart_policy: String,
    pub image: String,
    pub health: Option<String>,
    pub memory_bytes: u64,
    pub nano_cpus: i64,
    pub cpu_quota: i64,
    pub cpu_period: i64,
    pub env: Vec<String>,
    /// Published: container port (`5000/tcp`) to host ports.
    pub ports: BTreeMap<String, Vec<(String, u16)>>,
    /// Network name to address.
    pub addresses: BTreeMap<String, String>,
    /// Names under which others reach it: service, aliases, container name.
    pub names: Vec<String>,
    pub hosts_path: String,
    pub resolv_conf_path: String,
}

impl Container {
    pub fn running(&self) -> bool {
        self.state == "running"
    }

    /// An exit that no restart policy answers.
    pub fn exited_for_good(&self) -> bool {
        let answered = match self.restart_policy.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => self.exit_code != 0,
            _ => false,
        };
        matches!(self.state.as_str(), "exited" | "dead") && !answered
    }
}

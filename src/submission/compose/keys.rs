//! Keys that no compose file has, most of them misspelt: said with the nearest that there is. What comes of them the compose
//! tool decides, in a run; here they are a warning to who looks before.

use super::Reading;
use crate::nearest;
use crate::submission::tree::Node;
use crate::text::Text;

/// All that the compose specification knows, old and new: what a tool does not have yet, or no longer, it says itself.
const TOP: &[&str] = &["version", "name", "services", "networks", "volumes", "secrets", "configs", "include", "models"];

#[rustfmt::skip]
const SERVICE: &[&str] = &[
    "annotations", "attach", "blkio_config", "build", "cap_add", "cap_drop", "cgroup", "cgroup_parent", "command", "configs",
    "container_name", "cpu_count", "cpu_percent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime", "cpu_shares",
    "cpus", "cpuset", "credential_spec", "depends_on", "deploy", "develop", "device_cgroup_rules", "devices", "dns", "dns_opt",
    "dns_search", "domainname", "entrypoint", "env_file", "environment", "expose", "extends", "external_links", "extra_hosts",
    "gpus", "group_add", "healthcheck", "hostname", "image", "init", "ipc", "isolation", "label_file", "labels", "links",
    "logging", "mac_address", "mem_limit", "mem_reservation", "mem_swappiness", "memswap_limit", "models", "network_mode",
    "networks", "oom_kill_disable", "oom_score_adj", "pid", "pids_limit", "platform", "ports", "post_start", "pre_stop",
    "privileged", "profiles", "provider", "pull_policy", "pull_refresh_after", "read_only", "restart", "runtime", "scale",
    "secrets", "security_opt", "shm_size", "stdin_open", "stop_grace_period", "stop_signal", "storage_opt", "sysctls", "tmpfs",
    "tty", "ulimits", "use_api_socket", "user", "userns_mode", "uts", "volumes", "volumes_from", "working_dir",
];

/// Of the first version's form alone.
const SERVICE_OF_OLD: &[&str] = &["dockerfile", "log_driver", "log_opt", "net", "volume_driver"];

#[rustfmt::skip]
const BUILD: &[&str] = &[
    "additional_contexts", "args", "cache_from", "cache_to", "context", "dockerfile", "dockerfile_inline", "entitlements",
    "extra_hosts", "isolation", "labels", "network", "no_cache", "platforms", "privileged", "provenance", "pull", "sbom",
    "secrets", "shm_size", "ssh", "tags", "target", "ulimits",
];

const DEPLOY: &[&str] = &[
    "endpoint_mode",
    "labels",
    "mode",
    "placement",
    "replicas",
    "resources",
    "restart_policy",
    "rollback_config",
    "update_config",
];
const RESOURCES: &[&str] = &["limits", "reservations"];
const LIMITS: &[&str] = &["cpus", "memory", "pids"];
const HEALTHCHECK: &[&str] = &["disable", "interval", "retries", "start_interval", "start_period", "test", "timeout"];

/// Says every key that is none. `root` is the file as written, before anything is merged into it from elsewhere.
pub(super) fn check(root: &Node, reading: &mut Reading) {
    let first_form = root.get("services").is_none();
    if !first_form {
        unknown(root, TOP, None, "", reading);
    }
    for (service, _, node) in super::services_of(root) {
        let mut known = SERVICE.to_vec();
        if first_form {
            known.extend(SERVICE_OF_OLD);
        }
        unknown(&node, &known, Some(&service), "", reading);
        for (path, keys) in [
            (["build"].as_slice(), BUILD),
            (&["healthcheck"], HEALTHCHECK),
            (&["deploy"], DEPLOY),
            (&["deploy", "resources"], RESOURCES),
            (&["deploy", "resources", "limits"], LIMITS),
        ] {
            if let Some(inner) = node.path(path) {
                unknown(inner, keys, Some(&service), &path.join("."), reading);
            }
        }
    }
}

fn unknown(node: &Node, known: &[&str], service: Option<&str>, within: &str, reading: &mut Reading) {
    for (key, _) in node.entries() {
        let name = key.name.as_str();
        // `<<` is left only where there was nothing to merge.
        if known.contains(&name) || name.starts_with("x-") || name == "<<" {
            continue;
        }
        let free = known.iter().copied().filter(|known| node.get(known).is_none());
        let near = nearest::nearest(name, free);
        let (en, es) = match (service, within) {
            (None, _) => ("a compose file".to_owned(), "un archivo compose".to_owned()),
            (Some(service), "") => (format!("a service (`{service}`)"), format!("un servicio (`{service}`)")),
            (Some(service), within) => (format!("`{within}` (`{service}`)"), format!("`{within}` (`{service}`)")),
        };
        let (ask, preguntar) = match near {
            Some(near) => (format!("; did you mean `{near}`?"), format!("; ¿quiso decir `{near}`?")),
            None => (String::new(), String::new()),
        };
        let text = Text::new(
            format!("`{name}` is no key of {en}{ask}"),
            format!("`{name}` no es una clave de {es}{preguntar}"),
        );
        reading.say("compose.unknown_key", key.at, service, text);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use crate::submission::compose::parse;

    fn said(text: &str) -> Vec<String> {
        let parsed = parse(Path::new("c.yml"), text, &BTreeMap::new(), &|_| None).unwrap();
        let show = |n: crate::notice::Notice| {
            let at = n.at.unwrap_or_default();
            format!("{}:{} {}", at.line, at.column, n.text.en)
        };
        parsed.notices.into_iter().filter(|n| n.id == "compose.unknown_key").map(show).collect()
    }

    #[test]
    fn misspelt_keys_are_said_with_the_nearest() {
        let text = "\
verison: '3'
services:
  app:
    biuld: {contxt: .}
    imgae: x
    enviroment: {A: b}
    build: {dockerfil: D}
    deploy: {resources: {limit: {memory: 20m}}}
    helthcheck: {}
    banana: 1
  db:
    image: mysql
    x-mine: 1
";
        assert_eq!(
            said(text),
            [
                "1:1 `verison` is no key of a compose file; did you mean `version`?",
                // `build` is there already.
                "4:5 `biuld` is no key of a service (`app`)",
                "5:5 `imgae` is no key of a service (`app`); did you mean `image`?",
                "6:5 `enviroment` is no key of a service (`app`); did you mean `environment`?",
                "9:5 `helthcheck` is no key of a service (`app`); did you mean `healthcheck`?",
                "10:5 `banana` is no key of a service (`app`)",
                "7:13 `dockerfil` is no key of `build` (`app`); did you mean `dockerfile`?",
                "8:26 `limit` is no key of `deploy.resources` (`app`); did you mean `limits`?",
            ]
        );
    }

    #[test]
    fn what_is_right_is_not_said() {
        let modern = "\
name: x
x-base: &base {restart: always, anything: 1}
services:
  app:
    <<: {restart: always}
    build: {context: ., additional_contexts: {a: b}}
    develop: {watch: []}
    healthcheck: {test: [CMD, 'true'], start_interval: 1s}
    deploy: {resources: {limits: {cpus: '1', memory: 20m, pids: 5}}}
    environment: {whatever: 1}
volumes: {data: {}}
";
        assert_eq!(said(modern), [""; 0]);
        let old = "app:\n  build: .\n  dockerfile: D\n  net: host\n  log_driver: none\n";
        assert_eq!(said(old), [""; 0]);
        assert_eq!(said("services:\n  app:\n    image: x\n    net: host\n").len(), 1);
    }
}

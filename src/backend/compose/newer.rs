//! What a compose file may say to docker compose 2 and not to the 1.29 that labs have: a refusal for that proves nothing.
//!
//! The older tool says every complaint in a line of its own. Only where each of them is about something that the newer tool
//! is known to accept is nobody to blame: a misspelt key beside one is refused by both.

use std::sync::LazyLock;

use regex::Regex;

/// Where the newer tool has keys that the older one lacks, and which.
const KEYS: &[(&str, &[&str])] = &[
    (r"", &["include", "models"]),
    (
        r"services\.[^.]+",
        &[
            "annotations",
            "attach",
            "cgroup",
            "develop",
            "gpus",
            "label_file",
            "models",
            "post_start",
            "pre_stop",
            "provider",
            "use_api_socket",
            "uts",
        ],
    ),
    (
        r"services\.[^.]+\.build",
        &[
            "additional_contexts",
            "cache_to",
            "dockerfile_inline",
            "entitlements",
            "no_cache",
            "platforms",
            "privileged",
            "provenance",
            "pull",
            "sbom",
            "secrets",
            "ssh",
            "tags",
            "ulimits",
        ],
    ),
    (r"services\.[^.]+\.depends_on", &["required", "restart"]),
    (r"services\.[^.]+\.deploy\.resources\.limits", &["pids"]),
    (r"services\.[^.]+\.healthcheck", &["start_interval"]),
    (r"services\.[^.]+\.networks\.[^.]+", &["driver_opts", "gw_priority", "interface_name", "mac_address"]),
    (r"services\.[^.]+\.ports", &["app_protocol", "host_ip", "name"]),
    (r"services\.[^.]+\.volumes", &["create_host_path", "image", "mode", "recursive", "selinux", "subpath"]),
    (r"configs\.[^.]+", &["content", "environment"]),
    (r"networks\.[^.]+", &["enable_ipv4"]),
    (r"secrets\.[^.]+", &["environment"]),
];

/// Complaints about forms, and not about keys, that the newer tool does not have.
const FORMS: &[&str] = &[
    // A list of files, each with its path.
    r#"^services\.[^.]+\.env_file contains \{.*"path": .*\}, which is an invalid type, it should be a string$"#,
    // Yes and no as values of maps of texts.
    r"^services\.\S+\.(environment|args|labels|sysctls)(\.\S+)? contains (true|false), which is an invalid type, it should be a string, number, or a null$",
    r"^services\.[^.]+\.extra_hosts\.\S+ contains \[.*\], which is an invalid type",
    r#"(^|ERROR: )Invalid interpolation format for .*\$\{[A-Za-z_]\w*:?\+"#,
    r"could not determine a constructor for the tag '!(reset|override)'",
];

static KEYS_RE: LazyLock<Vec<(Regex, &[&str])>> = LazyLock::new(|| {
    let place = |place: &str| format!("^{place}$");
    KEYS.iter().map(|(at, keys)| (compile(&place(at)), *keys)).collect()
});
static FORMS_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| FORMS.iter().map(|form| compile(form)).collect());

/// The three ways in which the tool names keys that it does not know, and the place.
static MINDS_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"^Unsupported config option for (?<at>\S+): (?<keys>'.*')$",
        r"^(?<at>\S+) contains unsupported option: (?<keys>'.*')$",
        r"^(?:(?<at>\S+) value )?(?<keys>'\w+'(?:, '\w+')*) do(?:es)? not match any of the regexes: '\^x-'$",
    ]
    .iter()
    .map(|pattern| compile(pattern))
    .collect()
});

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern, compiled in a test")
}

/// Whether all that the tool minds is something that only the newer one knows.
pub fn only(output: &str) -> bool {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let Some(first) = lines.iter().position(|line| line.starts_with("ERROR") || line.contains("is invalid because"))
    else {
        return false;
    };
    let complaints: Vec<&&str> = lines[first..].iter().filter(|line| !around(line)).collect();
    !complaints.is_empty() && complaints.iter().all(|line| known(line))
}

/// What stands around complaints: the heading, the advice under them, the place of one.
fn around(line: &str) -> bool {
    line.ends_with("is invalid because:")
        || line.starts_with("You might be seeing this error because")
        || line.starts_with("For more on the Compose file format versions")
        || line.starts_with("in \"")
}

fn known(complaint: &str) -> bool {
    if FORMS_RE.iter().any(|form| form.is_match(complaint)) {
        return true;
    }
    let Some(minds) = MINDS_RE.iter().find_map(|re| re.captures(complaint)) else { return false };
    let at = minds.name("at").map_or("", |at| at.as_str());
    let newer = |key: &str| KEYS_RE.iter().any(|(place, keys)| place.is_match(at) && keys.contains(&key));
    minds["keys"].split(", ").all(|key| newer(key.trim_matches('\'')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "ERROR: The Compose file './docker-compose.yml' is invalid because:\n";

    /// As 1.29.2 printed each of them.
    const NEWER: &[&str] = &[
        r#"services.app.env_file contains {"path": "./a.env", "required": false}, which is an invalid type, it should be a string"#,
        "services.app.depends_on contains unsupported option: 'required'",
        "services.app.depends_on contains unsupported option: 'restart'",
        "services.app.ports contains unsupported option: 'app_protocol'",
        "services.app.volumes contains unsupported option: 'create_host_path'",
        "services.app.build contains unsupported option: 'additional_contexts'",
        "services.app.networks.default contains unsupported option: 'mac_address'",
        "services.app.healthcheck value 'start_interval' does not match any of the regexes: '^x-'",
        "services.app.deploy.resources.limits value 'pids' does not match any of the regexes: '^x-'",
        "configs.c value 'content' does not match any of the regexes: '^x-'",
        "secrets.s value 'environment' does not match any of the regexes: '^x-'",
        "Unsupported config option for services.app: 'gpus'",
        "services.app.environment.B contains false, which is an invalid type, it should be a string, number, or a null",
        "services.app.build.args contains true, which is an invalid type, it should be a string, number, or a null",
        "'include' does not match any of the regexes: '^x-'\n\nYou might be seeing this error because you're using the wrong Compose file version.\nFor more on the Compose file format versions, see https://docs.docker.com/compose/compose-file/",
    ];

    const STUDENTS: &[&str] = &[
        "Unsupported config option for services.app: 'biuld'",
        "Unsupported config option for services.app: 'annotatons'",
        "services.app.build contains unsupported option: 'dokerfile'",
        // A key of another place.
        "Unsupported config option for services.app: 'required'",
        "services.app.build contains unsupported option: 'include'",
        "services.app.healthcheck value 'start_interval', 'tst' do not match any of the regexes: '^x-'",
        "services.app.deploy value 'foo' does not match any of the regexes: '^x-'",
        "'servces' does not match any of the regexes: '^x-'",
        r#"services.app.environment contains {"A": "b"}, which is an invalid type, it should be a string"#,
        "services.app.ports contains an invalid type, it should be an array",
        "services.app.env_file contains an invalid type, it should be a string, or an array",
    ];

    #[test]
    fn what_only_the_newer_tool_knows_is_excused() {
        for said in NEWER {
            assert!(only(&format!("{HEAD}{said}\n")), "{said}");
        }
        assert!(only(&format!("{HEAD}{}\n", NEWER.join("\n"))));
        assert!(only(r#"ERROR: Invalid interpolation format for "image" option in service "app": "a:${V:+x}""#));
        assert!(only(
            "ERROR: yaml.constructor.ConstructorError: could not determine a constructor for the tag '!reset'\n  in \"./docker-compose.yml\", line 6, column 12"
        ));
    }

    #[test]
    fn what_both_tools_refuse_is_not_even_beside_what_one_knows() {
        for said in STUDENTS {
            assert!(!only(&format!("{HEAD}{said}\n")), "{said}");
            assert!(!only(&format!("{HEAD}{}\n{said}\n", NEWER[0])), "{said}");
        }
        for said in [
            r#"ERROR: Invalid interpolation format for "image" option in service "app": "a:${V""#,
            "ERROR: yaml.scanner.ScannerError: mapping values are not allowed here\n  in \"./docker-compose.yml\", line 15, column 10",
            "ERROR: Service 'app' depends on service 'nodb' which is undefined.",
            "ERROR: Couldn't find env file: /work/submission/a.env",
            "",
        ] {
            assert!(!only(said), "{said}");
        }
    }
}

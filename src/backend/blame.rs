//! Whose fault a failure behind an image may be, read from what was printed.
//!
//! A stand-in is another version than was asked for. A failure in it or behind it is proven independent of it only where no
//! line from the interpreter, an installed package, the installer or the server names a syntax, module, function, option,
//! collation or authentication plugin as the cause. The tables below are those lines, each as one of these prints it.

use std::sync::LazyLock;

use regex::Regex;

/// Lines that an interpreter, package, installer or server prints where a version is to blame.
const VERSION: &[&str] = &[
    // Python, and what is installed in it.
    r"^\s*(E\s+)?(SyntaxError|IndentationError|TabError|ImportError|ModuleNotFoundError)\b",
    r"AttributeError: (partially initialized )?module '",
    // Not of None or a builtin: that is what code says after its own caught failure.
    r"AttributeError: '([A-MO-Z]\w*|N[a-np-z]\w*)' object has no attribute '",
    r"TypeError: .*(unexpected keyword argument|required positional argument|takes \d+ positional)",
    r"pkg_resources\.\w+",
    // pip and what it builds.
    r"require a different python version|requires a different Python|Requires-Python",
    r"subprocess-exited-with-error|metadata-generation-failed|Failed building wheel|Could not build wheels",
    r"no such option: ",
    r"fatal error: \S+\.h: No such file",
    // Other tools that an image of another release lacks or names otherwise.
    r"E: (Unable to locate package|Package '\S+' has no installation candidate|Version '\S+' for)",
    r"(: not found|: command not found)$|executable file not found in \$PATH",
    // PHP.
    r"PHP Parse error|Call to undefined function|Uncaught (Error|TypeError|ArgumentCountError)|undefined method",
    r"^stand-in: .* is not part of this stand-in",
    r"docker-php-ext-\w+: .*(not found|does not exist)|error: .*/usr/src/php/ext/",
    // Node.
    r"Error: Cannot find module|ERR_REQUIRE_ESM|ERR_UNSUPPORTED_|Unsupported engine",
    // MySQL and its family.
    r"Unknown (collation|character set|system variable|storage engine|data type)",
    r"You have an error in your SQL syntax|ERROR (1064|1115|1128|1193|1273|1286|1305|1524|4161)\b",
    r"unknown (variable|option) '|Authentication plugin '|[Pp]lugin '?\w*'? (is )?not (loaded|supported|defined)",
    r"caching_sha2_password|auth_gssapi_client|Unsupported redo log|newer version|Upgrade after a crash",
    // Web servers, redis, postgres.
    r"Invalid command '|Cannot load modules/|AH00526|unknown directive",
    r"Bad directive or wrong number of arguments|FATAL CONFIG FILE ERROR",
    r#"unrecognized configuration parameter|type "\S+" does not exist"#,
    r"(ERROR|FATAL):\s+(syntax error at or near|function .+ does not exist|operator does not exist|invalid value for parameter)",
    r#"(ERROR|FATAL):\s+((collation|access method|language|option) "[^"]+" does not exist|extension "[^"]+" is not available)"#,
    r"database files are incompatible with server",
];

/// Lines that look like it and are the same with every version: an extension that no image of PHP brings by itself.
const OWN: &[&str] =
    &[r#"Class ['"]\\?(mysqli|PDO|pdo_mysql)['"] not found|undefined function \\?mysqli_\w+\(|could not find driver"#];

/// Lines of a build that could not reach its registries: the host's network, or time.
const NETWORK: &[&str] = &[
    r"Temporary failure (in name resolution|resolving)|Could not resolve|Name or service not known|getaddrinfo (ENOTFOUND|EAI_AGAIN)",
    r"(?i)Network is unreachable|Connection timed out|Read timed out|TLS handshake timeout|i/o timeout|ETIMEDOUT|ECONNREFUSED",
    r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|self.signed certificate|unable to get local issuer",
    r"50[234] (Bad Gateway|Service Unavailable|Gateway Time-?out)|Hash Sum mismatch|Failed to fetch",
    r"(?i)connection reset by peer|cannot connect to the docker daemon",
];

/// What the engine says where it cannot pull the base of a build.
const UNPULLED: &[&str] = &[
    r"(?i)pull access denied|manifest unknown|manifest for \S+ not found|toomanyrequests|pull rate limit",
    r"(?i)lookup \S*docker\S* on \S+: |dial tcp .*(no such host|i/o timeout|connection refused|network is unreachable)",
    r"(?i)error pulling image|failed to resolve (source|reference)|x509: |Client\.Timeout exceeded",
    r"failed to do request: |gave HTTP response to HTTPS client",
];

/// What the engine says where it is its own limits that keep a container from starting.
const HOST: &[&str] = &[
    r"(?i)error setting rlimit|operation not permitted: unknown|cannot allocate memory|no space left on device",
    r"context deadline exceeded|failed to create shim task: (ttrpc|EOF)|could not find an available, non-overlapping",
    // Of its own files; below others of its (tmp, volumes, a container's `merged`) lies what a submission named.
    r"(?i)/var/lib/docker/(overlay2/[\w-]+/(diff|work|link|lower|committed)|image|containers)\b\S*: (read-only file system|input/output error|structure needs cleaning|stale file handle)",
    r"(un)?able to apply cgroup|cgroup.*(permission denied|read-only file system|no such file)",
];

/// What programs say where the disk below them is full.
const DISK: &[&str] = &[
    r"(?i)no space left on device|\bENOSPC\b|disk is full writing|disk quota exceeded",
    r"OS errno 28\b|\bErrno 28\b|\berrno: 28\b|ERROR (1021|1114)\b",
];

/// What a Dockerfile may use that the lab's classic builder does not know; its parse error proves nothing.
const FRONTEND: &[&str] = &[r"(?m)^#\s*syntax\s*=", r"(?mi)^\s*(RUN|COPY|ADD)\b.*<<-?[\x22']?[A-Za-z_]"];

static VERSION_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(VERSION));
static OWN_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(OWN));
static NETWORK_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(NETWORK));
static UNPULLED_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(UNPULLED));
static HOST_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(HOST));
static DISK_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(DISK));
static FRONTEND_RE: LazyLock<Vec<Regex>> = LazyLock::new(|| compile(FRONTEND));

fn compile(table: &[&str]) -> Vec<Regex> {
    table.iter().map(|p| Regex::new(p).expect("a constant pattern, compiled in a test")).collect()
}

/// The last line that names a version's doing.
pub fn version_line(log: &str) -> Option<&str> {
    last_but(log, &VERSION_RE, &OWN_RE)
}

/// The last line of a build that names the network.
pub fn network_line(log: &str) -> Option<&str> {
    last(log, &NETWORK_RE)
}

/// The last line of a build that could not pull what it stands on.
pub fn unpulled_line(log: &str) -> Option<&str> {
    last(log, &UNPULLED_RE)
}

/// The last line that names the engine's or the host's own limits.
pub fn host_line(log: &str) -> Option<&str> {
    last(log, &HOST_RE)
}

/// The last line of a service or a build that names a full disk.
pub fn disk_line(log: &str) -> Option<&str> {
    last(log, &DISK_RE)
}

/// Whether a Dockerfile needs a newer frontend than the engine here has.
pub fn needs_newer_frontend(dockerfile: &str) -> bool {
    FRONTEND_RE.iter().any(|re| re.is_match(dockerfile))
}

fn last<'l>(log: &'l str, table: &[Regex]) -> Option<&'l str> {
    last_but(log, table, &[])
}

/// The last line of one table that is none of another.
fn last_but<'l>(log: &'l str, table: &[Regex], but: &[Regex]) -> Option<&'l str> {
    let is_of = |table: &[Regex], line: &str| table.iter().any(|re| re.is_match(line));
    log.lines().rev().map(str::trim_end).find(|line| is_of(table, line) && !is_of(but, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_versions_doing_is_seen() {
        for line in [
            "ImportError: cannot import name 'escape' from 'jinja2' (/usr/local/lib/python3.11/dist-packages/jinja2/__init__.py)",
            "ModuleNotFoundError: No module named 'MySQLdb'",
            "ERROR 1273 (HY000) at line 3: Unknown collation: 'utf8mb4_0900_ai_ci'",
            "2026-11-24  1:02:03 0 [ERROR] mariadbd: unknown variable 'default-authentication-plugin=mysql_native_password'",
            "PHP Fatal error:  Uncaught Error: Call to undefined function mysql_connect() in /var/www/html/index.php:3",
            "E: Unable to locate package libmysqlclient-dev",
            "AttributeError: 'Flask' object has no attribute 'before_first_request'",
            "/bin/sh: 1: yum: not found",
            "stand-in: pecl is not part of this stand-in for php (install xdebug)",
        ] {
            assert!(version_line(&format!("x\n{line}\ny")).is_some(), "{line}");
        }
    }

    #[test]
    fn the_students_own_doing_is_not_excused() {
        for line in [
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'localhost' ([Errno 111] Connection refused)\")",
            "pymysql.err.OperationalError: (1045, \"Access denied for user 'root'@'172.24.1.3' (using password: YES)\")",
            "ERROR 1146 (42S02) at line 9: Table 'exam.people' doesn't exist",
            "ERROR: No matching distribution found for flaskk",
            "COPY failed: file not found in build context or excluded by .dockerignore: stat requirement.txt: file does not exist",
            "RuntimeError: out of coffee",
            "AttributeError: 'NoneType' object has no attribute 'cursor'",
            "KeyError: 'DB_PASSWORD'",
            "Fatal error: Uncaught Error: Class \"mysqli\" not found in /var/www/html/index.php:2",
            "Fatal error: Uncaught Error: Call to undefined function mysqli_connect() in /var/www/html/index.php:2",
        ] {
            assert_eq!(version_line(line), None, "{line}");
            assert_eq!(network_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_network_of_a_build_is_the_hosts() {
        assert!(network_line("WARNING: Retrying after connection broken by 'NewConnectionError: Temporary failure in name resolution'").is_some());
        assert!(network_line("OSError: [Errno 28] No space left on device").is_none(), "no network");
        assert!(unpulled_line("toomanyrequests: You have reached your pull rate limit.").is_some());
        assert!(
            unpulled_line(
                "failed to solve: failed to do request: Head \"https://r/v2/library/python/manifests/3.6\": EOF"
            )
            .is_some()
        );
        assert!(unpulled_line("Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io on 127.0.0.11:53: no such host").is_some());
        assert!(host_line("mkdir /var/lib/docker/overlay2/x: no space left on device").is_some());
        assert!(host_line("open /var/lib/docker/overlay2/b9f2/committed: read-only file system").is_some());
        assert!(
            host_line("mkdir /var/lib/docker/overlay2/b9f2/merged/app/data: read-only file system").is_none(),
            "below it lies what is the app's"
        );
        assert!(
            host_line("COPY failed: stat /var/lib/docker/tmp/docker-builder1/x.txt: no such file or directory")
                .is_none()
        );
    }

    #[test]
    fn a_full_disk_is_the_hosts() {
        for line in [
            "OSError: [Errno 28] No space left on device: '/tmp/x'",
            "[ERROR] InnoDB: Error number 28 means 'No space left on device'",
            "mariadbd: Disk is full writing './mysql-bin.000001' (Errcode: 28 \"No space left on device\")",
            "ERROR 1114 (HY000) at line 7: The table 'people' is full",
            "Error: ENOSPC: no space left on device, write",
        ] {
            assert!(disk_line(&format!("x\n{line}\ny")).is_some(), "{line}");
        }
        for line in ["KeyError: 28", "ERROR 1146 (42S02) at line 28: Table 'exam.people' doesn't exist"] {
            assert_eq!(disk_line(line), None, "{line}");
        }
    }

    #[test]
    fn heredocs_and_syntax_lines_need_a_newer_frontend() {
        assert!(needs_newer_frontend("# syntax=docker/dockerfile:1\nFROM python:3.6\n"));
        assert!(needs_newer_frontend("FROM x\nRUN <<EOF\napt-get update\nEOF\n"));
        assert!(!needs_newer_frontend("FROM python:3.6\nRUN echo a << 2 || true\n# the syntax = ours\n"));
    }
}

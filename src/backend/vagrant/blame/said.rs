//! What Ansible, its modules and the programs behind them print where something failed, as tables.

use std::sync::LazyLock;

use regex::Regex;

/// Modules that act on what a container does not have: a kernel, a firewall, SELinux, a name and a clock of its own.
pub(super) const OF_A_SYSTEM: &[&str] = &[
    "firewalld",
    "selinux",
    "seboolean",
    "sefcontext",
    "selogin",
    "seport",
    "selinux_permissive",
    "modprobe",
    "sysctl",
    "reboot",
    "hostname",
    "timezone",
    "nmcli",
    "ufw",
    "iptables",
    "kernel_blacklist",
    "rpm_key",
    "yum_repository",
    "rhsm_repository",
    "redhat_subscription",
    "grub",
    "lvg",
    "lvol",
    "locale_gen",
    "alternatives",
    "pam_limits",
];

/// Modules that fetch something.
pub(super) const FETCHING: &[&str] = &[
    "get_url",
    "git",
    "pip",
    "apt",
    "apt_key",
    "apt_repository",
    "yum",
    "dnf",
    "package",
    "npm",
    "gem",
    "subversion",
    "docker_image",
    "docker_container",
    "docker_compose",
    "docker_stack",
    "docker_login",
    "docker_plugin",
    "docker_image_info",
    "docker_swarm_service",
    "uri",
    "unarchive",
    "snap",
    "helm",
];

/// Commands that fetch something.
pub(super) static FETCHES: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"\b(yum|dnf|apt|apt-get|pip3?|curl|wget|git (clone|pull)|docker(-compose)? (pull|run|up|build|stack)|npm|gem|ansible-galaxy|rpm)\b",
    )
});

/// What a fetch prints where it was not had, beside `backend::blame`'s tables.
pub(super) static UNFETCHED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)Request failed|urlopen error|HTTP Error \d+|Could not find a version that satisfies|No matching distribution|pulling image|Failed to (update apt cache|fetch|download|connect to)|Cannot (find a valid baseurl|retrieve)|Failure downloading|Unable to (locate|find|fetch)|No package matching|unable to access 'http|Could not resolve|status_code=(4\d\d|5\d\d|-1)|no such host|\bE: (Unable to locate|Failed to fetch|Package)|Connection failure|timed out",
    )
});

/// Mistakes in the play itself, the same on any machine.
pub(super) static WRITTEN_WRONG: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"template error while templating|TemplateSyntaxError|Syntax Error while loading|unexpected char|Unable to look up a name or access an attribute in template|Unexpected templating type error|no filter named|has to be run under the root user|are you root\?|Could not find specified file in role|Invalid data passed to 'loop'",
    )
});
pub(super) static ABSENT_FILE: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"Could not find or access '([^']*)'|could not find (?:the )?src=|Unable to retrieve file contents")
});
/// A file of a synced folder that is looked for on the machine.
pub(super) static SYNCED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(/(?:vagrant|home/vagrant/sync)\b[\w./-]*)[^\n]*(?:not found|No such file or directory|does not exist|is missing)",
    )
});
pub(super) static UNDEFINED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"'[^'\n]*' is undefined|undefined variable|AnsibleUndefinedVariable|'(dict|list|ansible\.\S+) object' has no attribute",
    )
});
/// A part of something that there is.
pub(super) static LACKING: LazyLock<Regex> = LazyLock::new(|| regex("object' has no attribute"));
pub(super) static FACT: LazyLock<Regex> =
    LazyLock::new(|| regex(r"'(ansible_\w+|eth\d+|enp\w+)'|ansible_facts|attribute 'ansible_"));
/// Parameters that a module does not take or does not get: versions differ in them.
pub(super) static PARAMETERS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)Unsupported parameters for|missing required arguments|missing parameter|value of \S+ must be one of|parameters are mutually exclusive|one of the following is required|is of type .* and we were unable to convert|unsupported choice|No action detected in task|required if|but all of the following are missing",
    )
});
pub(super) static REMOVED: LazyLock<Regex> =
    LazyLock::new(|| regex(r"has been removed\b|was removed from|\[DEPRECATED\]"));

/// A disk by the name that VirtualBox, or another provider, gives it; with a partition's number, where it has one.
pub(super) static DISK: LazyLock<Regex> = LazyLock::new(|| regex(r"/dev/((?:s|v|xv|h)d[a-z]+)(\d+)?\b"));
/// That a disk is not there.
pub(super) static ABSENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)/dev/\S+ (was )?not found|does not exist|no such (file|device)|cannot open|could not stat|can't find|error accessing",
    )
});
/// What parted and others print of a partition table that the kernel does not take over in a container.
pub(super) static PARTITIONS: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)inform(ing)? the kernel|re-?read(ing)? (the )?partition table|partition\(s\)"));

/// What a container does not let anyone do.
pub(super) static CONTAINED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)Operation not permitted|Read-only file system|permission denied on key|Device or resource busy|org\.freedesktop|has not been booted with systemd|Failed to connect to bus|/proc/(modules|sys|swaps)|/sys/|/dev/mapper|device-mapper|modprobe|insmod|ip_vs|Could not fetch rule set|iptables.*Permission denied|nf_tables|swapo(n|ff) failed|RTNETLINK answers|cgroup|overlayfs|No such device",
    )
});

/// What CentOS has and Debian has not, in whatever place: files, programs, groups, units.
pub(super) static OF_CENTOS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"/etc/(sysconfig|yum|selinux|httpd|redhat-release|centos-release|my\.cnf\b|firewalld|chrony\.conf|ntp\.conf|rc\.d|pki)|/boot/grub2|/var/lib/(pgsql|mysql)|/usr/share/nginx|/etc/systemd/system/\S+\.wants|[Gg]roup wheel|user (apache|nginx|mysql)\b|/usr/bin/python2?[:'\s]|\bselinux\b|EL[678]\b",
    )
});
pub(super) static PROGRAMS: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"^(firewall-cmd|firewall-offline-cmd|yum\S*|dnf|rpm\w*|semanage|semodule|restorecon|setsebool|getsebool|setenforce|getenforce|sestatus|chcon|chkconfig|grub2-\w+|grubby|subscription-manager|nmcli|nmtui|authconfig|package-cleanup|needs-restarting|repoquery|createrepo|ntpdate|ntpq|ntpstat|chronyc|hwclock|timedatectl|hostnamectl|localectl|postgresql-setup|mysql_secure_installation|apachectl|httpd|python|python2|pip|pip2|easy_install|alternatives|lsmod|tuned-adm|docker-storage-setup|vi|vim|nano|dos2unix|ifup|ifdown|system-config-\w+|update-ca-trust|udevadm)$",
    )
});
/// A program that was not there: as a shell says it, and as Python does.
pub(super) static NO_PROGRAM: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?m)(?:: |^)([\w./+-]+): (?:command )?not found|No such file or directory: b?'([^'/]+)'|exec(?:utable)? file not found.*?'?([\w-]+)'?$|sudo: ([\w-]+): command not found",
    )
});
pub(super) static SERVICE: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"Could not find the requested service (\S+)|Unit (?:file )?(\S+?)(?:\.service)? (?:could not be found|not found|does not exist|not loaded)|(\S+): unrecognized service",
    )
});
/// Peers of a volume that had not met yet, as busy machines do late; of one that nobody invited Gluster says something else.
pub(super) static NOT_MET: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"Host \S+ (is )?not connected|Another transaction is in progress|Locking failed on|Unlocking failed on")
});
/// A process that the node's limit of memory ended, or kept from growing.
pub(super) static KILLED: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"rc=137\b|"rc": 137\b|\bKilled\b|MemoryError|Cannot allocate memory|Out of memory"#));
pub(super) static STARTING: LazyLock<Regex> = LazyLock::new(|| {
    regex(r"Unable to (start|restart|reload|enable|stop) service|Job for \S+ (failed|canceled)|start request repeated")
});
/// Python packages that a module needs on its machine: named otherwise on another system.
pub(super) static LIBRARY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?i)Failed to import the required Python library|A MySQL module is required|python2? ?(bindings|module)|python-apt|No module named",
    )
});
pub(super) static URL: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"\b(?:https?|git|ssh)://(?:[^/@\s'"]+@)?\[?([\w.:-]*?)\]?(?::\d+)?(?:[/'"\s]|$)"#));

pub(super) fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern, compiled in a test")
}

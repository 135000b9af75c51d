#!/usr/bin/python3
"""What stands in for a box's package manager on a node, which is a Debian container that holds most of it already.

Runs on the node: asked by our action plugin (`packages JSON`, answers JSON) and by the node's yum, dnf, rpm,
yum-config-manager, setenforce and getenforce (`cli NAME ARGS…`). The table is names.json beside this file.

A name that is asked for the first time counts as a change, although the image holds it: a real box would have changed. What
was asked for is kept in LEDGER, so that a second time it does not, and so that what no play installed is not there to remove.
"""
import fnmatch
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
LEDGER = "/var/lib/imparcial/standin.json"
NOT_ROOT = "This command has to be run under the root user."
INSTALL = ("install", "localinstall", "update", "upgrade", "reinstall", "groupinstall", "swap", "upgrade-minimal")
REMOVE = ("remove", "erase", "autoremove")
QUIET = ("makecache", "clean", "check-update", "repolist", "updateinfo", "config-manager", "module", "history", "needs-restarting")


def table():
    with open(os.path.join(HERE, "names.json"), encoding="utf-8") as file:
        return json.load(file)


def ledger():
    try:
        with open(LEDGER, encoding="utf-8") as file:
            return set(json.load(file))
    except (OSError, ValueError, TypeError):
        return set()


def remember(names):
    os.makedirs(os.path.dirname(LEDGER), exist_ok=True)
    with open(LEDGER + ".new", "w", encoding="utf-8") as file:
        json.dump(sorted(names), file)
    os.replace(LEDGER + ".new", LEDGER)


def split(names):
    """A list, or the old spelling with commas."""
    names = [names] if isinstance(names, str) else list(names or [])
    return [part.strip() for name in names for part in str(name).split(",") if part.strip()]


def plain(name, known):
    """`docker-ce-18.06.1.ce-3.el7`, `docker-ce=5:20.10`, `glusterfs >= 3`, `vim.x86_64`: the name alone. Of an address, its file's."""
    name = name.strip()
    if "://" in name or name.startswith("/") or name.endswith(".rpm"):
        name = name.rsplit("/", 1)[-1]
        name = name[:-4] if name.endswith(".rpm") else name
    if name in known:
        return name
    name = re.split(r"\s*[<>=]", name)[0]
    name = re.sub(r"\.(x86_64|noarch|i686|el\d+)$", "", name)
    return name if name in known else re.sub(r"-(\d+:)?\d+[.\d]*([-.~+_].*)?$", "", name) or name


def installed(packages):
    """Which of these the node has."""
    if not packages:
        return set()
    ask = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n", *packages]
    out = subprocess.run(ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    return {line.split()[0] for line in out.splitlines() if line.split()[1:2] == ["ii"]}


def apt(arguments):
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    limits = ["-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20", "-o", "DPkg::Lock::Timeout=60"]
    done = subprocess.run(["apt-get", "-y", "-q", *limits, *arguments], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return done.returncode, done.stdout


def install(packages):
    """apt-get, with its lists fetched where there are none."""
    if not any(name.endswith("_Packages") or "_Packages." in name for name in os.listdir("/var/lib/apt/lists")):
        code, out = apt(["update"])
        if code or re.search(r"^(W|E|Err).*(Failed to fetch|Some index files failed)", out, re.M):
            return 100, out
    return apt(["install", "--no-install-recommends", *packages])


def packages(manager, names, state, dry=False):
    """Brings the node to what was asked; says what it did."""
    rows = table()
    known, seen = rows["packages"], ledger()
    base = rows["base_of_apt" if manager == "apt" else "base"]
    said, fresh, missing, gone, not_here = [], set(), [], set(), []
    for name in split(names):
        short = name if name.startswith(("@", "*")) else plain(name, known)
        if state in ("absent", "removed"):
            if short in seen:
                gone.add(short)
            continue
        why = next((why for pattern, why in rows["nothing"].items() if fnmatch.fnmatchcase(short, pattern)), None)
        if short == "*":
            why = "packages that are there stay as they are"
        if why:
            said.append(f"{short} → nothing ({why})")
        elif short in base and (manager == "apt" or short not in known):
            continue
        debian = [] if why else known.get(short, [short])
        if not why and short not in known and ("://" in name or name.endswith(".rpm") or name.startswith("@")):
            not_here.append(name)
            continue
        if debian and debian != [short]:
            said.append(f"{short} → {' '.join(debian)}")
        elif debian and manager != "apt":
            said.append(short)
        absent = [package for package in debian if package not in installed(debian)]
        missing += absent
        if absent or short not in seen:
            fresh.add(short)
    mapped = f"{manager} → apt: {', '.join(said)}" if said else None
    answer = {"changed": bool(fresh or gone), "failed": False, "rc": 0, "mapped": mapped, "provided": bool(fresh) and not missing}
    if not_here:
        text = f"imparcial: not on this stand-in, which is no CentOS: {', '.join(not_here)}"
        return dict(answer, failed=True, changed=False, provided=False, rc=1, msg=text)
    if not answer["changed"] or dry:
        return answer
    if os.geteuid():
        return dict(answer, failed=True, changed=False, provided=False, rc=1, msg=NOT_ROOT)
    out = ""
    if missing:
        code, out = install(missing)
        if code:
            text = f"imparcial: {mapped or manager}: apt-get could not install {' '.join(missing)} on this stand-in: {tail(out)}"
            return dict(answer, failed=True, changed=False, provided=False, rc=code, msg=text)
    if gone:
        debian = installed({package for name in gone for package in known.get(name, [name])})
        code, out = apt(["remove", *sorted(debian)]) if debian else (0, "")
        if code:
            return dict(answer, failed=True, changed=False, rc=code, msg=f"imparcial: {manager} → apt: {tail(out)}")
    remember((seen | fresh) - gone)
    return dict(answer, results=[out[-2000:]] if out else [])


def tail(out):
    """What apt complains of, else its last lines."""
    lines = [line for line in out.splitlines() if line.startswith(("E:", "Err:", "W:"))] or out.splitlines()
    return " ".join(lines[-4:])[:1500]


def once(key):
    """Something that has no counterpart here: a change the first time, as on a box."""
    seen = ledger()
    answer = {"changed": key not in seen, "failed": False, "rc": 0, "provided": key not in seen}
    if key in seen:
        return answer
    if os.geteuid():
        return dict(answer, failed=True, changed=False, provided=False, rc=1, msg=NOT_ROOT)
    remember(seen | {key})
    return answer


def say(text):
    print(f"imparcial: {text}", file=sys.stderr)


def as_yum(name, arguments):
    words, verb, skip = [], None, False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("-c", "-d", "-e", "-R", "-x", "--enablerepo", "--disablerepo", "--exclude", "--releasever", "--setopt", "--installroot"):
            skip = True
        elif word.startswith("-"):
            continue
        elif verb is None:
            verb = word
        else:
            words.append(word)
    if verb == "groupinstall" or (verb == "group" and words[:1] == ["install"]):
        words, verb = ["@" + word for word in words if word != "install"], "install"
    if verb in INSTALL or verb in REMOVE:
        if verb in ("update", "upgrade") and not words:
            words = ["*"]
        answer = packages(name, words, "absent" if verb in REMOVE else "present")
        if answer["mapped"]:
            say(answer["mapped"].replace("→ apt:", "→ apt-get:"))
        if answer["failed"]:
            print(answer["msg"], file=sys.stderr)
        return answer["rc"]
    if verb in QUIET:
        say(f"{name} {verb}: there is nothing to do on this stand-in")
        return 0
    if verb in ("list", "info"):
        have = [word for word in words if word != "installed"]
        known = table()["packages"]
        debian = [package for word in have for package in known.get(plain(word, known), [word])]
        return 0 if not debian or installed(debian) else 1
    say(f"{name} {verb or ''}: not part of this stand-in")
    return 1


def as_rpm(arguments):
    flags = "".join(word for word in arguments if word.startswith("-"))
    words = [word for word in arguments if not word.startswith("-")]
    if "--import" in arguments:
        say("rpm --import: no rpm keys on this stand-in")
        return 0
    if re.search(r"-[a-zA-Z]*[iUF]|--install|--upgrade", flags) and "q" not in flags:
        answer = packages("rpm", words, "present")
        say(answer["mapped"] or "rpm: nothing to do")
        if answer["failed"]:
            print(answer["msg"], file=sys.stderr)
        return answer["rc"]
    if "q" in flags:
        seen, known = ledger(), table()["packages"]
        lacking = [word for word in words if plain(word, known) not in seen]
        for word in lacking:
            print(f"package {word} is not installed")
        return len(lacking)
    say("rpm: not part of this stand-in")
    return 1


def main(arguments):
    if arguments[:1] == ["packages"]:
        asked = json.loads(arguments[1])
        if "once" in asked:
            answer = once(asked["once"])
        else:
            answer = packages(asked["manager"], asked["names"], asked.get("state") or "present", asked.get("dry", False))
        print("imparcial-standin " + json.dumps(answer))
        return 0
    name, rest = os.path.basename(arguments[1]), arguments[2:]
    if name in ("yum", "dnf"):
        return as_yum(name, rest)
    if name == "rpm":
        return as_rpm(rest)
    if name == "yum-config-manager":
        say("yum-config-manager: no yum repositories on this stand-in; its packages are the node's own")
        return 0
    if name == "getenforce":
        print("Disabled" if "setenforce" not in ledger() else "Permissive")
        return 0
    if name == "setenforce":
        if rest[:1] and rest[0].lower() in ("0", "permissive"):
            say("setenforce: no SELinux on this stand-in: nothing is enforced")
            return once("setenforce")["rc"]
        say("setenforce: SELinux cannot be enforced on this stand-in")
        return 1
    say(f"{name}: not part of this stand-in")
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

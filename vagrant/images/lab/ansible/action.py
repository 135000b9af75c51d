"""What stands between a play and a node that is no box: names of CentOS's packages and services become the node's own.

Not looked up by Ansible: the callback plugin beside it wraps the handler that Ansible has chosen, so that a module is found
by whatever name a play calls it (`yum`, `ansible.builtin.yum`), and a submission's own module or plugin of that name is left
alone. On a machine without standin.py nothing changes.
"""
from __future__ import annotations

import json
import os
import shlex

from ansible.plugins.action import ActionBase

HERE = os.path.dirname(os.path.abspath(__file__))
STANDIN = "/usr/local/share/imparcial/ansible/standin.py"
PACKAGES = ("yum", "dnf", "package", "apt")
SERVICES = ("service", "systemd", "sysvinit")
#: They act on what a container of another family does not have; the first time is a change, as on a box.
ONCE = {
    "yum_repository": ("name", "no yum repositories on this stand-in; its packages are the node's own"),
    "rpm_key": ("key", "no rpm keys on this stand-in"),
    "selinux": ("state", "no SELinux on a container: nothing is enforced"),
}
MODULES = PACKAGES + SERVICES + tuple(ONCE)

with open(os.path.join(HERE, "names.json"), encoding="utf-8") as file:
    TABLE = json.load(file)


def short(action):
    return action.rpartition(".")[2]


def wanted(task):
    """Whether a task's module is one of Ansible's own that this stands before."""
    name = short(task.action)
    own = {name, "ansible.legacy." + name, "ansible.builtin." + name, "ansible.posix." + name}
    return name in MODULES and task.action in own and (task.resolved_action or task.action) in own


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = True
    #: What Ansible would have run.
    inner = None

    def run(self, tmp=None, task_vars=None):
        name = short(self._task.action)
        args = self._task.args
        if name in SERVICES:
            return self._service(name, args, tmp, task_vars)
        if name in ONCE:
            return self._once(name, args, tmp, task_vars)
        return self._packages(name, args, tmp, task_vars)

    def _inner(self, tmp, task_vars):
        return self.inner.run(tmp=tmp, task_vars=task_vars)

    def _ask(self, question):
        """Its answer; none where the machine is no stand-in."""
        command = f"if [ -e {STANDIN} ]; then python3 {STANDIN} packages {shlex.quote(json.dumps(question))}; fi"
        done = self._low_level_execute_command(command, sudoable=True)
        for line in (done.get("stdout") or "").splitlines():
            if line.startswith("imparcial-standin "):
                return json.loads(line.split(" ", 1)[1])
        if done.get("rc"):
            return {"changed": False, "failed": True, "rc": done["rc"], "msg": f"imparcial: the stand-in did not answer: {done.get('stderr')}"}
        return None

    def _result(self, answer, mapped=None):
        result = {key: answer[key] for key in ("changed", "failed", "rc", "msg", "results") if key in answer}
        mapped = answer.get("mapped") or mapped
        result["imparcial"] = {"provided": bool(answer.get("provided")), "mapped": mapped}
        return result

    def _packages(self, name, args, tmp, task_vars):
        manager = name
        if name == "package":
            used = args.get("use", "auto")
            manager = "apt" if used == "apt" else "package"
        names = args.get("name") or args.get("pkg") or args.get("package")
        # What the real module refuses, or what asks for no package, is the real module's.
        plain = name == "apt" or not set(args) - set(TABLE["options"]["package" if name == "package" else "yum"])
        more = {"deb", "upgrade", "autoclean", "autoremove", "default_release", "list", "download_only", "conf_file", "installroot"} & set(args)
        state = args.get("state")
        known = state in (None, "present", "installed", "latest", "absent", "removed")
        if not plain and self._ask({"manager": "apt", "names": []}) is not None:
            odd = sorted(set(args) - set(TABLE["options"]["package" if name == "package" else "yum"]))
            return {"failed": True, "changed": False, "msg": f"Unsupported parameters for ({name}) module: {', '.join(odd)}"}
        if not plain or more or not known:
            return self._inner(tmp, task_vars)
        if not names:
            if name in ("yum", "dnf") and args.get("update_cache"):
                answer = self._ask({"manager": manager, "names": [], "state": "present"})
                if answer is not None:
                    return self._result(answer, f"{name} → nothing: there are no yum repositories on this stand-in")
            return self._inner(tmp, task_vars)
        question = {"manager": manager, "names": names, "state": state or "present", "dry": bool(self._task.check_mode)}
        answer = self._ask(question)
        return self._inner(tmp, task_vars) if answer is None else self._result(answer)

    def _once(self, name, args, tmp, task_vars):
        key, why = ONCE[name]
        value = args.get(key)
        off = {"yum_repository": args.get("state") == "absent", "rpm_key": args.get("state") == "absent",
               "selinux": value == "enforcing"}[name]
        if off or not value:
            return self._inner(tmp, task_vars)
        answer = self._ask({"once": f"{name}:{value}"})
        return self._inner(tmp, task_vars) if answer is None else self._result(answer, f"{name} → nothing: {why}")

    def _service(self, name, args, tmp, task_vars):
        key = "service" if name == "systemd" and "service" in args else "unit" if name == "systemd" and "unit" in args else "name"
        asked = args.get(key)
        if not isinstance(asked, str) or not asked:
            return self._inner(tmp, task_vars)
        unit = asked[:-8] if asked.endswith(".service") else asked
        host = TABLE["services_of_host"].get(unit)
        here = TABLE["services"].get(unit)
        state, enabled = args.get("state"), args.get("enabled")
        if host or unit in TABLE["services_not_here"]:
            stops = state in (None, "stopped") and str(enabled).lower() in ("none", "false", "no", "off")
            why = host or f"{unit} is not on this stand-in"
            if host or stops:
                answer = self._ask({"once": f"service:{unit}:{state}:{enabled}"})
                if answer is not None:
                    # A box that never had it running is no other for it; a restart always is a change.
                    answer["changed"] = state in ("restarted", "reloaded") or (bool(host) and answer["changed"])
                    answer["provided"] = answer["changed"]
                    return self._result(answer, f"{name} → nothing: {why}")
            elif self._ask({"manager": "apt", "names": []}) is not None:
                answer = {"changed": False, "failed": True, "msg": f"imparcial: {why}: it cannot be started"}
                return self._result(answer, f"{name} → nothing: {why}")
            return self._inner(tmp, task_vars)
        if not here or self._ask({"manager": "apt", "names": []}) is None:
            return self._inner(tmp, task_vars)
        try:
            args[key] = here
            result = self._inner(tmp, task_vars)
        finally:
            args[key] = asked
        result["imparcial"] = {"provided": False, "mapped": f"{name}: {asked} → {here}"}
        return result

"""Writes down what a playbook does, a JSON object a line, each written at once: a play that hangs shows what it hangs in.

In the file that IMPARCIAL_ANSIBLE_LOG names; without it nothing is done. It stands beside whatever callbacks the submission's
ansible.cfg asks for, and puts action.py before the modules that a node stands in for.
"""
from __future__ import annotations

DOCUMENTATION = """
    name: imparcial
    type: notification
    short_description: what a playbook does, a JSON object a line
    description: See the file's own docs.
    requirements: []
"""

import importlib.util
import json
import os
import time

from ansible.playbook.block import Block
from ansible.plugins.callback import CallbackBase

#: Bytes of a message that are kept.
MOST = 2048
HERE = os.path.dirname(os.path.dirname(os.path.abspath(os.path.realpath(__file__))))


def stand_before():
    """Puts our action plugin before those of the modules that it stands in for, in this process and its workers."""
    from ansible.executor.task_executor import TaskExecutor

    if getattr(TaskExecutor, "imparcial", False):
        return
    spec = importlib.util.spec_from_file_location("imparcial_action", os.path.join(HERE, "action.py"))
    action = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(action)
    chosen = TaskExecutor._get_action_handler_with_module_context

    def choose(self, connection, templar):
        handler, module = chosen(self, connection, templar)
        if not action.wanted(self._task):
            return handler, module
        before = action.ActionModule(task=self._task, connection=connection, play_context=self._play_context, loader=self._loader,
                                     templar=templar, shared_loader_obj=self._shared_loader_obj)
        before.inner = handler
        for name in ("_load_name", "ansible_name", "ansible_aliases", "_original_path", "_redirected_names"):
            if hasattr(handler, name):
                setattr(before, name, getattr(handler, name))
        return before, module

    TaskExecutor._get_action_handler_with_module_context = choose
    TaskExecutor.imparcial = True


def cut(text):
    """Its beginning and its end."""
    text = text if isinstance(text, str) else json.dumps(text, default=str)
    return text if len(text) <= MOST else text[: MOST // 2] + " […] " + text[-MOST // 2:]


def message(result):
    """What a result says of itself: msg, then what a command printed, then an exception's last line."""
    said = []
    for key in ("msg", "stderr", "module_stderr", "err", "stdout", "module_stdout", "reason", "message"):
        value = result.get(key)
        if isinstance(value, (list, tuple)):
            value = " ".join(str(part) for part in value)
        if value and str(value).strip() and str(value).strip() not in " ".join(said):
            # Of what was printed the first words and the end count.
            text = str(value).strip()
            said.append(text if len(text) <= 900 else text[:300] + " […] " + text[-600:])
    for key in ("rc", "status_code", "url"):
        if result.get(key) not in (None, 0, ""):
            said.append(f"{key}={result[key]}")
    lines = [line for line in str(result.get("exception") or "").splitlines() if line.strip()]
    if lines and lines[-1] != "NoneType: None" and lines[-1].strip() not in " ".join(said):
        said.append(lines[-1].strip())
    return cut("\n".join(said))


def in_rescued_block(task):
    """Whether a failure of it leads to a rescue."""
    child, parent = task, getattr(task, "_parent", None)
    for _ in range(64):
        if parent is None:
            return False
        if isinstance(parent, Block) and parent.rescue and any(part._uuid == child._uuid for part in parent.block):
            return True
        child, parent = parent, getattr(parent, "_parent", None)
    return False


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "imparcial"

    def __init__(self):
        super().__init__()
        self.path = os.environ.get("IMPARCIAL_ANSIBLE_LOG")
        self.run = f"{os.getpid()}-{time.time_ns()}"
        self.play = ""
        self.handlers = set()
        self.local = {}
        if not self.path:
            self.disabled = True
            return
        stand_before()

    def write(self, event, **fields):
        line = json.dumps({"run": self.run, "event": event, "at_s": time.time(), **fields}, default=str, ensure_ascii=True)
        try:
            out = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
            try:
                os.write(out, line.encode() + b"\n")
            finally:
                os.close(out)
        except OSError as error:
            self._display.warning(f"imparcial: {error}")

    def v2_playbook_on_start(self, playbook):
        name = os.path.join(playbook._basedir, os.path.basename(playbook._file_name)) if playbook._basedir else playbook._file_name
        self.write("playbook", file=str(name))

    def v2_playbook_on_play_start(self, play):
        self.play = play.get_name().strip()
        self.write("play", play=cut(self.play), hosts=cut(play.hosts))

    def v2_playbook_on_no_hosts_matched(self):
        self.write("nobody", play=cut(self.play))

    def v2_playbook_on_handler_task_start(self, task):
        self.handlers.add(task._uuid)

    def about(self, host, task):
        # A task's own or its delegation's connection: which machine it really ran on.
        vars_of = getattr(host, "vars", {}) or {}
        connection = task.connection if isinstance(task.connection, str) else ""
        name = host.get_name()
        implicit = name in ("localhost", "127.0.0.1", "::1")
        local = str(vars_of.get("ansible_connection") or connection) == "local" or implicit
        delegated = str(task.delegate_to) if task.delegate_to else None
        return {
            "host": cut(name), "address": cut(str(vars_of.get("ansible_host") or vars_of.get("ansible_ssh_host") or "")),
            "local": (delegated in ("localhost", "127.0.0.1")) if delegated else local, "delegated": delegated,
            "play": cut(self.play), "task": cut(task.get_name().strip()),
            "module": task.resolved_action or task.action, "at": task.get_path(),
            "handler": task._uuid in self.handlers,
        }

    def v2_runner_on_start(self, host, task):
        fields = self.about(host, task)
        words = task.args.get("_raw_params") or task.args.get("cmd") if isinstance(task.args, dict) else None
        if isinstance(words, str) and not task.no_log:
            # As written: what it becomes is in the result.
            fields["cmd"] = cut(words)
        self.write("start", **fields)

    def finished(self, result, status, ignored=False):
        task, answer = result._task, result._result
        items = [item for item in answer.get("results") or [] if isinstance(item, dict)] if task.loop or task.loop_with else []
        failed = [item for item in items if item.get("failed") or item.get("unreachable")]
        parts = items or [answer]
        ours = [part["imparcial"] for part in parts if isinstance(part.get("imparcial"), dict)]
        mapped = [our["mapped"] for our in ours if our.get("mapped")]
        # What the node's own yum, rpm or setenforce did in a command's place.
        mapped += [line[11:] for part in parts for line in str(part.get("stderr") or "").splitlines() if line.startswith("imparcial: ")]
        mapped = list(dict.fromkeys(mapped))
        said = ""
        if "censored" in answer:
            said = "no_log"
        elif status in ("failed", "unreachable"):
            said = message(failed[0] if failed else answer)
            if failed and "item" in failed[0]:
                said = cut(f"item {cut(failed[0]['item'])[:200]}: {said}")
        elif status == "skipped":
            said = cut(str(answer.get("skip_reason") or answer.get("msg") or ""))
        elif task.action.rpartition(".")[2] in ("debug", "assert", "fail"):
            said = cut(str(answer.get("msg") or ""))
        fields = self.about(result._host, task)
        fields.update(status=status, ignored=bool(ignored), rescued=status == "failed" and not ignored and in_rescued_block(task), message=said,
                      provided=any(our.get("provided") for our in ours), mapped=cut("; ".join(mapped)) if mapped else None)
        ran = (failed[0] if failed else parts[0]).get("cmd") if "censored" not in answer else None
        if ran:
            fields["cmd"] = cut(ran if isinstance(ran, str) else " ".join(str(word) for word in ran))
        if items:
            fields["items"] = {"all": len(items), "failed": len(failed), "changed": sum(bool(item.get("changed")) for item in items)}
        if status == "skipped":
            fields["when"] = cut(" and ".join(str(part) for part in task.when or []))
        self.write("result", **fields)

    def v2_runner_on_ok(self, result):
        self.finished(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self.finished(result, "failed", ignored=ignore_errors)

    def v2_runner_on_skipped(self, result):
        self.finished(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self.finished(result, "unreachable", ignored=bool(result._task.ignore_unreachable))

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self.write("stats", hosts=hosts)

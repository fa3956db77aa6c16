"""A recorded run, as the checkers look at it: operations in pairs, fault windows, samples."""

import contextlib
import gc
import os

from . import history

NEVER = 1 << 62  # the end of an operation whose answer never came


class Op:
    """One operation of a client, invocation and completion together."""

    __slots__ = ("index", "end_index", "begin", "end", "told", "type", "process", "f", "value",
                 "node", "phase", "session", "result", "error", "seq")

    def __init__(self, record):
        self.index = record["index"]
        self.begin = record["time"]
        self.process = record["process"]
        self.f = record["f"]
        self.value = record["value"] or {}
        self.node = record.get("node")
        self.phase = record.get("phase", "main")
        self.session = record.get("session")
        self.end_index = None
        self.end = NEVER
        self.told = NEVER  # when the client stopped waiting, an answer or not
        self.type = "info"
        self.result = self.error = self.seq = None

    def complete(self, record):
        self.end_index = record["index"]
        self.type = record["type"]
        self.told = record["time"]
        self.result = record.get("result")
        self.error = record.get("error")
        if self.type != "info":
            self.end = record["time"]
        if self.type == "ok":
            self.seq = (self.result or self.error).get("seq")

    @property
    def writes(self):
        return history.KINDS[self.f][1]

    @property
    def code(self):
        """The error's code, or None where there is a result."""
        return None if self.error is None else self.error["code"]

    @property
    def linearizable(self):
        return not self.writes and "min_seq" not in self.value and not self.value.get("stale") \
            and self.f != "digest"

    def __str__(self):
        subject = self.value.get("id") or self.value.get("account") or ""
        mode = "".join(f" {k}={self.value[k]}" for k in ("min_seq", "stale") if k in self.value)
        answer = self.code or ("no answer" if self.result is None else "ok")
        at = f" at seq {self.seq}" if self.seq is not None else ""
        end = "never answered" if self.end == NEVER else f"{self.end / 1e9:.6f} s"
        return (f"#{self.index} {self.f} {subject}{mode} on {self.node} by process {self.process}: "
                f"{answer}{at} [{self.begin / 1e9:.6f} .. {end}]")


class Window:
    """The time during which one fault was in force."""

    def __init__(self, number, fault):
        self.number = number
        self.fault = fault
        self.targets = []
        self.cut = {}  # node -> nodes that it does not hear
        self.plan = ""
        self.majority = True
        self.leader_targeted = False
        self.effective = False
        self.proof = ""
        self.leader_before = self.leader_after = self.term_before = self.term_after = None
        self.ordered = self.begun = None  # the start: before and after the deed
        self.healing = self.healed = None  # the stop: likewise

    def take(self, record):
        value = record["value"]
        for name in ("targets", "cut", "plan", "majority", "leader_targeted", "effective",
                     "proof", "leader_before", "leader_after", "term_before", "term_after"):
            if value.get(name) is not None:
                setattr(self, name, value[name])
        moments = ("ordered", "begun") if record["f"].startswith("start-") else (
            "healing", "healed")
        setattr(self, moments[value["stage"] == "after"], record["time"])

    def ends(self, last):
        """(begin, end) from the first trace of the fault to the last one."""
        begin = self.ordered if self.ordered is not None else self.begun
        return begin, next((t for t in (self.healed, self.healing) if t is not None), last)

    def demotes(self, nodes):
        """Whether the leader of the moment can not go on, and another one can be elected."""
        if not (self.leader_targeted and self.majority):
            return False
        if self.fault != "partition":
            return self.fault in ("kill", "pause", "power-cut")
        leader = self.leader_before
        both_ways = [node for node in nodes if node != leader
                     and node not in self.cut.get(leader, ())
                     and leader not in self.cut.get(node, ())]
        return 2 * (len(both_ways) + 1) <= len(nodes)

    def __str__(self):
        return f"window {self.number} ({self.fault} {self.plan} of {', '.join(self.targets)})"


class Run:
    """Everything that was recorded. `records` is what history.read gives."""

    def __init__(self, records, settings, directory=None):
        self.settings = settings
        self.directory = directory
        self.nodes = settings["nodes"]
        self.end = records[-1]["time"] if records else 0
        self.ops = []
        self.windows = []
        self.statuses = []  # (time, value)
        self.digests = []  # (time, value)
        self.starts = []  # (time, value)
        self.exits = []  # (time, value)
        self.problems = []  # (time, text)
        self.phases = {}  # name -> time of its beginning
        self._take_all(records)
        self._commands = None

    def _take_all(self, records):
        open_ops, windows = {}, {}
        for record in records:
            process = record["process"]
            if process == "nemesis":
                value = record["value"]
                number = value["window"]
                if number not in windows:
                    windows[number] = Window(number, value["fault"])
                windows[number].take(record)
            elif process == "cluster":
                self._take_cluster(record)
            elif record["type"] == "invoke":
                if process in open_ops:
                    raise ValueError(f"process {process} has two operations in flight")
                op = open_ops[process] = Op(record)
                self.ops.append(op)
            else:
                open_ops.pop(process).complete(record)
        self.windows = [w for w in windows.values() if w.ordered is not None or w.begun is not None]

    def _take_cluster(self, record):
        time, f, value = record["time"], record["f"], record["value"]
        if f == "phase":
            self.phases[value] = time
            return
        lists = {"status": self.statuses, "digest": self.digests, "node-start": self.starts,
                 "node-exit": self.exits, "problem": self.problems}
        lists[f].append((time, value))

    @property
    def survivors(self):
        """The nodes that can be expected at the end. One whose flipped bits cost it its log's tail
        refuses to run for ever (status 65): it must not vote again."""
        last = {}
        for time, value in self.starts + self.exits:
            known = last.get(value["node"])
            if value.get("cause") != "stop" and (known is None or time >= known[0]):
                last[value["node"]] = (time, value.get("status"))
        lost = {node for node, (_, status) in last.items() if status == 65 and any(
            w.fault == "bit-flip" and node in w.targets for w in self.windows)}
        return [node for node in self.nodes if node not in lost]

    @property
    def commands(self):
        """The commands.Commands of the run, gathered once."""
        if self._commands is None:
            from .commands import Commands
            self._commands = Commands(self)
        return self._commands

    def node_files(self):
        """(node, path) of each file of a node's directory."""
        for node in self.nodes if self.directory else ():
            base = os.path.join(self.directory, node)
            for folder, _, names in os.walk(base):
                for name in sorted(names):
                    yield node, os.path.join(folder, name)


@contextlib.contextmanager
def without_collector():
    """A history has millions of objects and no cycles: the collector would only walk them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load(directory):
    with without_collector():
        return Run(history.read(directory), history.read_settings(directory), directory)

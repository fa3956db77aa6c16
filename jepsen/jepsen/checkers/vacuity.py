"""Vacuity: a run in which nothing could have gone wrong proves nothing.

Each guard has a wanted figure and the one got. A guard that is not reached makes the run unknown,
which counts as failed. settings["require"] overrides DEFAULTS by name; null switches a guard off.
"""

from .availability import acknowledged
from .final import FinalReads
from .finding import Findings
from .leaders import check as leaders_check

DEFAULTS = {
    "ok_per_kind": 50,  # ok operations of each kind used in the main phase
    "ok_percent": 60,  # of all operations of the main phase
    "ok_percent_without_majority": 30,  # the same, where some windows leave no majority
    "posted_percent": 30,  # of the answered payments
    "windows_per_fault": 3,  # effective ones
    "effective_percent": 80,  # of all windows
    "ok_writes_in_window": 20,  # per window with a majority; see WINDOW_SHORT_S
    "leader_changes": 0,
    "term_changes_percent": 80,  # of the windows that aimed at the leader
    "concurrent_percent": 30,  # operations that overlap another one
    "unread_payments": 0,
    "nodes_finally_read": None,  # None here: all
    "snapshots_taken": 0,
    "snapshots_installed": 0,
    "forwards_per_node": 1,
    "replays": 0,
    "registers": 0,
    "session_switches": 0,
}
BY_WORKLOAD = {
    "idempotency": {"replays": 20},
    "register": {"registers": 3},
    "session": {"session_switches": 50},
}
WINDOW_SHORT_S = 2.0  # shorter windows need not have seen payments


class Guards:
    def __init__(self, wanted):
        self.wanted = wanted
        self.rows = []

    def at_least(self, name, got, what=None, wanted=None):
        wanted = self.wanted[name] if wanted is None else wanted
        if wanted is not None:
            self.rows.append({"guard": what or name, "wanted": f">= {wanted}", "got": got,
                              "reached": got >= wanted})

    def exactly(self, name, got, what):
        wanted = self.wanted[name]
        self.rows.append({"guard": what or name, "wanted": str(wanted), "got": got,
                          "reached": got == wanted})


def check(run):
    findings = Findings()
    wanted = {**DEFAULTS, **BY_WORKLOAD.get(run.settings.get("workload"), {}),
              **run.settings.get("require", {})}
    guards = Guards(wanted)
    _operations(run, guards)
    _windows(run, guards)
    _counters(run, guards)
    _final(run, guards)
    for row in guards.rows:
        if not row["reached"]:
            findings.doubt(f"{row['guard']}: wanted {row['wanted']}, got {row['got']}")
    return findings.result(guards=guards.rows)


def percent(part, whole):
    return round(100 * part / whole, 1) if whole else 0.0


def _operations(run, guards):
    main = [op for op in run.ops if op.phase == "main"]
    kinds = {}
    for op in main:
        kinds[op.f] = kinds.get(op.f, 0) + (op.type == "ok")
    guards.at_least("ok_per_kind", min(kinds.values(), default=0),
                    f"ok operations of the rarest kind ({min(kinds, key=kinds.get, default='-')})")
    ok = sum(op.type == "ok" for op in main)
    name = "ok_percent" if all(w.majority for w in run.windows) else "ok_percent_without_majority"
    guards.at_least(name, percent(ok, len(main)), "percent of operations ok")
    payments = [op for op in main if op.type == "ok" and op.f == "transfer"]
    if payments:
        guards.at_least("posted_percent",
                        percent(sum(op.result is not None for op in payments), len(payments)),
                        "percent of answered payments posted")
    guards.at_least("concurrent_percent", percent(_overlapping(main), len(main)),
                    "percent of operations concurrent with another")
    commands = run.commands
    replays = sum(t.replayed is True for ts in commands.testimonies.values() for t in ts)
    guards.at_least("replays", replays, "replayed answers")
    registers = sum(a.startswith("reg:") for a in commands.accounts)
    guards.at_least("registers", registers)
    guards.at_least("session_switches", _switches(main), "sessions that went to another node")


def _overlapping(ops):
    """How many operations were open while another one was."""
    overlapping, previous_end, previous = set(), -1, None
    for op in ops:
        if op.begin < previous_end:
            overlapping.update((op.index, previous.index))
        if op.end > previous_end:
            previous_end, previous = op.end, op
    return len(overlapping)


def _switches(ops):
    last, switches = {}, 0
    for op in ops:
        if op.session is not None:
            switches += last.get(op.session, op.node) != op.node
            last[op.session] = op.node
    return switches


def _windows(run, guards):
    effective = {fault: 0 for fault in run.settings.get("faults", ())}
    for window in run.windows:
        effective[window.fault] = effective.get(window.fault, 0) + window.effective
    for fault, count in effective.items():
        guards.at_least("windows_per_fault", count, f"effective windows of {fault}")
    if run.windows:
        guards.at_least("effective_percent",
                        percent(sum(w.effective for w in run.windows), len(run.windows)),
                        "percent of windows effective")
    payments = [op for op in run.ops if acknowledged(op)]
    poorest = None
    for window in run.windows:
        begin, end = window.begun, window.healing
        if begin is None or end is None or not window.majority \
                or end - begin < WINDOW_SHORT_S * 1e9 or _within_another(run, window):
            continue
        inside = sum(begin <= op.end <= end for op in payments)
        if poorest is None or inside < poorest[0]:
            poorest = (inside, window)
    if poorest is not None:
        guards.at_least("ok_writes_in_window", poorest[0],
                        f"payments acknowledged in the poorest window ({poorest[1]})")
    aimed = [w for w in run.windows if w.demotes(run.nodes)
             and w.term_before is not None and w.term_after is not None]
    if aimed:
        changed = sum(w.term_after > w.term_before for w in aimed)
        guards.at_least("term_changes_percent", percent(changed, len(aimed)),
                        "percent of windows at the leader that changed the term")
    guards.at_least("leader_changes", leaders_check(run)["leader_changes"], "leader changes")


def _within_another(run, window):
    """A companion begins while its fault may still be taking the leader away, and is over before
    another one has to be there: the payments of the whole window are what counts."""
    begin, end = window.ends(run.end)
    return any(other is not window and other.ends(run.end)[0] <= begin
               and end <= other.ends(run.end)[1] for other in run.windows)


def _counters(run, guards):
    """Counters start anew with a process, so their falls are bridged."""
    totals, last = {}, {}
    for _, value in run.statuses:
        for name, count in (value.get("counters") or {}).items():
            key = (value["node"], name)
            before = last.get(key, 0)
            totals[key] = totals.get(key, 0) + (count - before if count >= before else count)
            last[key] = count
    for name in ("snapshots_taken", "snapshots_installed"):
        total = sum(count for (_, counter), count in totals.items() if counter == name)
        guards.at_least(name, total, name.replace("_", " "))
    # Who leads from the beginning to the end has nothing to forward, but serves the others'.
    forwards = min((totals.get((node, "forwards"), 0) + totals.get((node, "forwards_served"), 0)
                    for node in run.survivors), default=0)
    if run.statuses:
        guards.at_least("forwards_per_node", forwards,
                        "requests that the laziest node forwarded or served for others")


def _final(run, guards):
    final = FinalReads(run)
    guards.exactly("unread_payments", len(final.unread), "payments not read at the end")
    nodes = {}
    for op in run.ops:
        if op.phase == "final" and op.result is not None and op.f != "read-payment":
            nodes.setdefault(op.node, set()).add(op.f)
    needed = {"list-accounts", "totals", "info", "digest"}
    wanted = guards.wanted["nodes_finally_read"]
    guards.at_least("nodes_finally_read",
                    sum(needed <= nodes.get(node, set()) for node in run.nodes),
                    "nodes read whole at the end", len(run.survivors) if wanted is None else wanted)

"""Availability: how soon payments go on after a fault and after its end, and that without a
majority nothing is acknowledged.

A recovery is the time from the moment a fault struck (or was over) to the first acknowledgement of
a payment that was sent when it was in force (or over). It is judged where a majority was meant to
be alive. Those after which another leader has to be elected are told apart: `leader_times_s`, of
which matrix.py judges the 95th percentile over many runs.
"""

import bisect

from .finding import Findings
from .replicas import sightings

LIMITS = {"recover_p95_s": 3.0, "recover_max_s": 5.0, "catch_up_max_s": 5.0}
P95_TIMES_MIN = 20  # of fewer, the 95th percentile is the longest one
LONG_S = 20  # partitions from here on are the ones that the promise of catching up names


def check(run):
    findings = Findings()
    limits = {**LIMITS, **run.settings.get("limits", {})}
    payments = [op for op in run.ops if acknowledged(op)]
    rows, times, leader_times, caught_up = [], [], [], []
    for window in run.windows:
        row = recovery(run, window, payments)
        rows.append(row)
        if not window.majority:
            _none_acknowledged(run, findings, window, payments)
        for what in ("begun", "healed"):
            seconds = row[f"{what}_recovery_s"]
            if what == "begun" and not window.majority:
                continue
            if row[f"{what}_judged"]:
                times.append(seconds)
                _limit(findings, window, what, seconds, limits["recover_max_s"])
                if what == "begun" and _takes_leader(run, window):
                    leader_times.append(seconds)
            elif (row[f"{what}_without_s"] or 0) > limits["recover_p95_s"]:
                findings.doubt(f"{window}: nothing was acknowledged in the "
                               f"{row[f'{what}_without_s']:.2f} s up to the next change")
        if window.fault == "partition" and row["catch_up_s"] is not None:
            _caught_up(findings, window, row["catch_up_s"], limits["catch_up_max_s"])
            if window.begun and window.healing - window.begun >= LONG_S * 1e9:
                caught_up.append(row["catch_up_s"])
    for what, found in (("recoveries", times), ("recoveries from the loss of a leader",
                                                leader_times)):
        p95 = percentile(found, 95)
        if len(found) >= P95_TIMES_MIN and p95 > limits["recover_p95_s"]:
            findings.error(f"the 95th percentile of the {what} is {p95:.2f} s, allowed are "
                           f"{limits['recover_p95_s']} s", expected=limits["recover_p95_s"],
                           seen=p95, slow=True)
    finite = [t for t in times if t != float("inf")]
    p95 = percentile(times, 95)
    return findings.result(recoveries=len(times), p95_s=None if p95 == float("inf") else p95,
                           max_s=max(finite, default=None), times_s=times,
                           leader_times_s=leader_times, caught_up_s=caught_up, windows=rows)


def _takes_leader(run, window):
    """Whether another node has to be elected before payments can go on."""
    ends = window.fault in ("disk-full", "io-error", "bit-flip")
    return window.demotes(run.nodes) or (ends and window.leader_targeted and window.majority)


def acknowledged(op):
    """Whether the answer says that this request itself was executed now."""
    if op.type != "ok" or op.f not in ("transfer", "batch"):
        return False
    answer = op.result if op.result is not None else op.error
    if "results" in answer:
        inner = [a.get("result") or a["error"]["data"] for a in answer["results"]]
        return any(a.get("replayed") is False for a in inner)
    return answer.get("replayed") is False


def percentile(values, percent):
    """The value that so many percent do not exceed; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, (len(ordered) * percent + 99) // 100 - 1)]


def recovery(run, window, payments):
    """What one window did: used by the report too. Infinite where nothing came back."""
    row = {"window": window.number}
    next_change = _next_change(run, window)
    for what, until in (("begun", window.healing), ("healed", next_change)):
        moment = getattr(window, what)
        row.update({f"{what}_recovery_s": None, f"{what}_judged": False,
                    f"{what}_without_s": None})
        if moment is None:
            continue
        struck, in_force = _struck(run, window) if what == "begun" else (moment, moment)
        until = until if until is not None else run.phases.get("heal", run.end)
        first = min((op.end for op in payments if op.begin >= in_force), default=None)
        # A span that was too short to show a late recovery, or without load, proves nothing.
        asked = any(op.f == "transfer" and moment <= op.begin < until for op in run.ops)
        in_time = first is not None and first <= until
        long_enough = (until - struck) / 1e9 >= LIMITS["recover_max_s"]
        row[f"{what}_judged"] = asked and (in_time or long_enough)
        if asked and not in_time:
            row[f"{what}_without_s"] = round((until - struck) / 1e9, 4)
        if first is not None:
            row[f"{what}_recovery_s"] = round((first - struck) / 1e9, 4)
        elif row[f"{what}_judged"]:
            row[f"{what}_recovery_s"] = float("inf")
    row["catch_up_s"] = _catch_up(run, window, next_change)
    return row


def _struck(run, window):
    """When the fault struck, and from when on it surely was in force. What is measured between the
    order and the record of the deed is not the product's time, but must not hide any of it."""
    if window.ordered is None:
        return window.begun, window.begun
    if window.fault in ("partition", "pause"):
        return window.ordered, window.begun
    if window.fault in ("kill", "power-cut", "bit-flip"):
        ends = {value["node"]: time for time, value in run.exits
                if window.ordered <= time <= window.begun and value["node"] in window.targets}
        end = ends.get(window.leader_before, max(ends.values(), default=window.begun))
        return end, end
    return window.begun, window.begun


def _next_change(run, window):
    """When another fault begins after this one was healed."""
    if window.healed is None:
        return None
    return min((w.ends(run.end)[0] for w in run.windows
                if w is not window and w.ends(run.end)[0] >= window.healed), default=None)


def _none_acknowledged(run, findings, window, payments):
    begin, end = window.begun, window.healing if window.healing is not None else run.end
    if begin is None:
        return
    for op in payments:
        if op.begin >= begin and op.end <= end:
            findings.error(f"acknowledged without a majority, in {window}", [op], [op.seq],
                           "no answer", "acknowledged")


def _limit(findings, window, what, seconds, limit):
    if seconds > limit:
        after = "the beginning" if what == "begun" else "the end"
        findings.error(f"{window}: the first payment after {after} was acknowledged after "
                       f"{seconds:.2f} s, allowed are {limit} s",
                       expected=f"<= {limit} s", seen=f"{seconds:.2f} s", slow=True)


def _catch_up(run, window, until):
    """Seconds until every node had what was acknowledged when the fault ended. None where the
    next fault came too soon to tell."""
    if window.healed is None:
        return None
    wanted = max((op.seq or 0 for op in run.ops
                  if op.type == "ok" and op.end <= window.healed), default=0)
    in_time = until is None or (until - window.healed) / 1e9 < LIMITS["catch_up_max_s"]
    latest = 0
    for node in run.survivors:
        times, seqs = _progress(run).get(node, ((), ()))
        at = bisect.bisect_left(times, window.healed)
        reached = next((times[k] for k in range(at, len(times)) if seqs[k] >= wanted), None)
        if reached is None or (until is not None and reached > until):
            return None if until is not None and in_time else float("inf")
        latest = max(latest, reached)
    return round((latest - window.healed) / 1e9, 3)


def _progress(run):
    """node -> ([time], [seq]) of its own reports; gathered once per run."""
    cached = getattr(run, "progress", None)
    if cached is None:
        cached = run.progress = {}
        for sighting in sightings(run):
            if not sighting.source.startswith("as "):
                times, seqs = cached.setdefault(sighting.node, ([], []))
                times.append(sighting.time)
                seqs.append(sighting.seq)
    return cached


def _caught_up(findings, window, seconds, limit):
    if seconds > limit:
        findings.error(f"{window}: {seconds:.2f} s after healing not all nodes had caught up, "
                       f"allowed are {limit} s", expected=f"<= {limit} s", seen=f"{seconds:.2f} s",
                       slow=True)

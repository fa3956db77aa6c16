"""Real time: what was complete before something else began comes before it in the order of seq.

A command's seq is above that of every answer which was complete before its request went out. A
linearizable read reports at least that seq. A read with min_seq reports at least min_seq. A stale
read owes nothing, but as an answer it counts: nobody can have read a seq not yet given.
"""

from ..commands import outcomes
from .finding import Findings


def check(run):
    findings = Findings()
    known = _highest_before(run)
    checked = 0
    for op in run.ops:
        if op.type != "ok":
            continue
        newest = known.get(op.index)
        if op.writes:
            checked += _write(findings, op, newest)
        elif op.seq is not None and not (op.f == "read-payment" and op.result is not None):
            checked += _read(findings, op, newest)
    _late_known(run, findings, known)
    return findings.result(checked=checked)


def answer_seq(op):
    """The highest seq that the answer vouches for."""
    highest = op.seq
    for answer in (op.result or {}).get("results", ()):
        inner = answer.get("result") or answer["error"]["data"]
        if inner.get("seq") is not None:
            highest = max(highest or 0, inner["seq"])
    return highest


def _highest_before(run):
    """For each invocation, by its index: the completed operation with the highest seq before it."""
    events = [(op.index, None, op) for op in run.ops]
    events += [(op.end_index, answer_seq(op), op) for op in run.ops if op.type == "ok"]
    events.sort(key=lambda event: event[0])
    highest, holder, known = -1, None, {}
    for index, seq, op in events:
        if index == op.index:
            known[index] = (highest, holder)
        elif seq is not None and seq > highest:
            highest, holder = seq, op
    return known


def _fresh_seqs(op):
    """The seqs that the answer gives out as new."""
    if op.f in ("transfer", "batch"):
        for _, _, _, result, error in outcomes(op):
            answer = result if result is not None else error
            if answer.get("replayed") is False:
                yield answer["seq"]
    elif op.result is not None and op.result.get("replayed") is False:
        yield op.result["seq"]


def _write(findings, op, newest):
    highest, holder = newest
    count = 0
    for seq in _fresh_seqs(op):
        count += 1
        if seq <= highest:
            findings.error(
                f"a command took seq {seq} although an operation that was complete before it began "
                f"had seen seq {highest}", [holder, op], [highest, seq], f"> {highest}", seq)
    return count


def _read(findings, op, newest):
    wanted = op.value.get("min_seq")
    if wanted is not None:
        if op.seq < wanted:
            findings.error(f"a read with min_seq {wanted} reports seq {op.seq}", [op],
                           [wanted, op.seq], f">= {wanted}", op.seq)
        return 1
    if not op.linearizable:
        return 0
    highest, holder = newest
    if op.seq < highest:
        findings.error(
            f"a linearizable read reports seq {op.seq} although an operation that was complete "
            f"before it began had seen seq {highest}", [holder, op], [highest, op.seq],
            f">= {highest}", op.seq)
    return 1


def _late_known(run, findings, known):
    """Payments whose own answer was lost: they too come after all that was complete before."""
    for command in run.commands.payments.values():
        if any(t.replayed is False for t in command.testimonies):
            continue
        attempts = run.commands.attempts[command.id]
        first = min((a.op for a in attempts), key=lambda op: op.index)
        highest, holder = known[first.index]
        if command.seq <= highest and holder is not None:
            findings.error(
                f"payment {command.id} has seq {command.seq} although seq {highest} had been seen "
                "before anybody asked for it", [holder, first], [highest, command.seq],
                f"> {highest}", command.seq)

"""One id, one outcome, for ever, on every node.

All answers about an id agree on seq, term, time and code; one request at most was told that it was
the first; the same fields are never called different, and different ones never the same.
"""

from .finding import Findings
from ..commands import outcomes


def check(run):
    findings = Findings()
    commands = run.commands
    counts = {"ids": len(commands.attempts), "retried": 0, "replayed": 0, "mismatches": 0}
    for identity, testimonies in commands.testimonies.items():
        counts["replayed"] += sum(t.replayed is True for t in testimonies)
        counts["retried"] += len(commands.attempts.get(identity, ())) > 1
        if len(testimonies) > 1:
            _agree(findings, identity, sorted(testimonies, key=lambda t: t.op.index))
    for op in run.ops:
        if op.type == "ok" and op.f in ("transfer", "batch"):
            counts["mismatches"] += _fields(findings, commands, op)
    return findings.result(**counts)


def _agree(findings, identity, testimonies):
    first = testimonies[0]
    makers = [t for t in testimonies if t.replayed is False]
    if len(makers) > 1:
        findings.error(f"payment {identity}: two requests were told that they made it",
                       [makers[0].op, makers[1].op], [makers[0].seq, makers[1].seq],
                       "one with replayed false", "two")
    for other in testimonies[1:]:
        for name in ("seq", "code", "term", "time"):
            was, is_now = getattr(first, name), getattr(other, name)
            if was is not None and is_now is not None and was != is_now:
                findings.error(
                    f"payment {identity} has two outcomes: its {name} was {was} and is {is_now}",
                    [first.op, other.op], [first.seq, other.seq], was, is_now)
                return


def _fields(findings, commands, op):
    """Compares the request with the one that made the payment. Returns the number of mismatches."""
    mismatches = 0
    for item, identity, params, result, error in outcomes(op):
        command = commands.payments.get(identity)
        mismatch = error is not None and error["code"] == "idempotency_mismatch"
        mismatches += mismatch
        recorded = result is not None or error.get("recorded")
        if command is None or command.attempt.params is params or not (mismatch or recorded):
            continue
        own = next(a for a in commands.attempts[identity] if a.op is op and a.item == item)
        same = commands.same_fields(own.fields, command.attempt.fields)
        if same == mismatch:
            text = "the same fields were called different" if same else \
                "other fields were answered with the outcome of the first"
            findings.error(f"payment {identity}: {text}", [command.attempt.op, op], [command.seq],
                           "replayed" if same else "idempotency_mismatch",
                           "idempotency_mismatch" if mismatch else "replayed")
    return mismatches

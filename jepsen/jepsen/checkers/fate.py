"""Lost, phantom and wrongly failed payments.

Everything attempted is read again at the end. What was acknowledged or seen must be there; what was
surely not executed must not; nothing is there that nobody asked for.
"""

from .final import FinalReads
from .finding import Findings


def check(run):
    findings = Findings()
    commands = run.commands
    final = FinalReads(run)
    counts = {"acknowledged": 0, "lost": 0, "phantom": 0, "wrongly_failed": 0, "resolved_info": 0,
              "unread": len(final.unread)}
    for identity, attempts in commands.attempts.items():
        _one(findings, final, commands, identity, attempts, counts)
    for testimony in commands.strangers:
        counts["phantom"] += 1
        findings.error(f"payment {testimony.id} is stored, and nobody asked for it",
                       [testimony.op], [testimony.seq], "absent", testimony.code)
    for testimony, text in commands.unexplained:
        counts["phantom"] += 1
        findings.error(f"payment {testimony.id}: {text}", [testimony.op], [testimony.seq],
                       [a.params for a in commands.attempts[testimony.id]][:3], testimony.stored)
    _counted(findings, final, commands)
    if final.unread:
        findings.doubt(f"{len(final.unread)} payments were not read at the end, the first is "
                       f"{final.unread[0]}")
    return findings.result(attempted=len(commands.attempts), **counts)


def _one(findings, final, commands, identity, attempts, counts):
    testimonies = commands.testimonies.get(identity, ())
    types = {attempt.op.type for attempt in attempts}
    if testimonies:
        first = min(testimonies, key=lambda t: t.op.index)
        counts["acknowledged"] += any(t.replayed is not None for t in testimonies)
        if identity in final.absent:
            counts["lost"] += 1
            findings.error(
                f"payment {identity} was {first.code} at seq {first.seq}, and at the end it is not "
                "there: lost", [first.op, final.absent[identity]], [first.seq], first.code,
                "not_found")
        asked = min(attempt.op.index for attempt in attempts)
        if first.op.end_index is not None and first.op.end_index < asked:
            counts["phantom"] += 1
            findings.error(f"payment {identity} was seen before anybody asked for it",
                           [first.op], [first.seq], "absent", first.code)
    if types == {"fail"} and testimonies:
        counts["wrongly_failed"] += 1
        told = attempts[0].op
        findings.error(
            f"payment {identity} was answered {told.code} (surely not executed), but it is stored "
            f"at seq {testimonies[0].seq}", [told, testimonies[0].op], [testimonies[0].seq],
            "absent", testimonies[0].code)
    if "info" in types and (identity in final.found or identity in final.absent):
        counts["resolved_info"] += 1


def _counted(findings, final, commands):
    """ledger.info counts all payments, refused ones included: as many as we know of."""
    if final.unread:
        return
    for op in final.infos:
        known = sum(1 for c in commands.payments.values() if c.seq <= op.seq)
        stored = op.result["payments"]
        if stored != known:
            what = "there is more than was asked for" if stored > known else "payments are lost"
            findings.error(f"{op.node} counts {stored} payments at seq {op.seq}, known are "
                           f"{known}: {what}", [op], [op.seq], known, stored)

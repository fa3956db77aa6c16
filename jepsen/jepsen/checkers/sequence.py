"""`seq` numbers the commands: without gaps from 1, each once, in order of term and time."""

from .final import FinalReads
from .finding import Findings


def check(run):
    findings = Findings()
    commands = run.commands
    previous = None
    gaps = []
    for seq in sorted(commands.by_seq):
        here = commands.by_seq[seq]
        command = here[0]
        for other in here[1:]:
            findings.error(f"seq {seq} belongs to two commands: {command.id} and {other.id}",
                           [command.testimonies[0].op, other.testimonies[0].op], [seq],
                           "one command", f"{command.id}, {other.id}")
        if seq < 1:
            findings.error(f"seq {seq} of {command.id}", [command.testimonies[0].op], [seq])
        if previous is not None:
            _compare(findings, previous, command)
        expected = previous.seq + 1 if previous else 1
        gaps.extend(range(expected, min(seq, expected + 100)))
        previous = command
    _gaps(run, findings, gaps)
    return findings.result(commands=len(commands.by_seq), last_seq=commands.last_seq)


def _compare(findings, before, after):
    ops = [before.testimonies[0].op, after.testimonies[0].op]
    seqs = [before.seq, after.seq]
    for name in ("term", "time"):
        first, second = getattr(before, name), getattr(after, name)
        if first is not None and second is not None and second < first:
            findings.error(f"the {name} falls from seq {before.seq} to seq {after.seq}",
                           ops, seqs, f">= {first}", str(second))


def _gaps(run, findings, gaps):
    """With all final reads done every seq must be known; before, a gap may be an open request."""
    final = FinalReads(run)
    last = max((op.seq for op in final.infos), default=0)
    gaps = gaps + list(range(run.commands.last_seq + 1, last + 1))[:100]
    if not gaps:
        return
    if not final.complete:
        findings.doubt(f"seq {gaps[0]} belongs to no known command, and the final reads are "
                       "incomplete")
        return
    for seq in gaps:
        around = [run.commands.by_seq[s][0].testimonies[0].op for s in (seq - 1, seq + 1)
                  if s in run.commands.by_seq]
        findings.error(f"seq {seq} belongs to no known command, though everything asked for was "
                       "read at the end", around, [seq], "a command", "none")

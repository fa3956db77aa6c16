"""Sessions: read your writes, and reads that never go back, on whichever node they are made.

A session carries the highest seq that it has seen as `min_seq` to its next read. Such reads, and
linearizable ones, report at least that seq; the number of entries of an account, which no node
makes up from a seq, never falls either. Stale reads are promised nothing.
"""

from .finding import Findings
from .realtime import answer_seq


class Session:
    def __init__(self):
        self.highest = (-1, None)  # seq, Op
        self.written = (-1, None)
        self.entries = {}  # account -> (entries, Op)
        self.switches = 0
        self.last_node = None


def check(run):
    findings = Findings()
    sessions, reads = {}, 0
    for op in run.ops:
        if op.session is None or op.type != "ok":
            continue
        session = sessions.setdefault(op.session, Session())
        session.switches += session.last_node not in (None, op.node)
        session.last_node = op.node
        placed = op.seq is not None and not op.writes and not (
            op.f == "read-payment" and op.result is not None)
        promised = placed and not op.value.get("stale")
        if promised:
            reads += 1
            _order(findings, session, op)
        _entries(findings, session, op, promised)
        _remember(session, op)
    switches = sum(s.switches for s in sessions.values())
    return findings.result(sessions=len(sessions), reads=reads, node_switches=switches)


def _order(findings, session, op):
    for (seq, earlier), what in ((session.written, "its own write"),
                                 (session.highest, "what it had seen")):
        if op.seq < seq:
            wanted = op.value.get("min_seq")
            asked = f"; it asked for {wanted} only" if wanted is not None and wanted < seq else ""
            findings.error(f"session {op.session} reads seq {op.seq}, before {what} at seq {seq}"
                           + asked, [earlier, op], [seq, op.seq], f">= {seq}", op.seq)
            return


def _entries(findings, session, op, promised):
    rows = []
    if op.result is not None and op.f == "read-account":
        rows = [op.result]
    elif op.result is not None and op.f == "list-accounts":
        rows = op.result["accounts"]
    for row in rows:
        count, earlier = session.entries.get(row["id"], (-1, None))
        if promised and row["entries"] < count:
            findings.error(
                f"session {op.session} sees {row['entries']} entries of {row['id']} after it had "
                f"seen {count}", [earlier, op], [earlier.seq, op.seq], f">= {count}",
                row["entries"])
        elif row["entries"] > count:
            session.entries[row["id"]] = (row["entries"], op)


def _remember(session, op):
    seq = answer_seq(op)
    if seq is None:
        return
    if seq > session.highest[0]:
        session.highest = (seq, op)
    if op.writes and seq > session.written[0]:
        session.written = (seq, op)

"""Replicas: equal digests at equal seq, ever; and at the end all nodes are equal."""

from .finding import Findings

EQUAL_WITHIN_S = 15


class Sighting:
    """Where a digest was seen."""

    __slots__ = ("node", "seq", "digest", "time", "source", "op")

    def __init__(self, node, seq, digest, time, source, op=None):
        self.node = node
        self.seq = seq
        self.digest = digest
        self.time = time
        self.source = source
        self.op = op

    def __str__(self):
        return f"{self.node} at {self.time / 1e9:.3f} s ({self.source}): {self.digest}"


def sightings(run):
    """All pairs of seq and digest that a node gave, in the order of their time."""
    found = []
    for time, value in run.statuses:
        for row in value.get("nodes", ()) if value.get("ok") else ():
            if row.get("digest") and isinstance(row.get("seq"), int):
                source = "own" if row["id"] == value["node"] else f"as {value['node']} heard"
                found.append(Sighting(row["id"], row["seq"], row["digest"], time, source))
    for time, value in run.digests:
        found.append(Sighting(value["node"], value["seq"], value["digest"], time, "asked"))
    for op in run.ops:
        if op.f in ("digest", "info") and op.result is not None:
            found.append(Sighting(op.node, op.seq, op.result["digest"], op.end, op.f, op))
    found.sort(key=lambda sighting: sighting.time)
    return found


def check(run):
    findings = Findings()
    first, compared = {}, 0
    found = sightings(run)
    for sighting in found:
        known = first.setdefault(sighting.seq, sighting)
        compared += known.node != sighting.node
        if known.digest != sighting.digest:
            findings.error(f"two digests at seq {sighting.seq}: {known}; {sighting}",
                           [s.op for s in (known, sighting) if s.op], [sighting.seq],
                           known.digest, sighting.digest)
    equal_s = _end(run, findings, found)
    return findings.result(digests=len(found), compared_across_nodes=compared,
                           seqs=len(first), equal_after_s=equal_s)


def _end(run, findings, found):
    """Seconds from the beginning of the healing to equality of all nodes, or None."""
    begin = run.phases.get("heal", run.phases.get("final"))
    final = run.phases.get("final")
    if begin is None or final is None:
        findings.doubt("there was no final phase")
        return None
    if 2 * len(run.survivors) <= len(run.nodes):
        findings.doubt("no majority of the nodes can be expected to run")
    latest, equal_at = {}, None
    for sighting in found:
        if sighting.time < begin or sighting.source not in ("own", "asked", "digest", "info"):
            continue
        latest[sighting.node] = sighting
        if latest.keys() >= set(run.survivors) and len({s.digest for s in latest.values()}) == 1:
            equal_at = equal_at or sighting.time
    for node in run.survivors:
        last = latest.get(node)
        if last is None or last.time < final:
            findings.doubt(f"{node} gave no digest in the final phase")
    if findings.doubts:
        return None
    if len({(s.seq, s.digest) for s in latest.values()}) > 1:
        states = "; ".join(f"{s} at seq {s.seq}" for s in latest.values())
        findings.error(f"at the end the nodes differ: {states}",
                       [s.op for s in latest.values() if s.op],
                       sorted({s.seq for s in latest.values()}), "equal", states)
        return None
    limit = run.settings.get("limits", {}).get("digests_equal_s", EQUAL_WITHIN_S)
    equal_s = (equal_at - begin) / 1e9
    if equal_s > limit:
        findings.error(f"the nodes became equal {equal_s:.1f} s after healing, allowed are "
                       f"{limit} s", expected=f"<= {limit} s", seen=f"{equal_s:.1f} s", slow=True)
    return round(equal_s, 3)

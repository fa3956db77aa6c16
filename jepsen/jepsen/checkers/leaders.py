"""One leader per term."""

from .finding import Findings


def sightings(run):
    """(time, term, leader, who said so), in order of time."""
    for time, value in run.statuses:
        if not value.get("ok"):
            continue
        if value.get("leader") is not None:
            yield time, value["term"], value["leader"], value["node"]
        for row in value.get("nodes", ()):
            if row.get("role") == "leader" and row.get("term") is not None \
                    and row["id"] == value["node"]:
                yield time, row["term"], row["id"], value["node"]


def check(run):
    findings = Findings()
    first, count = {}, 0
    for time, term, leader, node in sightings(run):
        count += 1
        known = first.setdefault(term, (time, leader, node))
        if known[1] != leader:
            findings.error(
                f"two leaders in term {term}: {known[1]} (said {known[2]} at "
                f"{known[0] / 1e9:.3f} s) and {leader} (said {node} at {time / 1e9:.3f} s)",
                expected=known[1], seen=leader)
    changes, last = 0, None
    for term in sorted(first):
        changes += last is not None
        last = term
    if not count:
        findings.doubt("nobody ever named a leader")
    return findings.result(terms=len(first), leader_changes=changes, sightings=count)

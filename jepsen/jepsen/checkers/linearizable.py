"""Registers are linearizable: an exact search that does not look at seq at all.

The register is an account "reg:K" whose balance only the operations on K change. A payment steps it
by its amount and answers the balance after; a refusal says that the step was too large; a read
answers the balance. The search is that of Wing, Gong and Lowe, with just-in-time linearization: an
operation is placed no earlier than some answer demands it, and configurations (which open
operations are placed, value) seen before are not searched again.
"""

from .finding import Findings
from .final import FinalReads
from ..operations import NEVER

CONFIGURATIONS_MAX = 300_000  # per key; beyond it the answer is unknown
PREFIX = "reg:"


class Step:
    """One operation on one register. kind: "add" (step, after or None) | "refused" | "read"."""

    __slots__ = ("op", "begin", "end", "kind", "step", "value")

    def __init__(self, op, begin, end, kind, step, value):
        self.op = op
        self.begin = begin  # positions in the history; NEVER: no answer
        self.end = end
        self.kind = kind
        self.step = step
        self.value = value

    def apply(self, state, floor):
        """The state after this operation, or None where its answer would have been another one."""
        if self.kind == "read":
            return state if state == self.value else None
        after = state + self.step
        too_deep = floor is not None and self.step < 0 and after < floor
        if self.kind == "refused":
            return state if too_deep else None
        if too_deep or (self.value is not None and after != self.value):
            return None
        return after

    def __str__(self):
        if self.kind == "read":
            return f"read {self.value}"
        if self.kind == "refused":
            return f"add {self.step} refused"
        return f"add {self.step} -> {'?' if self.value is None else self.value}"


def check(run):
    findings = Findings()
    keys = sorted(a for a in run.commands.accounts if a.startswith(PREFIX))
    configurations = steps_total = 0
    steps_of = steps_by_key(run, keys)
    for key in keys:
        steps, floor = steps_of[key], _floor(run.commands.accounts[key])
        outcome, explored, problem = linearize(steps, floor)
        configurations += explored
        steps_total += len(steps)
        if outcome == "unknown":
            findings.doubt(f"{key}: gave up after {explored} configurations")
        elif outcome is False:
            _explain(findings, key, *problem)
    return findings.result(keys=len(keys), operations=steps_total, configurations=configurations)


def _floor(account):
    overdraft = account.get("overdraft", "0")
    return None if overdraft == "unlimited" else -int(overdraft)


def steps_by_key(run, keys):
    """key -> [Step]. Requests under one id are one step; final reads settle what was open."""
    steps = {key: [] for key in keys}
    final = FinalReads(run)
    done = set()
    for op in run.ops:
        if op.f == "read-account" and op.value["id"] in steps:
            if op.type == "ok" and op.linearizable and op.result is not None:
                steps[op.value["id"]].append(
                    Step(op, op.index, op.end_index, "read", 0, int(op.result["posted"])))
        elif op.f == "transfer" and op.value["id"].lower() not in done:
            identity = op.value["id"].lower()
            done.add(identity)
            for key in {op.value.get("debit"), op.value.get("credit")} & steps.keys():
                step = _payment(run, final, identity, key)
                if step is not None:
                    steps[key].append(step)
    return steps


def _payment(run, final, identity, key):
    attempts = [a for a in run.commands.attempts[identity] if a.op.type != "fail"]
    if not attempts or identity in final.absent:
        return None
    command = run.commands.payments.get(identity)
    attempt = command.attempt if command else attempts[0]
    begin = min(a.op.index for a in attempts)
    normal = run.commands.accounts[key].get("normal", "credit")
    rises = (attempt.params["credit"] == key) == (normal == "credit")
    step = int(attempt.params["amount"]) * (1 if rises else -1)
    if command is None:
        return Step(attempt.op, begin, NEVER, "add", step, None)
    answers = [t for t in command.testimonies if t.op.end_index is not None]
    end = min(t.op.end_index for t in answers)
    if command.code == "insufficient_funds":
        return Step(attempt.op, begin, end, "refused", step, None)
    if command.code != "posted":
        return None
    after = next((int(row["posted"]) for t in answers for row in t.balances or ()
                  if row["account"] == key), None)
    return Step(attempt.op, begin, end, "add", step, after)


def linearize(steps, floor=None, start=0, limit=CONFIGURATIONS_MAX):
    """(True | False | "unknown", configurations explored, problem).

    problem: (the step whose answer fits nowhere, the states possible before it, open steps)."""
    events = sorted([(s.begin, 0, k) for k, s in enumerate(steps)]
                    + [(s.end, 1, k) for k, s in enumerate(steps) if s.end != NEVER])
    slots, free, slot_of, next_slot = {}, [], {}, 0
    configurations, explored = {(0, start)}, 0
    for _, is_end, k in events:
        if not is_end:
            if not free:
                free.append(next_slot)
                next_slot += 1
            slot_of[k] = free.pop()
            slots[slot_of[k]] = steps[k]
            continue
        slot = slot_of[k]
        survivors, spent = _place(configurations, slots, slot, floor, limit - explored)
        explored += spent
        if survivors is None:
            return "unknown", explored, None
        if not survivors:
            others = [s for j, s in slots.items() if j != slot]
            return False, explored, (steps[k], {state for _, state in configurations}, others)
        configurations = survivors
        del slots[slot]
        free.append(slot)
    return True, explored, None


def _place(configurations, slots, slot, floor, limit):
    """All configurations in which the step in `slot` is placed; its bit is cleared again."""
    bit = 1 << slot
    survivors, seen, stack = set(), set(configurations), list(configurations)
    spent = 0
    while stack:
        mask, state = stack.pop()
        spent += 1
        if spent > limit:
            return None, spent
        if mask & bit:
            survivors.add((mask & ~bit, state))
            continue
        for other, step in slots.items():
            if mask >> other & 1:
                continue
            after = step.apply(state, floor)
            if after is None:
                continue
            if other == slot:
                survivors.add((mask, after))
                continue
            following = (mask | 1 << other, after)
            if following not in seen:
                seen.add(following)
                stack.append(following)
    return survivors, spent


def _explain(findings, key, step, states, others):
    possible = ", ".join(map(str, sorted(states)[:8]))
    beside = "; ".join(f"{other}" for other in others[:8]) or "nothing"
    last = max(others, key=lambda other: other.begin, default=None)
    findings.error(
        f"{key}: no order explains \"{step}\"; before it the value can be {possible}, and "
        f"open beside it: {beside}", [*([last.op] if last else []), step.op],
        [s for s in (last and last.op.seq, step.op.seq) if s is not None], f"from {possible}",
        str(step))

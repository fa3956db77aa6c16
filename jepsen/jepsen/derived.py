"""Files for outside checkers, made from a run:

knossos/KEY.edn   each register as a cas-register of Knossos: a payment is a cas from the balance
                  before to the balance after, as its answer or the final read told; the model is
                  (cas-register 0)
elle/append.edn   a payment appends its number to both its accounts, payment.list reads them; for
                  the list-append of Elle, where the lists are complete (one page to the end)
"""

import os

from . import edn
from .checkers.linearizable import PREFIX, steps_by_key
from .operations import NEVER


def write(directory, run):
    keys = [a for a in run.commands.accounts if a.startswith(PREFIX)]
    for key, steps in steps_by_key(run, keys).items() if keys else ():
        name = key[len(PREFIX):].replace("/", "_").replace(":", "_")
        lines = knossos(steps)
        if lines:
            _write(os.path.join(directory, "knossos", f"{name}.edn"), lines)
    transactions = elle(run)
    if transactions:
        _write(os.path.join(directory, "elle", "append.edn"), transactions)


def _write(path, lines):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(edn.dumps(line) + "\n" for line in lines)


def _numbered(events):
    """events: pairs of position and map. Returns the maps in order, with dense indices."""
    events.sort(key=lambda event: event[0])
    return [{"index": k, **fields, "type": edn.Keyword(fields["type"]),
             "f": edn.Keyword(fields["f"])} for k, (_, fields) in enumerate(events)]


def knossos(steps):
    """Refused steps, and those whose balance nobody told, have no form there and are left out."""
    events = []
    for process, step in enumerate(steps):
        if step.kind == "refused" or step.value is None:
            continue
        read = step.kind == "read"
        value = step.value if read else [step.value - step.step, step.value]
        fields = {"process": process, "f": "read" if read else "cas"}
        events.append((step.begin, {**fields, "type": "invoke",
                                    "value": None if read else value}))
        if step.end != NEVER:
            events.append((step.end, {**fields, "type": "ok", "value": value}))
    return _numbered(events)


def elle(run):
    """List-append over accounts. A payment's number is its place among all that were asked for."""
    numbers = {identity: k for k, identity in enumerate(run.commands.attempts)}
    events, process = [], 0
    for identity, command in run.commands.payments.items():
        if command.code != "posted":
            continue
        begin = min(a.op.index for a in run.commands.attempts[identity])
        end = min(t.op.end_index for t in command.testimonies)
        sides = dict.fromkeys(s for leg in command.attempt.fields.legs
                              for s in (leg.debit, leg.credit))
        value = [[edn.Keyword("append"), side, numbers[identity]] for side in sides]
        events += _transaction(process, begin, end, value, value)
        process += 1
    reads = 0
    for op in run.ops:
        whole = op.f == "list-payments" and op.type == "ok" and op.linearizable and \
            op.result is not None and op.result["cursor"] is None and not op.value.get("cursor")
        if whole:
            ids = [row["id"].lower() for row in reversed(op.result["payments"])]
            if all(identity in numbers for identity in ids):
                account = op.value["account"]
                events += _transaction(
                    process, op.index, op.end_index, [[edn.Keyword("r"), account, None]],
                    [[edn.Keyword("r"), account, [numbers[i] for i in ids]]])
                process += 1
                reads += 1
    return _numbered(events) if reads else []


def _transaction(process, begin, end, asked, told):
    fields = {"process": process, "f": "txn"}
    return [(begin, {**fields, "type": "invoke", "value": asked}),
            (end, {**fields, "type": "ok", "value": told})]

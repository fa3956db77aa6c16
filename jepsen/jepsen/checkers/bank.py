"""Conservation and overdraft, seen in each answer by itself: no order of operations is needed.

Debits equal credits in every sum over all accounts; a balance is the difference of its two sides;
no account is deeper below zero than its overdraft allows.
"""

from .finding import Findings


def check(run):
    findings = Findings()
    snapshots = 0
    opened = run.commands.accounts
    for op in run.ops:
        if op.type != "ok" or op.result is None:
            continue
        if op.f == "read-account":
            _account(findings, op, op.result)
        elif op.f == "list-accounts":
            for row in op.result["accounts"]:
                _account(findings, op, row)
            if op.result["cursor"] is None and op.value.get("cursor") is None:
                snapshots += 1
                _sums(findings, op)
        elif op.f == "totals":
            snapshots += 1
            _totals(findings, op)
        elif op.f == "transfer":
            _balances(findings, op, op.result, opened)
        elif op.f == "batch":
            for answer in op.result["results"]:
                _balances(findings, op, answer.get("result") or {}, opened)
    return findings.result(snapshots=snapshots)


def _account(findings, op, row):
    debits, credits = int(row["debits_posted"]), int(row["credits_posted"])
    posted = int(row["posted"])
    expected = credits - debits if row["normal"] == "credit" else debits - credits
    if posted != expected:
        findings.error(f"account {row['id']} shows {posted}, its two sides differ by {expected}",
                       [op], [op.seq], expected, posted)
    if row["overdraft"] != "unlimited":
        _limit(findings, op, row["id"], int(row["available"]))


def _limit(findings, op, account, available):
    if available < 0:
        findings.error(f"account {account} is below its overdraft by {-available}", [op], [op.seq],
                       "available >= 0", available)


def _balances(findings, op, result, opened):
    for row in result.get("balances", ()):
        if row.get("available") is not None:
            _limit(findings, op, row["account"], int(row["available"]))
        elif "overdraft" in opened.get(row["account"], {"overdraft": ""}):
            continue
        elif int(row["posted"]) < 0:
            _limit(findings, op, row["account"], int(row["posted"]))


def _sums(findings, op):
    sums = {}
    for row in op.result["accounts"]:
        debits, credits = sums.get(row["currency"], (0, 0))
        sums[row["currency"]] = (debits + int(row["debits_posted"]),
                                 credits + int(row["credits_posted"]))
    for currency, (debits, credits) in sums.items():
        _equal(findings, op, currency, debits, credits)


def _totals(findings, op):
    for row in op.result["totals"]:
        _equal(findings, op, row["currency"], int(row["debits_posted"]), int(row["credits_posted"]))
        _equal(findings, op, row["currency"], int(row["debits_held"]), int(row["credits_held"]))


def _equal(findings, op, currency, debits, credits):
    if debits != credits:
        findings.error(f"{currency}: {debits} debited and {credits} credited at seq {op.seq}",
                       [op], [op.seq], debits, credits)

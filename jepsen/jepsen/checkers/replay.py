"""Total order: all commands in the order of their seq through the model, every answer compared.

Reads of every kind are placed at the seq that they report, after the command of that number. Only
payment.get of a known payment has no place; its record is compared with the model's.
"""

from ..model import Ledger, time_ns
from .finding import ERRORS_KEPT, Findings


def check(run):
    return Replay(run).check()


class Replay:
    def __init__(self, run):
        self.run = run
        self.commands = run.commands
        self.model = Ledger()
        self.findings = Findings()
        self.touched = {}  # account -> the newest command on it
        self.balances = {}  # account -> [(seq, posted)]
        self.cursors = {}  # (f, account, cursor) -> id of the last row before it
        self.compared = 0

    def check(self):
        reads = self._reads()
        last = max(self.commands.last_seq, max(reads, default=0))
        self._look(reads.get(0, ()))
        while self.model.seq < last and self.findings.count < ERRORS_KEPT:
            before = self.model.seq
            if not self._advance():
                break
            for seq in range(before + 1, self.model.seq + 1):
                for command in self.commands.by_seq.get(seq, ()):
                    self._verify(command)
            # Inside an atomic batch there is no state to read.
            for seq in range(before + 1, self.model.seq):
                for op in reads.get(seq, ()):
                    self.findings.error(f"a read saw seq {seq}, the middle of an atomic batch",
                                        [op], [seq, self.model.seq])
            self._look(reads.get(self.model.seq, ()))
        return self.findings.result(commands=self.model.seq, answers_compared=self.compared)

    def _reads(self):
        """seq -> [Op] of all reads that report the seq of a state."""
        reads = {}
        for op in self.run.ops:
            if op.writes or op.type != "ok" or op.f == "digest":
                continue
            if op.result is not None and op.result.get("cursor") is not None:
                rows = op.result.get("accounts") or op.result.get("payments")
                if rows:
                    key = (op.f, op.value.get("account"), op.result["cursor"])
                    self.cursors[key] = rows[-1]["id"]
            if op.f == "read-payment" and op.result is not None:
                continue
            reads.setdefault(op.seq, []).append(op)
        return reads

    def _advance(self):
        """Executes the command that comes next; an atomic batch as a whole. False: it cannot."""
        model, seq = self.model, self.model.seq + 1
        here = self.commands.by_seq.get(seq, ())
        if len(here) != 1:
            what = "no known command" if not here else f"{len(here)} commands"
            self.findings.doubt(f"seq {seq} belongs to {what}: nothing after it was compared")
            return False
        command = here[0]
        if command.kind == "currency":
            model.create_currency(command.params["code"], command.params["scale"])
        elif command.kind == "account":
            model.open_account(command.params)
        else:
            now_ns = None if command.time is None else time_ns(command.time)
            attempt = command.attempt
            if attempt.atomic:
                made = [a for a in self._batch(attempt)]
                model.atomic(made, now_ns)
            else:
                model.create_payment(command.id, attempt.fields, now_ns)
        if model.seq >= seq:
            return True
        self.findings.error(f"{command.kind} {command.id} took seq {seq}, the model refuses it "
                            "without a record", [command.testimonies[0].op], [seq])
        return False

    def _batch(self, attempt):
        for params in attempt.op.value["items"]:
            identity = params["id"].lower()
            for candidate in self.commands.attempts[identity]:
                if candidate.params is params:
                    yield identity, candidate.fields

    def _differs(self, what, expected, seen, accounts, op, seq):
        """An answer is not what the model says: show the newest command on these accounts too."""
        touching = [self.touched[a] for a in accounts if a in self.touched]
        earlier = [c for c in touching if c.seq < seq]
        context = [max(earlier, key=lambda c: c.seq)] if earlier else []
        ops = [c.testimonies[0].op for c in context if c.testimonies[0].op is not op]
        text = f"{what} at seq {seq}: the model says {expected}, the answer {seen}"
        self.findings.error(text + self._hint(accounts, seen), [*ops, op],
                            [*(c.seq for c in context), seq], expected, seen)

    def _hint(self, accounts, seen):
        for account in accounts:
            for seq, posted in reversed(self.balances.get(account, ())):
                if str(posted) == seen:
                    return f" (the balance of {account} after seq {seq})"
        return ""

    def _verify(self, command):
        """The recorded outcome, and each answer that spoke of it."""
        if command.kind != "payment":
            return
        payment = self.model.payments.get(command.id)
        first = command.testimonies[0]
        legs = command.attempt.fields.legs
        accounts = {side for leg in legs for side in (leg.debit, leg.credit)}
        if payment is None or payment.seq != command.seq:
            at = "nowhere" if payment is None else f"at seq {payment.seq}"
            self._differs(f"payment {command.id}", at, f"at seq {command.seq}", accounts, first.op,
                          command.seq)
        else:
            if payment.code != command.code:
                self._differs(f"payment {command.id}", payment.code, command.code, accounts,
                              first.op, command.seq)
            for testimony in command.testimonies:
                self._testimony(payment, testimony)
            for account, (posted, _) in payment.balances.items():
                self.balances.setdefault(account, []).append((command.seq, posted))
                self.touched[account] = command

    def _testimony(self, payment, testimony):
        self.compared += 1
        if testimony.balances is not None:
            seen = {row["account"]: row["posted"] for row in testimony.balances}
            expected = {a: str(posted) for a, (posted, _) in payment.balances.items()}
            if seen != expected:
                for account in sorted(seen.keys() | expected.keys()):
                    if seen.get(account) != expected.get(account):
                        self._differs(f"balance of {account} after {payment.id}",
                                      expected.get(account), seen.get(account), [account],
                                      testimony.op, payment.seq)
                        break
            elif testimony.replayed is False:
                self._available(payment, testimony)
        if testimony.stored is not None and payment.rows:
            self._legs(payment, testimony)

    def _available(self, payment, testimony):
        for row in testimony.balances:
            available = payment.balances[row["account"]][1]
            expected = None if available is None else str(available)
            if row["available"] != expected or row["held"] != "0":
                self._differs(f"available of {row['account']} after {payment.id}", expected,
                              row["available"], [row["account"]], testimony.op, payment.seq)

    def _legs(self, payment, testimony):
        names = ("debit_balance", "credit_balance", "debit_entry", "credit_entry")
        for k, (leg, row) in enumerate(zip(testimony.stored["legs"], payment.rows)):
            expected = (str(row[0]), str(row[1]), row[2], row[3])
            for name, wanted in zip(names, expected):
                if name in leg and leg[name] != wanted:
                    self._differs(f"legs[{k}].{name} of {payment.id}", wanted, leg[name],
                                  [leg["debit"], leg["credit"]], testimony.op, payment.seq)
                    return

    def _look(self, ops):
        looks = {"read-account": self._read_account, "read-payment": self._read_payment,
                 "list-accounts": self._list_accounts, "list-payments": self._list_payments,
                 "list-currencies": self._list_currencies, "totals": self._totals,
                 "info": self._info}
        for op in ops:
            self.compared += 1
            looks[op.f](op)

    def _exists(self, op, what, exists, accounts=()):
        """Compares not_found with the model; True where there is something further to compare."""
        if exists == (op.result is not None):
            return exists
        self._differs(what, "there" if exists else "not_found",
                      "there" if op.result is not None else op.code, accounts, op, op.seq)
        return False

    def _account_row(self, op, row):
        account = self.model.accounts[row["id"]]
        posted = str(account.posted)
        if row["posted"] != posted:
            self._differs(f"balance of {account.id}", posted, row["posted"], [account.id], op,
                          op.seq)
            return
        available = account.available
        wanted = {
            "available": None if available is None else str(available),
            "debits_posted": str(account.debits),
            "credits_posted": str(account.credits),
            "entries": account.entries,
            "currency": account.currency,
            "normal": account.normal,
            "overdraft": "unlimited" if account.overdraft is None else str(account.overdraft),
            "held": "0",
            "opened_seq": account.opened_seq,
        }
        for name, expected in wanted.items():
            if row[name] != expected:
                self._differs(f"{name} of {account.id}", expected, row[name], [account.id], op,
                              op.seq)
                return

    def _read_account(self, op):
        identity = op.value["id"]
        if self._exists(op, f"account {identity}", identity in self.model.accounts, [identity]):
            self._account_row(op, op.result)

    def _read_payment(self, op):
        payment = self.model.payments.get(op.value["id"].lower())
        accounts = () if payment is None else payment.balances
        self._exists(op, f"payment {op.value['id']}", payment is not None, accounts)

    def _page(self, op, everything, rows):
        """Compares the ids of a page; True where they are right."""
        start, cursor = 0, op.value.get("cursor")
        if cursor is not None:
            last = self.cursors.get((op.f, op.value.get("account"), cursor))
            if last not in everything:
                return False
            start = everything.index(last) + 1
        limit = op.value.get("limit", 100)
        expected = everything[start:start + limit]
        seen = [row["id"].lower() if op.f == "list-payments" else row["id"] for row in rows]
        if seen != expected:
            at = next((k for k, (a, b) in enumerate(zip(expected, seen)) if a != b),
                      min(len(expected), len(seen)))
            self._differs(f"row {at} of {op.f}", expected[at:at + 1] or "the end",
                          seen[at:at + 1] or "the end", [op.value.get("account")], op, op.seq)
            return False
        left = len(everything) - start - len(expected)
        if left > 0 and op.result["cursor"] is None:
            self._differs(f"end of {op.f}", f"{left} more rows", "the end",
                          [op.value.get("account")], op, op.seq)
        return True

    def _list_accounts(self, op):
        rows = op.result["accounts"]
        if self._page(op, list(self.model.accounts), rows):
            for row in rows:
                self._account_row(op, row)

    def _list_payments(self, op):
        identity = op.value["account"]
        if self._exists(op, f"account {identity}", identity in self.model.accounts):
            everything = self.model.accounts[identity].payments[::-1]
            self._page(op, everything, op.result["payments"])

    def _list_currencies(self, op):
        model = self.model
        for row in op.result["currencies"]:
            scale, seq = model.currencies.get(row["code"], (None, None))
            expected = (scale, model.accounts_of.get(row["code"]), seq)
            seen = (row["scale"], row["accounts"], row["created_seq"])
            if seen != expected:
                self._differs(f"currency {row['code']}", expected, seen, (), op, op.seq)

    def _totals(self, op):
        model = self.model
        seen = {row["currency"]: (row["debits_posted"], row["credits_posted"], row["accounts"])
                for row in op.result["totals"]}
        expected = {currency: (str(total), str(total), model.accounts_of[currency])
                    for currency, total in model.totals.items()}
        if seen != expected:
            self._differs("totals", expected, seen, (), op, op.seq)

    def _info(self, op):
        model = self.model
        for name, things in (("accounts", model.accounts), ("payments", model.payments),
                             ("currencies", model.currencies)):
            if op.result[name] != len(things):
                self._differs(f"number of {name}", len(things), op.result[name], (), op, op.seq)

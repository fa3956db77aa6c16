"""Ids used again: at once on two nodes, later, after an unknown fate, with the same and other
fields."""

import copy

from .base import Base

NAME = "idempotency"
ACCOUNTS = 12
FIRST_MONEY = 50_000
REMEMBERED = 2_000


class Load(Base):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.sent = []

    def setup(self):
        return self.money([f"acct:{k}" for k in range(ACCOUNTS)], FIRST_MONEY)

    def fresh_payment(self):
        debit, credit = self.rng.sample(range(ACCOUNTS), 2)
        params = self.payment(f"acct:{debit}", f"acct:{credit}", self.rng.randint(1, 500))
        self.sent.append(params)
        del self.sent[:-REMEMBERED]
        return params

    def altered(self, params):
        """The same id with one field changed."""
        params = copy.deepcopy(params)
        what = self.rng.randrange(3)
        if what == 0:
            params["amount"] = str(int(params["amount"]) + 1)
        elif what == 1:
            params["debit"], params["credit"] = params["credit"], params["debit"]
        else:
            params["metadata"] = {"altered": True}
        return params

    def same(self, params):
        """The same fields, sometimes in the other form."""
        if self.rng.random() < 0.7:
            return params
        return {"id": params["id"].upper(), "legs": [
            {name: params[name] for name in ("debit", "credit", "amount")}]}

    def at_two_nodes(self, first, second):
        nodes = self.rng.sample(self.nodes, 2)
        return [self.ask("transfer", params, node=node)
                for params, node in zip((first, second), nodes)]

    def next(self):
        again = self.resend()
        if again:
            return [again]
        draw = self.rng.random()
        if not self.sent or draw < 0.3:
            return [self.ask("transfer", self.fresh_payment())]
        if draw < 0.45:
            params = self.fresh_payment()
            return self.at_two_nodes(params, self.same(params))
        if draw < 0.55:
            params = self.fresh_payment()
            return self.at_two_nodes(params, self.altered(params))
        old = self.rng.choice(self.sent)
        if draw < 0.7:
            return [self.ask("transfer", self.same(old))]
        if draw < 0.78:
            return [self.ask("transfer", self.altered(old))]
        if draw < 0.88:
            items = [self.same(old), self.fresh_payment()]
            self.rng.shuffle(items)
            return [self.ask("batch", {"mode": self.rng.choice(("atomic", "independent")),
                                       "items": items})]
        return [self.ask("read-payment", {"id": self.recent_id(), **self.fresh()})]

"""What the workloads share: accounts, money, ids, skewed choice."""

import bisect
import collections
import itertools
import uuid

from ..client import Ask

CURRENCY = "EUR"
RECENT = 400


class Zipf:
    """Indices 0..count-1, the k-th with weight 1 / (k + 1)^skew."""

    def __init__(self, rng, count, skew):
        self.rng = rng
        self.sums = list(itertools.accumulate(1 / (k + 1) ** skew for k in range(count)))

    def next(self):
        return bisect.bisect_left(self.sums, self.rng.random() * self.sums[-1])


class Base:
    """next() gives the Asks to be offered together; setup() stages of Asks that must all
    succeed."""

    def __init__(self, rng, nodes, rate, time_s):
        self.rng = rng
        self.nodes = nodes
        self.rate = rate
        self.time_s = time_s
        self.attempted = {}  # payment id -> None, in order
        self.recent = collections.deque(maxlen=RECENT)  # ids
        self.again = collections.deque()  # Asks to be sent anew, of unknown fate
        self.highest_seq = 0

    # ---- requests ------------------------------------------------------------------------------

    def ask(self, f, value, **more):
        return Ask(f, value, done=self.finished, **more)

    def new_id(self):
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def attempt(self, identity):
        self.attempted[identity] = None
        self.recent.append(identity)

    def payment(self, debit, credit, amount, **more):
        """Params of a payment under a fresh id."""
        identity = self.new_id()
        self.attempt(identity)
        return {"id": identity, "debit": debit, "credit": credit, "amount": str(amount), **more}

    def payment_of_legs(self, legs, **more):
        identity = self.new_id()
        self.attempt(identity)
        return {"id": identity, "legs": [
            {"debit": d, "credit": c, "amount": str(a)} for d, c, a in legs], **more}

    def fresh(self):
        """How fresh a read has to be: mostly linearizable, sometimes min_seq or stale."""
        draw = self.rng.random()
        if draw < 0.15:
            return {"stale": True}
        if draw < 0.35 and self.highest_seq:
            return {"min_seq": self.highest_seq}
        return {}

    def recent_id(self):
        return self.rng.choice(self.recent)

    # ---- answers -------------------------------------------------------------------------------

    def finished(self, ask, record):
        """Called with the record of each operation, None where it was never sent."""
        if record is None:
            return
        answer = record.get("result") or record.get("error")
        self.highest_seq = max(self.highest_seq, answer.get("seq") or 0)
        if record["type"] == "info" and self.rng.random() < 0.7:
            self.again.append(ask)

    def resend(self):
        """A request of unknown fate once more, on any node; None where there is none."""
        if not self.again:
            return None
        ask = self.again.popleft()
        return self.ask(ask.f, ask.value, session=ask.session)

    # ---- the common setup ----------------------------------------------------------------------

    def money(self, accounts, amount, currency=CURRENCY):
        """Stages: the currency, a settlement account, accounts, and money in each."""
        return [
            [self.ask("create-currency", {"code": currency, "scale": 2})],
            [self.ask("open-account", {"id": "bank", "currency": currency,
                                       "overdraft": "unlimited"})]
            + [self.ask("open-account", {"id": a, "currency": currency}) for a in accounts],
            [self.ask("transfer", self.payment("bank", a, amount)) for a in accounts if amount],
        ]

    def setup(self):
        raise NotImplementedError

    def next(self):
        raise NotImplementedError

    def final_pages(self):
        """Further lists to be read whole at the end on every node: (f, params)."""
        return []

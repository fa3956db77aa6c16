"""The main workload: payments of every form over skewed accounts, reads in all modes, retries."""

from .base import CURRENCY, Base, Zipf

NAME = "transfer"
ACCOUNTS = 40
FIRST_MONEY = 20_000
AMOUNT_MAX = 400
RESEND_RECENT = 300
METADATA_BYTES = 3_500
HUGE = 10**30  # far past 2^53 and 2^64
PAST = "2000-01-01T00:00:00Z"


class Load(Base):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.zipf = Zipf(self.rng, ACCOUNTS, 0.9)
        self.sent = []  # (f, params) of requests that may be repeated
        self.references = 0

    def setup(self):
        stages = self.money([f"acct:{k}" for k in range(ACCOUNTS)], FIRST_MONEY)
        stages[1] += [self.ask("open-account", {"id": f"vault:{k}", "currency": CURRENCY,
                                                "overdraft": "unlimited"}) for k in range(2)]
        stages[1].append(self.ask("open-account", {
            "id": "shop", "currency": CURRENCY, "normal": "debit", "overdraft": "5000"}))
        return stages

    def account(self):
        if self.rng.random() < 0.005:
            return "nobody"
        return f"acct:{self.zipf.next()}"

    def pair(self):
        debit, credit = self.account(), self.account()
        while credit == debit and self.rng.random() < 0.98:
            credit = self.account()
        return debit, credit

    def extras(self):
        draw = self.rng.random()
        if draw < 0.03:
            self.references += self.rng.random() < 0.8  # a fifth meets one that is taken
            return {"reference": f"invoice {self.references}"}
        if draw < 0.035:
            return {"valid_until": PAST}
        if draw < 0.06:
            return {"metadata": {"order": self.references, "note": "ä\u2028"}}
        if draw < 0.16:
            # Large ones make raft's log grow, so that snapshots and copies of the state are common.
            return {"metadata": {"text": self.rng.choice("abcdef") * METADATA_BYTES}}
        return {}

    def single(self):
        draw = self.rng.random()
        if draw < 0.02:
            vaults = ["vault:0", "vault:1"]
            self.rng.shuffle(vaults)
            return self.payment(*vaults, HUGE + self.rng.randrange(HUGE))
        if draw < 0.05:
            return self.payment("shop", self.account(), self.rng.randint(1, 900))
        return self.payment(*self.pair(), self.rng.randint(1, AMOUNT_MAX), **self.extras())

    def several(self):
        legs = [(*self.pair(), self.rng.randint(1, AMOUNT_MAX))
                for _ in range(self.rng.randint(2, 4))]
        return self.payment_of_legs(legs, **self.extras())

    def batch(self):
        items = [self.several() if self.rng.random() < 0.2 else self.single()
                 for _ in range(self.rng.randint(2, 6))]
        return {"mode": self.rng.choice(("atomic", "independent")), "items": items}

    def write(self):
        if self.sent and self.rng.random() < 0.06:
            f, value = self.rng.choice(self.sent[-RESEND_RECENT:])
        else:
            draw = self.rng.random()
            f, value = ("batch", self.batch()) if draw < 0.12 else (
                "transfer", self.several() if draw < 0.24 else self.single())
            self.sent.append((f, value))
        return self.ask(f, value)

    def next(self):
        again = self.resend()
        if again:
            return [again]
        draw = self.rng.random()
        if draw < 0.72:
            return [self.write()]
        if draw < 0.88:
            return [self.ask("read-account", {"id": self.account(), **self.fresh()})]
        if draw < 0.96:
            return [self.ask("read-payment", {"id": self.recent_id(), **self.fresh()})]
        return [self.ask("totals", self.fresh())]




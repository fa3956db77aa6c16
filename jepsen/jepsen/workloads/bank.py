"""Few accounts, much contention, and reads of all accounts at once: does money stay constant?"""

from .base import Base

NAME = "bank"
ACCOUNTS = 8
FIRST_MONEY = 2_000
AMOUNT_MAX = 300


class Load(Base):
    def setup(self):
        return self.money([f"acct:{k}" for k in range(ACCOUNTS)], FIRST_MONEY)

    def next(self):
        again = self.resend()
        if again:
            return [again]
        draw = self.rng.random()
        if draw < 0.75:
            debit, credit = self.rng.sample(range(ACCOUNTS), 2)
            return [self.ask("transfer", self.payment(f"acct:{debit}", f"acct:{credit}",
                                                      self.rng.randint(1, AMOUNT_MAX)))]
        if draw < 0.93:
            return [self.ask("list-accounts", {"limit": 1000, **self.fresh()})]
        return [self.ask("totals", self.fresh())]

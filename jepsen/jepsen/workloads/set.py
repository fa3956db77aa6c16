"""Payments as elements of a set: each into one account under an id of its own; is every one
there?"""

from .base import Base

NAME = "set"
LIMIT = 30


class Load(Base):
    def setup(self):
        return self.money(["set"], 0)

    def next(self):
        again = self.resend()
        if again:
            return [again]
        if self.rng.random() < 0.92:
            return [self.ask("transfer", self.payment("bank", "set", 1))]
        return [self.ask("list-payments", {"account": "set", "limit": LIMIT, **self.fresh()})]

    def final_pages(self):
        return [("list-payments", {"account": "set", "limit": 1000})]

"""Accounts as registers: each payment steps a balance and answers its new value; reads must fit.

A key is used for a bounded number of operations, and left when the fate of some is unknown, so
that the
exact search stays small; several are in use at a time.
"""

from .base import CURRENCY, Base

NAME = "register"
KEYS_AT_ONCE = 12
OPERATIONS_PER_KEY = 180
STEP_MAX = 9
INFOS_MAX = 1  # payments of unknown fate; then the key is given up
SPARE_KEYS = 20 * KEYS_AT_ONCE


class Load(Base):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        total = int(self.rate * self.time_s * 1.3)
        count = total // OPERATIONS_PER_KEY + KEYS_AT_ONCE + SPARE_KEYS
        self.keys = [f"reg:{k}" for k in range(count)]
        self.current = {key: 0 for key in self.keys[:KEYS_AT_ONCE]}
        self.infos = {}
        self.unused = self.keys[:KEYS_AT_ONCE - 1:-1]

    def setup(self):
        stages = self.money([], 0)
        stages.append([self.ask("open-account", {"id": key, "currency": CURRENCY})
                       for key in self.keys])
        return stages

    def key(self):
        key = self.rng.choice(list(self.current))
        self.current[key] += 1
        if self.current[key] >= OPERATIONS_PER_KEY:
            self.leave(key)
        return key

    def leave(self, key):
        if self.unused and key in self.current:
            del self.current[key]
            self.current[self.unused.pop()] = 0

    def next(self):
        key = self.key()
        draw = self.rng.random()
        if draw < 0.5:
            return [self.ask("read-account", {"id": key})]
        step = self.rng.randint(1, STEP_MAX)
        if draw < 0.85:
            return [self.ask("transfer", self.payment("bank", key, step))]
        return [self.ask("transfer", self.payment(key, "bank", step))]

    def finished(self, ask, record):
        # Nothing is sent again: each operation on a key counts.
        if record is not None and record["type"] == "info" and ask.f == "transfer":
            for key in {ask.value["debit"], ask.value["credit"]} - {"bank"}:
                self.infos[key] = self.infos.get(key, 0) + 1
                if self.infos[key] > INFOS_MAX:
                    self.leave(key)

"""Sessions that wander between the nodes and carry min_seq: do they see what they have seen?"""

from .base import Base

NAME = "session"
SESSIONS = 40
ACCOUNTS = 10
FIRST_MONEY = 50_000


class Load(Base):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = {f"s{k}": 0 for k in range(SESSIONS)}
        self.at = {}
        self.idle = list(self.seen)

    def setup(self):
        return self.money([f"acct:{k}" for k in range(ACCOUNTS)], FIRST_MONEY)

    def next(self):
        if not self.idle:
            return []
        session = self.idle.pop(self.rng.randrange(len(self.idle)))
        others = [node for node in self.nodes if node != self.at.get(session)]
        node = self.rng.choice(others if self.rng.random() < 0.85 else self.nodes)
        draw = self.rng.random()
        fresh = {"min_seq": self.seen[session]} if self.seen[session] else {}
        if draw < 0.45:
            debit, credit = self.rng.sample(range(ACCOUNTS), 2)
            f, value = "transfer", self.payment(f"acct:{debit}", f"acct:{credit}",
                                                self.rng.randint(1, 300))
        elif draw < 0.8:
            f, value = "read-account", {"id": f"acct:{self.rng.randrange(ACCOUNTS)}", **fresh}
        elif draw < 0.9:
            f, value = "read-payment", {"id": self.recent_id(), **fresh}
        else:
            f, value = "list-accounts", {"limit": 1000, **fresh}
        return [self.ask(f, value, node=node, session=session)]

    def finished(self, ask, record):
        session = ask.session
        if session is None:  # the setup
            return
        self.idle.append(session)
        if record is None:
            return
        self.at[session] = record["node"]
        if record["type"] == "ok":
            answer = record.get("result") or record.get("error")
            self.seen[session] = max(self.seen[session], answer.get("seq") or 0)

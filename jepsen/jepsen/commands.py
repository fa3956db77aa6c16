"""Which command took which seq: gathered from all that anybody was told.

A payment is known from the answer to the request that made it, from a replay, or from a later read.
Each such testimony names the seq; checkers/idempotency.py compares the testimonies with one
another.
"""

from .model import payment_fields


class Attempt:
    """One request that could have made a payment: a payment.create, or an item of a batch."""

    __slots__ = ("op", "item", "params", "_fields")

    def __init__(self, op, item, params):
        self.op = op
        self.item = item  # position in the batch, None for payment.create
        self.params = params
        self._fields = None

    @property
    def fields(self):
        if self._fields is None:
            self._fields = payment_fields(self.params)
        return self._fields

    @property
    def atomic(self):
        return self.item is not None and self.op.value["mode"] == "atomic"


class Testimony:
    """One answer that says what became of a payment."""

    __slots__ = ("op", "id", "seq", "term", "time", "code", "param", "replayed", "balances",
                 "stored", "attempt")

    def __init__(self, op, identity, answer, code, attempt=None, stored=None):
        self.op = op
        self.id = identity
        self.seq = answer["seq"]
        self.term = answer.get("term")
        self.time = answer.get("time")
        self.code = code
        self.param = answer.get("param")
        self.replayed = answer.get("replayed")  # None: it comes from a read
        self.balances = answer.get("balances")
        self.attempt = attempt
        self.stored = stored  # payment.get's answer


class Command:
    """One recorded command. kind: currency, account, payment."""

    __slots__ = ("seq", "kind", "id", "params", "code", "term", "time", "testimonies", "attempt")

    def __init__(self, seq, kind, identity, params, code):
        self.seq = seq
        self.kind = kind
        self.id = identity
        self.params = params
        self.code = code
        self.term = self.time = self.attempt = None
        self.testimonies = ()


def outcomes(op):
    """(item, identity, params, result, error) of each payment that the operation asked for.

    Of a batch without an answer, result and error are None."""
    if op.f == "transfer":
        yield None, op.value["id"].lower(), op.value, op.result, op.error
        return
    answers = (op.result or {}).get("results")
    for k, params in enumerate(op.value["items"]):
        answer = answers[k] if answers else {"error": op.error}
        error = answer.get("error")
        if answers and error is not None:
            error = error["data"]
        yield k, params["id"].lower(), params, answer.get("result"), error


class Commands:
    """by_seq: seq -> [Command], one unless something is wrong. payments: id -> Command.
    attempts: id -> [Attempt]. testimonies: id -> [Testimony]. absent: id -> [Op] of not_found."""

    def __init__(self, run):
        self.attempts = {}
        self.testimonies = {}
        self.absent = {}
        self.by_seq = {}
        self.payments = {}
        self.accounts = {}  # id -> params of its opening
        self.strangers = []  # testimonies about payments that nobody asked for
        self.unexplained = []  # (Testimony, text): what is stored is not what was asked
        for op in run.ops:
            self._gather(op)
        self._settle()

    @property
    def last_seq(self):
        return max(self.by_seq, default=0)

    def _gather(self, op):
        if op.f in ("transfer", "batch"):
            self._gather_payments(op)
        elif op.type != "ok":
            return
        elif op.f == "read-payment":
            if op.result is None:
                self.absent.setdefault(op.value["id"].lower(), []).append(op)
            else:
                self._read(op, op.result)
        elif op.f == "list-payments" and op.result is not None:
            for row in op.result["payments"]:
                self._read(op, row)
        elif op.f in ("create-currency", "open-account") and op.result is not None:
            self._gather_setup(op)

    def _gather_payments(self, op):
        for item, identity, params, result, error in outcomes(op):
            attempt = Attempt(op, item, params)
            self.attempts.setdefault(identity, []).append(attempt)
            if op.type != "ok":
                continue
            if result is not None:
                self._testify(Testimony(op, identity, result, result["status"], attempt))
            elif error.get("recorded"):
                self._testify(Testimony(op, identity, error, error["code"], attempt))

    def _read(self, op, row):
        code = "posted" if row["status"] == "posted" else row["error"]["data"]["code"]
        self._testify(Testimony(op, row["id"].lower(), row, code, stored=row))

    def _testify(self, testimony):
        self.testimonies.setdefault(testimony.id, []).append(testimony)

    def _gather_setup(self, op):
        kind = "currency" if op.f == "create-currency" else "account"
        identity = op.value["code" if kind == "currency" else "id"]
        if kind == "account":
            self.accounts[identity] = op.value
        answer = op.result
        known = self.by_seq.setdefault(answer["seq"], [])
        for command in known:
            if (command.kind, command.id) == (kind, identity):
                return
        command = Command(answer["seq"], kind, identity, op.value, "created")
        command.term, command.time = answer.get("term"), answer.get("time")
        command.testimonies = (Testimony(op, identity, answer, "created"),)
        known.append(command)

    def _settle(self):
        for identity, testimonies in self.testimonies.items():
            if identity not in self.attempts:
                self.strangers.extend(testimonies)
                continue
            first = min(testimonies, key=_trust)
            command = Command(first.seq, "payment", identity, None, first.code)
            command.term, command.time = first.term, first.time
            command.testimonies = testimonies
            self.payments[identity] = command
            self.by_seq.setdefault(first.seq, []).append(command)
        for command in self.payments.values():
            command.attempt = self._winner(command)
            command.params = command.attempt.params

    def same_fields(self, one, other):
        return one == other or self.normalised(one) == self.normalised(other)

    def normalised(self, fields):
        legs = []
        for leg in fields.legs:
            account = self.accounts.get(leg.debit)
            if leg.currency is None and account is not None:
                leg = leg._replace(currency=account["currency"])
            legs.append(leg)
        return fields._replace(legs=tuple(legs))

    def _winner(self, command):
        """The attempt that made the payment; among equal ones any that explains the outcome."""
        attempts = self.attempts[command.id]
        if len(attempts) == 1:
            return attempts[0]
        for testimony in command.testimonies:
            if testimony.replayed is False:
                return testimony.attempt
        candidates = attempts
        stored = next((t for t in command.testimonies if t.stored is not None), None)
        if stored is not None:
            fields = payment_fields(stored.stored)
            candidates = [a for a in attempts if self.same_fields(a.fields, fields)]
            if not candidates:
                text = "what is stored equals none of the requests under this id"
                self.unexplained.append((stored, text))
                return attempts[0]
        else:
            replay = command.testimonies[0].attempt
            if replay is not None:
                candidates = [a for a in attempts if self.same_fields(a.fields, replay.fields)]
        possible = [a for a in candidates if a.op.type != "fail"] or candidates
        return min(possible, key=lambda a: self._fit(command, a))

    def _fit(self, command, attempt):
        """Small is likely: in a batch if its neighbours there are neighbours in the order, too."""
        if attempt.item is None:
            return 2 if command.code == "batch_aborted" else 1
        items = attempt.op.value["items"]
        for k in (attempt.item - 1, attempt.item + 1):
            neighbour = self.payments.get(items[k]["id"].lower()) if 0 <= k < len(items) else None
            if neighbour is not None and abs(neighbour.seq - command.seq) == 1:
                return 0
        return 1 if command.code == "batch_aborted" else 2


def _trust(testimony):
    """The answer to the request itself first, then replays, then reads; early ones first."""
    order = 0 if testimony.replayed is False else 1 if testimony.replayed else 2
    return order, testimony.op.index

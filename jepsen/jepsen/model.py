"""The ledger as docs/protocol.md describes it, executable and single-threaded.

Written from the document alone, so that it disagrees where the program does. It knows neither nodes
nor time: whoever replays gives the commands in the order of their seq, with their log time.
"""

import re
from typing import NamedTuple, Optional

AMOUNT_LIMIT = 1 << 126  # amounts, counters and totals stay below

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z\Z")


def time_ns(text):
    """Nanoseconds since 1970 of an RFC 3339 time in Z; leap seconds do not occur."""
    year, month, day, hour, minute, second, fraction = _TIME.match(text).groups()
    years = int(year) - (int(month) <= 2)
    era_day = (years % 400) * 365 + (years % 400) // 4 - (years % 400) // 100
    days = years // 400 * 146097 + era_day
    days += (153 * ((int(month) + 9) % 12) + 2) // 5 + int(day) - 1 - 719468
    seconds = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return seconds * 1_000_000_000 + int((fraction or "").ljust(9, "0"))


class Leg(NamedTuple):
    debit: str
    credit: str
    amount: int
    currency: Optional[str]


class Fields(NamedTuple):
    """What a payment says beside its id; two requests are the same if these are equal."""

    legs: tuple
    valid_until: Optional[int]
    effective_at: Optional[int]
    reference: Optional[str]
    metadata: Optional[str]


def payment_fields(params):
    """The Fields of the params of payment.create, of a batch's item, or of an answer of
    payment.get."""
    legs = params.get("legs")
    if legs is None:
        legs = (params,)
    return Fields(
        tuple(
            Leg(leg["debit"], leg["credit"], int(leg["amount"]), leg.get("currency"))
            for leg in legs
        ),
        time_ns(params["valid_until"]) if "valid_until" in params else None,
        time_ns(params["effective_at"]) if "effective_at" in params else None,
        params.get("reference"),
        repr(params["metadata"]) if "metadata" in params else None,
    )


class Account:
    """Four counters would be the whole truth; nothing is held yet, so there are two."""

    __slots__ = ("id", "currency", "normal", "overdraft", "debits", "credits", "entries",
                 "opened_seq", "payments")

    def __init__(self, identity, currency, normal, overdraft, opened_seq):
        self.id = identity
        self.currency = currency
        self.normal = normal
        self.overdraft = overdraft  # None: unlimited
        self.debits = self.credits = self.entries = 0
        self.opened_seq = opened_seq
        self.payments = []  # ids of posted payments, each once, oldest first

    @property
    def posted(self):
        if self.normal == "credit":
            return self.credits - self.debits
        return self.debits - self.credits

    @property
    def available(self):
        return None if self.overdraft is None else self.posted + self.overdraft


class Payment(NamedTuple):
    """A recorded outcome. rows: for each leg (debit balance, credit balance, debit entry, credit
    entry)."""

    id: str
    seq: int
    fields: Fields
    code: str  # "posted", or why it was refused
    balances: dict  # account -> (posted, available) after the payment
    rows: tuple


class Outcome(NamedTuple):
    code: str
    replayed: bool = False
    recorded: bool = True
    payment: Optional[Payment] = None


class Ledger:
    """All state, and one method per command. Each command that is recorded takes the next seq."""

    def __init__(self):
        self.seq = 0
        self.currencies = {}  # code -> (scale, seq)
        self.accounts = {}  # id -> Account, in order of opening
        self.payments = {}
        self.references = {}
        self.totals = {}  # currency -> posted on either side
        self.accounts_of = {}  # currency -> number of accounts

    def create_currency(self, code, scale):
        known = self.currencies.get(code)
        if known is not None:
            if known[0] != scale:
                return Outcome("already_exists", recorded=False)
            return Outcome("created", replayed=True)
        self.seq += 1
        self.currencies[code] = (scale, self.seq)
        self.totals[code] = 0
        self.accounts_of[code] = 0
        return Outcome("created")

    def open_account(self, params):
        overdraft = params.get("overdraft", "0")
        overdraft = None if overdraft == "unlimited" else int(overdraft)
        normal = params.get("normal", "credit")
        known = self.accounts.get(params["id"])
        if known is not None:
            same = (known.currency, known.normal, known.overdraft) == (
                params["currency"], normal, overdraft)
            if same:
                return Outcome("opened", replayed=True)
            return Outcome("already_exists", recorded=False)
        if params["currency"] not in self.currencies:
            return Outcome("currency_not_found", recorded=False)
        self.seq += 1
        self.accounts[params["id"]] = Account(
            params["id"], params["currency"], normal, overdraft, self.seq)
        self.accounts_of[params["currency"]] += 1
        return Outcome("opened")

    def create_payment(self, identity, fields, now_ns=None):
        """now_ns: the entry's log time; needed only where the payment has valid_until."""
        seen = self._seen(identity, fields)
        if seen is not None:
            return seen
        code = self._judge(fields, now_ns)
        return self._record(identity, fields, code)

    def atomic(self, items, now_ns=None):
        """An atomic batch of (id, Fields): all or none. Returns the outcome of each."""
        refused = self._first_refused(items, now_ns)
        outcomes = []
        for k, (identity, fields) in enumerate(items):
            seen = self._seen(identity, fields)
            if seen is not None:
                outcomes.append(seen)
            elif refused is None:
                outcomes.append(self._record(identity, fields, "posted"))
            else:
                code = refused[1] if k == refused[0] else "batch_aborted"
                outcomes.append(self._record(identity, fields, code))
        return outcomes

    def normalised(self, fields):
        """Leaving out a leg's currency is the same as giving that of its accounts."""
        legs = []
        for leg in fields.legs:
            debit = self.accounts.get(leg.debit)
            known = leg.currency or debit is None
            legs.append(leg if known else leg._replace(currency=debit.currency))
        return fields._replace(legs=tuple(legs))

    def _seen(self, identity, fields):
        known = self.payments.get(identity)
        if known is None:
            return None
        if known.fields != fields and self.normalised(known.fields) != self.normalised(fields):
            return Outcome("idempotency_mismatch", recorded=False)
        return Outcome(known.code, replayed=True, payment=known)

    def _first_refused(self, items, now_ns):
        """(position, code) of the item that refuses the batch, or None. Undoes what it tried."""
        trial, refused = [], None
        for k, (identity, fields) in enumerate(items):
            outcome = self._seen(identity, fields)
            code = outcome.code if outcome else self._judge(fields, now_ns)
            if code != "posted":
                refused = (k, code)
                break
            if outcome is None:
                payment = self._record(identity, fields, code).payment
                trial.append(payment)
        for payment in reversed(trial):
            self._undo(payment)
        return refused

    def _judge(self, fields, now_ns):
        """The documented order: each check runs over all legs before the next begins."""
        sides = [(self.accounts.get(leg.debit), self.accounts.get(leg.credit), leg)
                 for leg in fields.legs]
        if any(debit is None or credit is None for debit, credit, _ in sides):
            return "account_not_found"
        for debit, credit, leg in sides:
            if debit.currency != credit.currency or leg.currency not in (None, debit.currency):
                return "currency_mismatch"
        if any(debit is credit for debit, credit, _ in sides):
            return "same_account"
        if fields.reference is not None and fields.reference in self.references:
            return "reference_conflict"
        if fields.valid_until is not None and now_ns >= fields.valid_until:
            return "payment_expired"
        return self._judge_amounts(sides)

    def _judge_amounts(self, sides):
        debits, credits, totals = {}, {}, {}
        for debit, credit, leg in sides:
            debits[debit.id] = debits.get(debit.id, 0) + leg.amount
            credits[credit.id] = credits.get(credit.id, 0) + leg.amount
            totals[debit.currency] = totals.get(debit.currency, 0) + leg.amount
        accounts = self.accounts
        if (any(accounts[a].debits + n >= AMOUNT_LIMIT for a, n in debits.items())
                or any(accounts[a].credits + n >= AMOUNT_LIMIT for a, n in credits.items())
                or any(self.totals[c] + n >= AMOUNT_LIMIT for c, n in totals.items())):
            return "overflow"
        for identity in debits.keys() | credits.keys():
            account = accounts[identity]
            change = credits.get(identity, 0) - debits.get(identity, 0)
            if account.normal == "debit":
                change = -change
            if change < 0 and account.overdraft is not None and account.available + change < 0:
                return "insufficient_funds"
        return "posted"

    def _record(self, identity, fields, code):
        self.seq += 1
        balances, rows = {}, []
        if code == "posted":
            rows = [self._post(leg) for leg in fields.legs]
            for leg in fields.legs:
                for side in (leg.debit, leg.credit):
                    account = self.accounts[side]
                    if side not in balances:
                        account.payments.append(identity)
                    balances[side] = (account.posted, account.available)
            if fields.reference is not None:
                self.references[fields.reference] = identity
        payment = Payment(identity, self.seq, fields, code, balances, tuple(rows))
        self.payments[identity] = payment
        return Outcome(code, payment=payment)

    def _post(self, leg):
        debit, credit = self.accounts[leg.debit], self.accounts[leg.credit]
        debit.debits += leg.amount
        debit.entries += 1
        debit_row = (debit.posted, debit.entries)
        credit.credits += leg.amount
        credit.entries += 1
        self.totals[debit.currency] += leg.amount
        return debit_row[0], credit.posted, debit_row[1], credit.entries

    def _undo(self, payment):
        for leg in payment.fields.legs:
            debit, credit = self.accounts[leg.debit], self.accounts[leg.credit]
            debit.debits -= leg.amount
            credit.credits -= leg.amount
            debit.entries -= 1
            credit.entries -= 1
            self.totals[debit.currency] -= leg.amount
        for identity in payment.balances:
            self.accounts[identity].payments.pop()
        if payment.fields.reference is not None:
            del self.references[payment.fields.reference]
        del self.payments[payment.id]
        self.seq -= 1

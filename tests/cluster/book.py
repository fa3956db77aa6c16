"""What the tests of money share: fresh currencies and accounts, streams of payments, and the checks
that every run ends with."""
import asyncio
import itertools
import random
import time

from client import CONNECT_ERRORS, Client, Lost, Payer, Refused, RpcError, payment
from cluster import slow

_numbers = itertools.count(1)


def fresh(prefix):
    """A name that no other test of this run uses."""
    return f"{prefix}{next(_numbers)}"


def fresh_currency():
    return f"T{next(_numbers):04d}X"


class Book:
    """A currency of its own with a bank that may go as deep as it likes, and customers."""

    def __init__(self, currency, bank):
        self.currency = currency
        self.bank = bank

    @classmethod
    async def make(cls, client, scale=2):
        book = cls(fresh_currency(), fresh("bank-"))
        await client.settled("currency.create", {"code": book.currency, "scale": scale})
        await book.open(client, book.bank, overdraft="unlimited")
        return book

    async def open(self, client, account, **more):
        return await client.settled("account.open",
                                    {"id": account, "currency": self.currency, **more})

    async def customer(self, client, amount=0, **more):
        """A fresh account with this much money in it."""
        account = fresh("acct-")
        await self.open(client, account, **more)
        if amount:
            await client.settled("payment.create", payment(self.bank, account, amount))
        return account

    async def totals(self, client, **mode):
        """The currency's row of ledger.totals; checks that it balances."""
        result = await client.call("ledger.totals", mode)
        row = next(row for row in result["totals"] if row["currency"] == self.currency)
        assert row["debits_posted"] == row["credits_posted"], f"totals differ: {row}"
        assert row.get("debits_held", "0") == row.get("credits_held", "0"), row
        return row


async def posted(client, account, **mode):
    return int((await client.call("account.get", {"id": account, **mode}))["posted"])


async def history(client, account, limit=1000, **mode):
    """All payments of an account, newest first, page by page."""
    rows, cursor = [], None
    while True:
        params = {"account": account, "limit": limit, **mode}
        if cursor is not None:
            params["cursor"] = cursor
        page = await client.call("payment.list", params, 20)
        rows += page["payments"]
        cursor = page["cursor"]
        if cursor is None:
            return rows


async def pipelined(client, method, many, window=256, timeout_s=30):
    """The whole replies to many requests, in their order, with so many on their way at once."""
    gate = asyncio.Semaphore(window)

    async def one(params):
        async with gate:
            return await client.reply(method, params, timeout_s)
    return await asyncio.gather(*(one(params) for params in many))


class Stream:
    """Payments through all nodes, pipelined, each retried with its id until its fate is certain.

    One Payer per node, each with several lanes. All accounts may be overdrawn, so that every
    payment must be posted, and exactly once.
    """

    LANE_WINDOW = 12

    def __init__(self, cluster, book, accounts, rate=120):
        self.cluster = cluster
        self.book = book
        self.accounts = accounts
        self.period_s = self.LANE_WINDOW / rate  # so that a payer makes about `rate` a second
        self.done = {}       # id -> (params, result)
        self.newest_term = 0
        self.newest_term_at = 0.0
        self.problems = []
        self.stopping = False
        self.payers = [Payer(cluster, number, timeout_s=6) for number in cluster.nodes]
        self.tasks = []

    def start(self):
        for payer in self.payers:
            for _ in range(self.LANE_WINDOW):
                self.tasks.append(asyncio.ensure_future(self._lane(payer)))

    async def _lane(self, payer):
        while not self.stopping:
            debit, credit = random.sample(self.accounts, 2)
            params = payment(debit, credit, random.randint(1, 10_000))
            begin = time.monotonic()
            try:
                result = await payer.pay(params)
                self._acknowledged(params, result)
            except (Refused, AssertionError) as error:
                self.problems.append(f"{params['id']}: {error}")
            spent = time.monotonic() - begin
            await asyncio.sleep(max(0.0, self.period_s * random.uniform(0.8, 1.2) - spent))

    def _acknowledged(self, params, result):
        self.done[params["id"]] = (params, result)
        if result["term"] > self.newest_term and not result["replayed"]:
            self.newest_term = result["term"]
            self.newest_term_at = time.monotonic()

    async def flowing(self, count, seconds=20):
        """Waits for so many further acknowledgements."""
        wanted = len(self.done) + count
        deadline = time.monotonic() + slow(seconds)
        while len(self.done) < wanted:
            assert time.monotonic() < deadline, \
                f"{len(self.done)} payments acknowledged, waited for {wanted}"
            await asyncio.sleep(0.01)

    async def term_above(self, term, seconds=20):
        """Waits for a payment made in a later term; returns when it was acknowledged."""
        deadline = time.monotonic() + slow(seconds)
        while self.newest_term <= term:
            assert time.monotonic() < deadline, f"no payment in a term above {term}"
            await asyncio.sleep(0.002)
        return self.newest_term_at

    async def spread(self):
        """Sends every payer back to its own node, in the middle of what it is doing."""
        for payer in self.payers:
            await payer.go_home()

    async def stop(self):
        """Ends the stream: what is on its way is brought to its end first."""
        self.stopping = True
        await asyncio.gather(*self.tasks)
        for payer in self.payers:
            await payer.close()
        assert not self.problems, f"{len(self.problems)} problems, first: {self.problems[0]}"

    @property
    def retries(self):
        return sum(payer.retries for payer in self.payers)


async def check_stream(cluster, client, stream):
    """Everything acknowledged is there exactly once, nothing else is, and the books balance."""
    expected = dict.fromkeys(stream.accounts, 0)
    entries = dict.fromkeys(stream.accounts, 0)
    gross = 0
    for params, _ in stream.done.values():
        amount = int(params["amount"])
        gross += amount
        for account, sign in ((params["debit"], -1), (params["credit"], 1)):
            expected[account] += sign * amount
            entries[account] += 1
    seen = {}
    for account in stream.accounts:
        state = await client.call("account.get", {"id": account})
        assert int(state["posted"]) == expected[account], \
            f"{account}: {state['posted']} posted, acknowledged were {expected[account]}"
        assert state["entries"] == entries[account], \
            f"{account}: {state['entries']} entries, acknowledged were {entries[account]}"
        rows = await history(client, account)
        assert len({row["id"] for row in rows}) == len(rows) == entries[account], \
            f"{account}: the history has {len(rows)} rows, wanted {entries[account]}"
        for row in rows:
            seen[row["id"]] = row["seq"]
    assert seen.keys() == stream.done.keys(), \
        f"{len(stream.done.keys() - seen.keys())} acknowledged payments are in no history, " \
        f"{len(seen.keys() - stream.done.keys())} are there that nobody acknowledged"
    for one, (_, result) in stream.done.items():
        assert seen[one] == result["seq"], f"{one}: seq {seen[one]}, was {result['seq']}"
    assert len(set(seen.values())) == len(seen), "two payments have the same seq"
    row = await stream.book.totals(client)
    assert int(row["debits_posted"]) == gross, f"{row} and {gross} acknowledged"
    await check_cluster(cluster)


async def check_cluster(cluster):
    """Digests equal on all nodes; no void entry, no outcome that was not the expected one."""
    seq, digest = await cluster.wait_equal()
    for name in ("payledger_outcome_differences_total", "payledger_entries_void_total"):
        total = await cluster.metric_sum(name)
        assert total == 0, f"{name} is {total}"
    return seq, digest


class Pulse:
    """A quiet client beside a test: pays every few milliseconds and notes how long it took.

        async with Pulse(cluster, node, book, a, b) as pulse: ...
        pulse.check(2.0)
    """

    COUNT_MIN = 5

    def __init__(self, cluster, node, debit, credit, interval_s=0.02):
        self.cluster = cluster
        self.node = node
        self.debit = debit
        self.credit = credit
        self.interval_s = interval_s
        self.latencies = []  # (when it began, seconds)
        self.errors = []
        self.task = None
        self.stopping = False

    async def __aenter__(self):
        self.client = await Client.open(self.cluster.url(self.node), self.cluster.ssl_context())
        self.task = asyncio.ensure_future(self._beat())
        return self

    async def __aexit__(self, *_):
        # What was over at once shall not go unseen.
        for _ in range(int(slow(100))):
            if len(self.latencies) >= self.COUNT_MIN:
                break
            await asyncio.sleep(0.1)
        # A flag, not cancel(): wait_for of this Python may swallow that at the wrong moment.
        self.stopping = True
        await self.task
        await self.client.close()

    async def _beat(self):
        while not self.stopping:
            begin = time.monotonic()
            try:
                await self.client.call("payment.create", payment(self.debit, self.credit, 1))
            except (RpcError, Lost, *CONNECT_ERRORS) as error:
                self.errors.append(repr(error))
                await asyncio.sleep(0.2)
            self.latencies.append((begin, time.monotonic() - begin))
            await asyncio.sleep(self.interval_s)

    def percentile(self, percent, begin=0.0, end=float("inf")):
        """Milliseconds; of the payments begun in this span of the monotonic clock."""
        values = sorted(took for at, took in self.latencies if begin <= at < end)
        if not values:
            return float("nan")
        return 1000 * values[min(len(values) - 1, len(values) * percent // 100)]

    def check(self, seconds_max):
        """No error, and none waited longer than this."""
        assert not self.errors, f"another client was disturbed: {self.errors[:3]}"
        count = len(self.latencies)
        assert count >= self.COUNT_MIN, f"only {count} payments went through"
        slowest = max(took for _, took in self.latencies)
        assert slowest <= slow(seconds_max), f"another client waited {slowest:.2f} s"

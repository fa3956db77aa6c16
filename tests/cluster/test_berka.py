"""Real input: 49,102 transactions of a bank, replayed through all nodes, against its balances."""
import asyncio
import collections
import csv
import gzip
import os
import time
import uuid
from decimal import Decimal

from book import Book, check_cluster, pipelined
from client import Payer, leg
from harness import TREE, Skip, case

DATA = os.environ.get("PAYLEDGER_DATA", os.path.join(os.path.dirname(TREE), "shared", "data"))
FILE = os.path.join(DATA, "berka-trans.csv.gz")
NAMESPACE = uuid.UUID("7b1e9b0a-9f5c-4d53-8a43-3d4f0f6f2c11")
BATCH_ITEMS = 500
DAYS, DAYS_MIN, TOLERANCE = 39_960, 39_900, 50  # account-days; haleru, hundredths of a crown
SETTLEMENT = {"VKLAD": "cash", "VYBER": "cash", "VYBER KARTOU": "card", "": "interest-and-fees"}


def read_rows():
    with gzip.open(FILE, "rt", encoding="ascii", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def minor(text):
    """Crowns with two decimals as haleru, exactly."""
    value = Decimal(text) * 100
    assert value == int(value), text
    return int(value)


def customer(row):
    return f"customer-{row['account_id']}"


def partner(row):
    """The settlement account on the other side of a row."""
    if row["operation"].startswith("PREVOD"):
        return f"bank-{row['bank']}-{row['account']}"
    return SETTLEMENT[row["operation"]]


def as_payment(row):
    sides = (partner(row), customer(row))
    debit, credit = sides if row["type"] == "PRIJEM" else sides[::-1]
    one = uuid.uuid5(NAMESPACE, row["trans_id"])
    return {"id": str(one), "legs": [leg(debit, credit, minor(row["amount"]))],
            "reference": f"berka-{row['trans_id']}"}


class Lane:
    """The rows of a third of the customers, in their order, through one node after another."""

    def __init__(self, cluster, number, rows):
        self.payer = Payer(cluster, number, timeout_s=20)
        self.batches = [rows[at:at + BATCH_ITEMS] for at in range(0, len(rows), BATCH_ITEMS)]
        self.after = {}  # (customer, date) -> balance after the last row of the day
        self.sent = 0

    async def batch(self, rows):
        """Sends a batch until every item of it is posted."""
        params = {"mode": "independent", "items": [as_payment(row) for row in rows]}
        while True:
            result = await self.payer.settle("payment.batch", params)
            errors = [one["error"] for one in result["results"] if "error" in one]
            for error in errors:
                data = error["data"]
                assert data["code"] == "unknown" or \
                    (data["retryable"] and data["recorded"] is False), error
            if not errors:
                return result["results"]
            await asyncio.sleep(0.05)

    async def run(self):
        for rows in self.batches:
            results = await self.batch(rows)
            for row, one in zip(rows, results):
                balance = next(int(b["posted"]) for b in one["result"]["balances"]
                               if b["account"] == customer(row))
                self.after[customer(row), row["date"]] = balance
            self.sent += len(rows)
        await self.payer.close()


async def replay(run, cluster, rows):
    lanes = [Lane(cluster, number, [row for row in rows
                                    if int(row["account_id"]) % len(cluster.nodes) == number - 1])
             for number in cluster.nodes]
    tasks = [asyncio.ensure_future(lane.run()) for lane in lanes]
    while sum(lane.sent for lane in lanes) < len(rows) * 2 // 5:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)
    leader = await cluster.leader() or 1
    cluster.kill(leader)
    await asyncio.sleep(1.5)
    cluster.start(leader)
    await asyncio.gather(*tasks)
    run.note(f"node {leader}, the leader, was killed on the way; "
             f"{sum(lane.payer.retries for lane in lanes)} batches sent again")
    after = {}
    for lane in lanes:
        after.update(lane.after)
    return after


@case(240)
async def replayed_through_all_nodes(run):
    if not os.path.exists(FILE):
        raise Skip(f"{FILE} is not there (PAYLEDGER_DATA names its folder)")
    rows = read_rows()
    cluster = await run.started(tls=True)
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    balances, gross, named = collections.Counter(), 0, {}
    for row in rows:
        named.setdefault(customer(row), "credit")
        named.setdefault(partner(row), "debit")
        amount = minor(row["amount"])
        sign = 1 if row["type"] == "PRIJEM" else -1
        balances[customer(row)] += sign * amount
        balances[partner(row)] += sign * amount  # debit-normal: rises with what it is debited
        gross += amount
    opened = await pipelined(client, "account.open", [
        {"id": name, "currency": book.currency, "normal": normal, "overdraft": "unlimited"}
        for name, normal in named.items()])
    assert all("result" in reply for reply in opened), opened[0]

    begin = time.monotonic()
    after = await replay(run, cluster, rows)
    took = time.monotonic() - begin
    await cluster.wait_leader()

    bank = collections.defaultdict(list)  # the bank's own balances of each account-day
    for row in rows:
        bank[customer(row), row["date"]].append(minor(row["balance"]))
    assert len(bank) == DAYS == len(after), (len(bank), len(after))
    agreeing = sum(any(abs(after[day] - balance) <= TOLERANCE for balance in of_day)
                   for day, of_day in bank.items())
    run.note(f"{len(rows)} payments in {took:.1f} s ({len(rows) / took:.0f} a second); "
             f"{agreeing} of {len(bank)} account-days agree with the bank")
    assert agreeing >= DAYS_MIN, f"only {agreeing} account-days agree"

    reader = await run.client(cluster, 2)
    states = await pipelined(reader, "account.get", [{"id": name} for name in named])
    for name, reply in zip(named, states):
        assert int(reply["result"]["posted"]) == balances[name], \
            f"{name}: {reply['result']['posted']}, wanted {balances[name]}"
    totals = await book.totals(reader)
    assert int(totals["debits_posted"]) == gross, (totals, gross)
    await check_cluster(cluster)

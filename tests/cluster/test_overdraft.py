"""Ten thousand concurrent requests that would overdraw one account through three nodes."""
import asyncio
import random

from book import Book, check_cluster, history, pipelined
from client import Client, Payer, Refused, payment
from harness import case

PER_NODE_CONNECTIONS = 4


async def replies_of(cluster, many):
    """Sends them all at once through all nodes; each until its fate is definite."""
    payers = [Payer(cluster, number, timeout_s=20)
              for number in cluster.nodes for _ in range(PER_NODE_CONNECTIONS)]

    async def one(index, params):
        try:
            return "posted", await payers[index % len(payers)].pay(params)
        except Refused as refused:
            return "refused", refused.error
    outcomes = await asyncio.gather(*(one(index, params) for index, params in enumerate(many)))
    for payer in payers:
        await payer.close()
    return outcomes


@case(180)
async def never_below_zero(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice = await book.customer(client, 21_000)
    many = [payment(alice, book.bank, 7) for _ in range(10_000)]
    loop = asyncio.get_running_loop()
    begin = loop.time()
    outcomes = await replies_of(cluster, many)
    took = loop.time() - begin
    posted = [result for kind, result in outcomes if kind == "posted"]
    refused = [error for kind, error in outcomes if kind == "refused"]
    assert len(posted) == 3000, f"{len(posted)} of 3,000 affordable payments were posted"
    for error in refused:
        assert error.code == "insufficient_funds" and error.recorded is True, error
    state = await client.call("account.get", {"id": alice})
    assert state["posted"] == "0" and state["available"] == "0", state
    assert state["debits_posted"] == "21000" and state["entries"] == 3001, state
    # Each went through zero only from above: the balances after each, in the order of seq.
    after = [next(int(row["posted"]) for row in result["balances"] if row["account"] == alice)
             for result in sorted(posted, key=lambda result: result["seq"])]
    assert after == list(range(20_993, -1, -7)), after[:5]
    # Every refusal is recorded, under the id that it was asked with.
    clients = [await run.client(cluster, number) for number in cluster.nodes]
    ids = [one["id"] for one, (kind, _) in zip(many, outcomes) if kind == "refused"]
    parts = [ids[at::len(clients)] for at in range(len(clients))]
    replies = await asyncio.gather(*(
        pipelined(reader, "payment.get", [{"id": one, "stale": False} for one in part])
        for reader, part in zip(clients, parts)))
    for part in replies:
        for reply in part:
            assert reply["result"]["status"] == "refused", reply
            assert reply["result"]["error"]["data"]["code"] == "insufficient_funds", reply
    assert len(await history(client, alice)) == 3001
    await check_cluster(cluster)
    run.note(f"10,000 requests in {took:.1f} s: 3,000 posted, {len(refused)} refused and recorded")


@case(180)
async def random_amounts_both_ways(run):
    """Money moves at random between several accounts, in batches: none is ever negative."""
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    accounts = [await book.customer(client, 500) for _ in range(4)]
    randomly = random.Random(7)
    clients = [await Client.open(cluster.url(number)) for number in cluster.nodes]

    def item():
        debit, credit = randomly.sample(accounts, 2)
        return payment(debit, credit, randomly.randint(1, 400))
    batches = [{"mode": randomly.choice(("atomic", "independent")), "items": [
        item() for _ in range(randomly.randint(1, 40))]} for _ in range(run.rounds(300, 3000))]
    parts = [batches[at::len(clients)] for at in range(len(clients))]
    replies = await asyncio.gather(*(pipelined(one, "payment.batch", part, 16)
                                     for one, part in zip(clients, parts)))
    lowest, posted = 0, 0
    for part in replies:
        for reply in part:
            for row in reply["result"]["results"]:
                for balance in row.get("result", {}).get("balances", ()):
                    lowest = min(lowest, int(balance["posted"]))
                    posted += 1
    assert lowest == 0, f"a balance of {lowest}"
    assert posted > 100, "too few were accepted for the test to mean anything"
    states = [await client.call("account.get", {"id": one}) for one in accounts]
    assert sum(int(state["posted"]) for state in states) == 2000, states
    for one in clients:
        await one.close()
    await book.totals(client)
    await check_cluster(cluster)

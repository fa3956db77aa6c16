"""Reads: linearizable, min_seq, stale; the cursor of a history; what an answer's seq means."""
import asyncio

from book import Book, history, posted
from client import RpcError, payment
from harness import case

READS = ("account.get", "account.list", "currency.list", "payment.get", "payment.list",
         "ledger.totals", "ledger.info", "ledger.digest")


async def read_params(client, book):
    alice = await book.customer(client, 5)
    one = payment(book.bank, alice, 1)
    await client.call("payment.create", one)
    return {"account.get": {"id": alice}, "payment.get": {"id": one["id"]},
            "payment.list": {"account": alice}}


@case()
async def every_read_takes_a_mode(run):
    cluster = await run.common()
    client = await run.client(cluster, 2)
    book = await Book.make(client)
    params = await read_params(client, book)
    seq = (await client.call("ledger.info"))["seq"]
    for method in READS:
        base = params.get(method, {})
        for mode in ({}, {"min_seq": seq}, {"min_seq": 1}, {"stale": True}, {"stale": False}):
            result = await client.call(method, {**base, **mode})
            if method != "payment.get":
                assert result["seq"] >= (0 if mode.get("stale") else mode.get("min_seq", seq)), \
                    f"{method} {mode}: seq {result['seq']}"
        for mode in ({"min_seq": -1}, {"min_seq": "5"}, {"min_seq": 1.5}, {"min_seq": 2 ** 53 + 2},
                     {"stale": 1}, {"stale": "true"}):
            await client.refused(method, {**base, **mode}, "field_invalid", number=-32602,
                                 param=next(iter(mode)))
        await client.refused(method, {**base, "stale": True, "min_seq": 1}, "fields_exclusive",
                             number=-32602)


@case(60)
async def an_acknowledged_payment_is_read_on_every_node(run):
    """Linearizable, right after the acknowledgement elsewhere."""
    cluster = await run.common()
    clients = {number: await run.client(cluster, number) for number in cluster.nodes}
    book = await Book.make(clients[1])
    alice = await book.customer(clients[1])
    for count in range(1, run.rounds(60, 600)):
        writer = 1 + count % len(clients)
        await clients[writer].call("payment.create", payment(book.bank, alice, 1))
        seen = await asyncio.gather(*(posted(client, alice) for client in clients.values()))
        assert seen == [count] * len(clients), f"after {count} through node {writer}: {seen}"


@case(60)
async def min_seq_reads_your_writes_anywhere(run):
    cluster = await run.common()
    clients = {number: await run.client(cluster, number) for number in cluster.nodes}
    book = await Book.make(clients[1])
    alice = await book.customer(clients[1])
    for count in range(1, run.rounds(60, 600)):
        writer, reader = 1 + count % len(clients), 1 + (count + 1) % len(clients)
        made = await clients[writer].call("payment.create", payment(book.bank, alice, 1))
        state = await clients[reader].call("account.get", {"id": alice, "min_seq": made["seq"]})
        assert int(state["posted"]) == count and state["seq"] >= made["seq"], state
        page = await clients[reader].call("payment.list", {"account": alice, "limit": 1,
                                                           "min_seq": made["seq"]})
        assert page["payments"][0]["seq"] == made["seq"], page


@case()
async def stale_reads_never_wait(run):
    """Without a majority to ask a stale read answers all the same."""
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice = await book.customer(client, 7)
    await cluster.wait_equal()
    others = [number for number in cluster.nodes if number != 1]
    for number in others:
        cluster.pause(number)
    try:
        begin = asyncio.get_running_loop().time()
        assert await posted(client, alice, stale=True) == 7
        assert asyncio.get_running_loop().time() - begin < 2
        reply = await client.reply("account.get", {"id": alice}, 15)
        error = RpcError(reply["error"])
        assert error.code in ("read_timeout", "no_leader", "leadership_lost"), error
        assert error.retryable is True and error.recorded is False, error
    finally:
        for number in others:
            cluster.resume(number)
    await cluster.wait_leader()
    assert await posted(client, alice) == 7


@case()
async def history_is_newest_first(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client), await book.customer(client)
    made = []
    for amount in range(1, 8):
        made.append((await client.call("payment.create", payment(book.bank, alice, amount)))["seq"])
    await client.refused("payment.create", payment(alice, shop, 1000), "insufficient_funds")
    rows = await history(client, alice)
    assert [row["seq"] for row in rows] == made[::-1], rows
    for row in rows:
        assert row["status"] == "posted" and row["legs"][0]["credit"] == alice, row
    assert await history(client, shop) == []


@case()
async def the_cursor_is_stable(run):
    """Payments made between two pages neither shift nor repeat a row."""
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    made = [(await client.call("payment.create", payment(book.bank, alice, 1)))["seq"]
            for _ in range(25)]
    seen, cursor = [], None
    while True:
        page = await client.call("payment.list", {"account": alice, "limit": 10,
                                                  **({"cursor": cursor} if cursor else {})})
        assert len(page["payments"]) <= 10
        seen += [row["seq"] for row in page["payments"]]
        await client.call("payment.create", payment(book.bank, alice, 1))
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == made[::-1], seen
    exact = await client.call("payment.list", {"account": alice, "limit": len(made) + 3})
    assert len(exact["payments"]) == len(made) + 3 and exact["cursor"] is None, exact["cursor"]


@case()
async def list_bounds(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client, 1)
    for limit in (0, -1, 1001, 1.5, "10", None):
        for method, base in (("payment.list", {"account": alice}), ("account.list", {}),
                             ("currency.list", {})):
            await client.refused(method, {**base, "limit": limit}, "field_invalid", number=-32602,
                                 param="limit")
    for cursor in ("x", "", "-1", "99999999999999999999", 5, True):
        error = await client.refused("payment.list", {"account": alice, "cursor": cursor},
                                     number=-32602, param="cursor")
        assert error.code in ("cursor_invalid", "field_invalid"), f"{cursor!r}: {error}"
    error = await client.refused("payment.list", {"account": "no-such-account"}, "not_found",
                                 number=-32012)
    assert error.data["seq"] > 0, error.data


@case()
async def pages_of_one_read_whole_histories(run):
    client = await run.client(await run.common(), 3)
    book = await Book.make(client)
    alice = await book.customer(client)
    items = [payment(book.bank, alice, 1) for _ in range(500)]
    await client.call("payment.batch", {"mode": "independent", "items": items})
    for limit in (1, 7, 499, 500, 1000):
        rows = await history(client, alice, limit) if limit > 1 else \
            (await client.call("payment.list", {"account": alice, "limit": 1}))["payments"]
        ids = [row["id"] for row in rows]
        wanted = [item["id"] for item in reversed(items)][:1 if limit == 1 else None]
        assert ids == wanted, f"limit {limit}: {len(ids)} rows"

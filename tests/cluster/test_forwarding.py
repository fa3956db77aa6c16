"""Any node takes payments: forwarding to the leader, with three and with five nodes."""
import asyncio

from book import Book, Stream, check_cluster, check_stream, pipelined, posted
from client import Payer, RpcError, payment
from harness import case


@case(60)
async def payments_through_every_node(run):
    cluster = await run.common()
    clients = {number: await run.client(cluster, number) for number in cluster.nodes}
    book = await Book.make(clients[1])
    accounts = {number: await book.customer(clients[1]) for number in cluster.nodes}
    await asyncio.gather(*(
        pipelined(client, "payment.create",
                  [payment(book.bank, accounts[number], 2) for _ in range(300)])
        for number, client in clients.items()))
    for reader in clients.values():
        seen = await asyncio.gather(*(posted(reader, account) for account in accounts.values()))
        assert seen == [600] * len(accounts), seen
    await check_cluster(cluster)


@case()
async def every_method_through_a_follower(run):
    cluster = await run.common()
    leader = await cluster.leader()
    follower = next(number for number in cluster.nodes if number != leader)
    client = await run.client(cluster, follower)
    book = await Book.make(client)
    alice = await book.customer(client, 9)
    assert (await client.call("account.get", {"id": alice}))["posted"] == "9"
    assert len((await client.call("payment.list", {"account": alice}))["payments"]) == 1
    await book.totals(client)
    for mode in ("independent", "atomic"):
        rows = (await client.call("payment.batch", {"mode": mode, "items": [
            payment(book.bank, alice, 1), payment(alice, book.bank, 1)]}))["results"]
        assert all("result" in row for row in rows), rows
    error = await client.refused("payment.create", payment(alice, book.bank, 10),
                                 "insufficient_funds")
    assert error.text == f"{alice} has 9 available, 10 needed", error.text


@case(60)
async def order_is_kept_on_one_connection(run):
    """Payments of one connection that follow each other's replies see each other; a batch too."""
    cluster = await run.common()
    leader = await cluster.leader()
    follower = next(number for number in cluster.nodes if number != leader)
    client = await run.client(cluster, follower)
    book = await Book.make(client)
    first, second = await book.customer(client, 1), await book.customer(client)
    for _ in range(100):  # the one coin can only be paid on once it has arrived
        await client.call("payment.create", payment(first, second, 1))
        first, second = second, first
    assert await posted(client, first) == 1


@case(120)
async def five_nodes_survive_two(run):
    cluster = await run.started(nodes=5)
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    accounts = [await book.customer(client, overdraft="unlimited") for _ in range(6)]
    await client.close()
    stream = Stream(cluster, book, accounts, rate=60)
    stream.start()
    await stream.flowing(200)
    term = stream.newest_term
    leader = await cluster.leader()
    down = [leader, next(number for number in cluster.nodes if number != leader)]
    cluster.kill(*down)
    await stream.term_above(term)
    await stream.flowing(200)
    cluster.start(*down)
    await cluster.wait_leader()
    await stream.spread()
    await stream.flowing(200)
    await stream.stop()
    await check_stream(cluster, await run.client(cluster, down[0]), stream)


@case(60)
async def without_a_majority_nothing_is_acknowledged(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    others = [number for number in cluster.nodes if number != 1]
    cluster.kill(*others)
    many = [payment(book.bank, alice, 1) for _ in range(20)]
    for reply in await pipelined(client, "payment.create", many):
        assert "error" in reply, f"acknowledged by one of {len(cluster.nodes)}: {reply}"
        error = RpcError(reply["error"])
        assert error.code in ("no_leader", "leadership_lost", "unknown"), error
    cluster.start()
    await cluster.wait_leader()
    payer = Payer(cluster, 2)
    for one in many:
        await payer.pay(one)
    await payer.close()
    state = await client.call("account.get", {"id": alice})
    assert state["posted"] == "20" and state["entries"] == 20, state


@case(60)
async def a_paused_leader_is_replaced(run):
    """It is not dead but silent; when it wakes it must not answer from the past."""
    cluster = await run.started()
    leader = await cluster.leader()
    old = await run.client(cluster, leader)
    book = await Book.make(old)
    alice = await book.customer(old, 1)
    cluster.pause(leader)
    successor = await cluster.wait_leader(20)
    client = await run.client(cluster, successor)
    await client.call("payment.create", payment(book.bank, alice, 41))
    cluster.resume(leader)
    # Its first answer after waking: the new balance, or that it can not tell.
    reply = await old.reply("account.get", {"id": alice})
    if "result" in reply:
        assert reply["result"]["posted"] == "42", reply
    else:
        assert RpcError(reply["error"]).retryable, reply
    await cluster.wait_leader()
    assert await posted(old, alice) == 42
    await check_cluster(cluster)

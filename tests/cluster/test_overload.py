"""Full is a normal state: refused early and clearly, before the request costs anything."""
import asyncio

from book import Book, check_cluster, pipelined
from client import Lost, RpcError, payment
from cluster import slow
from harness import case

WINDOW = 1024  # unanswered requests of one connection
CURRENCIES_MAX = 4096
BATCH = 1000  # payments of one request
BATCHES = 240


@case(60)
async def beyond_its_window_a_session_is_overloaded(run):
    cluster = await run.started()
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    book = await Book.make(client)
    alice = await book.customer(client)
    others = [number for number in cluster.nodes if number != leader]
    for number in others:
        cluster.pause(number)  # nothing can be answered now
    many = [payment(book.bank, alice, 1) for _ in range(WINDOW + 100)]
    futures = [await client.send("payment.create", one) for one in many]
    done, _ = await asyncio.wait(futures, timeout=slow(2))
    early = [future.result() for future in done]
    codes = [RpcError(reply["error"]) for reply in early]
    overloaded = [error for error in codes if error.code == "overloaded"]
    assert len(overloaded) == 100, f"{len(overloaded)} of {len(early)} early answers"
    for error in overloaded:
        assert error.number == -32014 and error.retryable is True and error.recorded is False, error
        assert type(error.data["retry_after_ms"]) is int and error.data["retry_after_ms"] > 0
    for number in others:
        cluster.resume(number)
    replies = await asyncio.wait_for(asyncio.gather(*futures), slow(20))
    refused = [one for one, reply in zip(many, replies)
               if "error" in reply and RpcError(reply["error"]).recorded is False]
    await cluster.wait_leader()
    for one in refused:  # surely not executed
        assert "error" in await client.reply("payment.get", {"id": one["id"]}), one
    for reply in await pipelined(client, "payment.create", many):
        assert reply["result"]["status"] == "posted", reply
    state = await client.call("account.get", {"id": alice})
    assert state["entries"] == len(many), state
    await check_cluster(cluster)


def all_posted(result):
    """How many payments a batch has; every one is posted."""
    for row in result["results"]:
        assert row.get("result", {}).get("status") == "posted", row
    return len(result["results"])


@case(120)
async def behind_a_long_queue_the_rest_is_refused_early(run):
    """More than the cluster can do: what it takes is done, what it refuses surely is not, and who
    reads is served. Afterwards all is as before."""
    cluster = await run.started()
    leader = await cluster.leader()
    clients = [await run.client(cluster, number) for number in cluster.nodes for _ in range(2)]
    reader = await run.client(cluster, leader)
    book = await Book.make(reader)
    alice = await book.customer(reader)
    batches = [[payment(book.bank, alice, 1) for _ in range(BATCH)] for _ in range(BATCHES)]
    futures = [await clients[number % len(clients)].send(
        "payment.batch", {"mode": "independent", "items": items})
        for number, items in enumerate(batches)]
    refused, posted = [], 0
    for items, future in zip(batches, futures):
        reply = await asyncio.wait_for(future, slow(20))
        if "error" in reply:
            error = RpcError(reply["error"])
            assert error.code == "overloaded" and error.recorded is False, error
            assert error.data["retry_after_ms"] > 0, error
            refused.append(items)
        else:
            posted += all_posted(reply["result"])
        if len(refused) == 1:
            await reader.call("account.get", {"id": alice})  # in the midst of it
    run.note(f"{len(refused)} of {BATCHES} batches were refused")
    assert refused and posted, f"{len(refused)} refused, {posted} payments posted"
    for items in refused:
        await reader.refused("payment.get", {"id": items[0]["id"]}, recorded=False)
    state = await reader.call("account.get", {"id": alice})
    assert state["entries"] == posted, (state, posted)
    for client in clients:
        await client.settled("payment.create", payment(book.bank, alice, 1))
    for items in refused[:2]:  # the same ids, now that there is room
        result = await reader.settled("payment.batch", {"mode": "independent", "items": items})
        assert all_posted(result) == BATCH
    await check_cluster(cluster)


@case(60)
async def a_configured_window_is_kept(run):
    cluster = await run.started(top="session_requests = 4\nrequest_timeout_ms = 1500")
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    seq = (await client.call("ledger.info"))["seq"]
    # Reads from the future occupy the window until their deadline.
    futures = [await client.send("ledger.info", {"min_seq": seq + 1000}) for _ in range(6)]
    replies = await asyncio.gather(*futures)
    codes = sorted(RpcError(reply["error"]).code for reply in replies)
    assert codes == ["overloaded"] * 2 + ["read_timeout"] * 4, codes
    # Others have windows of their own, and this one is free again.
    assert (await client.call("ledger.info"))["seq"] == seq


@case(90)
async def currencies_have_a_bound(run):
    """Their totals are kept in memory: 4,096 of them, then too_many_currencies."""
    cluster = await run.started()
    client = await run.client(cluster, 1)
    codes = [f"C{number:04d}" for number in range(CURRENCIES_MAX)]
    replies = await pipelined(client, "currency.create",
                              [{"code": code, "scale": 2} for code in codes])
    assert all("result" in reply for reply in replies)
    await client.refused("currency.create", {"code": "MORE", "scale": 2}, "too_many_currencies",
                         number=-32010, recorded=False)
    again = await client.call("currency.create", {"code": codes[-1], "scale": 2})
    assert again["replayed"] is True, again
    await check_cluster(cluster)


@case(60)
async def a_stopping_node_says_so(run):
    """shutting_down is surely not executed; what was accepted is brought to its end."""
    cluster = await run.started()
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    other = await run.client(cluster, next(n for n in cluster.nodes if n != leader))
    book = await Book.make(client)
    alice = await book.customer(client)
    stopping = asyncio.ensure_future(cluster.terminate(leader, 8))
    acknowledged, codes, attempted = 0, set(), []
    try:
        while not client.reader.done():
            one = payment(book.bank, alice, 1)
            reply = await client.reply("payment.create", one)
            if "result" in reply:
                acknowledged += 1
                continue
            error = RpcError(reply["error"])
            codes.add(error.code)
            attempted.append((one, error))
            await asyncio.sleep(0.01)
    except (Lost, asyncio.TimeoutError):
        pass
    status, _ = await stopping
    assert status == 0, status
    assert codes <= {"shutting_down", "leadership_lost", "no_leader", "unknown"}, codes
    await cluster.wait_leader()
    for one, error in attempted:
        reply = await other.reply("payment.get", {"id": one["id"]})
        assert "error" in reply or error.code == "unknown", (reply, error)
    state = await other.call("account.get", {"id": alice})
    assert state["entries"] >= acknowledged, (state, acknowledged)
    run.note(f"{acknowledged} acknowledged after the signal, then {sorted(codes) or 'closed'}")

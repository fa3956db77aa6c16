"""seq, term and time: every command takes a number, none is left out, on every node alike."""
import asyncio

from book import check_cluster, pipelined
from client import RpcError, payment
from harness import case


def stamp(reply):
    """(seq, term, time, replayed) of a result or a recorded refusal."""
    data = reply["result"] if "result" in reply else reply["error"]["data"]
    return data["seq"], data["term"], data["time"], data["replayed"]


@case(60)
async def seq_has_no_gaps_from_1(run):
    """Refused ones included; replays, mismatches and refused operator commands take none."""
    cluster = await run.started()
    clients = [await run.client(cluster, number) for number in cluster.nodes]
    client = clients[0]
    expected = 0

    async def takes(method, params, code=None):
        nonlocal expected
        expected += 1
        reply = await client.reply(method, params)
        got = reply["error"]["data"]["code"] if "error" in reply else None
        assert got == code, reply
        assert stamp(reply)[0] == expected, f"{method}: seq {stamp(reply)[0]}, wanted {expected}"
        return params

    async def takes_none(method, params, code=None, replay=False):
        reply = await client.reply(method, params)
        got = reply["error"]["data"]["code"] if "error" in reply else None
        assert got == code, reply
        if replay:
            assert stamp(reply)[3] is True and stamp(reply)[0] <= expected, reply

    assert (await client.call("ledger.digest"))["seq"] == 0
    await takes("currency.create", {"code": "EUR", "scale": 2})
    await takes("account.open", {"id": "bank", "currency": "EUR", "overdraft": "unlimited"})
    await takes("account.open", {"id": "alice", "currency": "EUR"})
    good = await takes("payment.create", payment("bank", "alice", 5))
    bad = await takes("payment.create", payment("alice", "bank", 6), "insufficient_funds")
    await takes("payment.create", payment("alice", "nobody", 1), "account_not_found")
    await takes_none("payment.create", good, replay=True)
    await takes_none("payment.create", bad, "insufficient_funds", replay=True)
    await takes_none("payment.create", {**good, "amount": "6"}, "idempotency_mismatch")
    await takes_none("currency.create", {"code": "EUR", "scale": 2}, replay=True)
    await takes_none("currency.create", {"code": "EUR", "scale": 3}, "already_exists")
    await takes_none("account.open", {"id": "alice", "currency": "EUR"}, replay=True)
    await takes_none("account.open", {"id": "alice", "currency": "EUR", "normal": "debit"},
                     "already_exists")
    await takes_none("account.open", {"id": "x", "currency": "USD"}, "currency_not_found")
    await takes_none("account.get", {"id": "nobody"}, "not_found")
    await takes_none("payment.create", {**good, "amount": 6}, "amount_not_string")
    items = [payment("bank", "alice", 1), payment("alice", "bank", 1000), good,
             payment("bank", "alice", 1)]
    for mode, taken in (("independent", 3), ("atomic", 3)):
        items = [payment(one["debit"], one["credit"], one["amount"]) if one is not good else good
                 for one in items]
        result = await client.call("payment.batch", {"mode": mode, "items": items})
        seqs = [stamp(row)[0] for row in result["results"] if not stamp(row)[3]]
        assert seqs == list(range(expected + 1, expected + 1 + taken)), (mode, seqs, expected)
        expected += taken
    await takes("payment.create", payment("bank", "alice", 1))
    assert (await client.call("ledger.digest"))["seq"] == expected

    # Many at once through all nodes: each number once.
    replies = []
    for part in await asyncio.gather(*(
            pipelined(one, "payment.create",
                      [payment("bank", "alice", 1) if i % 3 else payment("alice", "bank", 10 ** 9)
                       for i in range(300)])
            for one in clients)):
        replies += part
    seqs = sorted(stamp(reply)[0] for reply in replies)
    assert seqs == list(range(expected + 1, expected + 1 + len(replies))), \
        f"{seqs[0]}..{seqs[-1]}, {len(set(seqs))} different, wanted from {expected + 1}"
    seq, _ = await check_cluster(cluster)
    assert seq == seqs[-1], f"the digest is of {seq}, the last seq is {seqs[-1]}"


@case(60)
async def time_and_term_follow_seq(run):
    """Log time and term never fall as seq rises; equal times are of one entry."""
    cluster = await run.started()
    clients = [await run.client(cluster, number) for number in cluster.nodes]
    await clients[0].call("currency.create", {"code": "EUR", "scale": 2})
    for name in ("bank", "alice"):
        await clients[0].call("account.open", {"id": name, "currency": "EUR",
                                               "overdraft": "unlimited"})
    replies = []
    for part in await asyncio.gather(*(
            pipelined(one, "payment.create", [payment("bank", "alice", 1) for _ in range(300)])
            for one in clients)):
        replies += part
    stamps = sorted(stamp(reply) for reply in replies)
    for before, after in zip(stamps, stamps[1:]):
        assert before[1] <= after[1] and before[2] <= after[2], (before, after)
    # Balances after each payment, in the order of seq, are those of that very order.
    ordered = sorted(replies, key=lambda reply: reply["result"]["seq"])
    rows = [{row["account"]: int(row["posted"]) for row in reply["result"]["balances"]}
            for reply in ordered]
    assert [row["alice"] for row in rows] == list(range(1, len(rows) + 1))


@case(60)
async def digest_is_a_function_of_seq(run):
    """Entries without commands (elections, barriers) do not change it."""
    cluster = await run.started()
    client = await run.client(cluster, 1)
    await client.call("currency.create", {"code": "EUR", "scale": 2})
    before = await cluster.wait_equal()
    leader = await cluster.leader()
    cluster.kill(leader)
    await cluster.wait_leader()
    cluster.start(leader)
    await cluster.wait_leader()
    assert await cluster.wait_equal() == before


@case(60)
async def unknown_is_resolvable(run):
    """The leader is cut off with payments on their way: `unknown`, resolved with the same id."""
    cluster = await run.started()
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    await client.call("currency.create", {"code": "EUR", "scale": 2})
    for name in ("bank", "alice"):
        await client.call("account.open", {"id": name, "currency": "EUR", "overdraft": "unlimited"})
    others = [number for number in cluster.nodes if number != leader]
    for number in others:
        cluster.pause(number)
    many = [payment("bank", "alice", 1) for _ in range(50)]
    futures = [await client.send("payment.create", one) for one in many]
    replies = await asyncio.gather(*(asyncio.wait_for(future, 30) for future in futures))
    for number in others:
        cluster.resume(number)
    errors = [RpcError(reply["error"]) for reply in replies]
    kinds = {error.code for error in errors}
    assert kinds <= {"unknown", "leadership_lost", "no_leader"} and "unknown" in kinds, kinds
    for error in errors:
        if error.code == "unknown":
            assert error.number == -32015 and error.recorded is not False, error
        else:
            assert error.retryable is True and error.recorded is False, error
    await cluster.wait_leader()
    # Some of them may have been executed, which only their ids tell; each is sent once more.
    found = 0
    for one, error in zip(many, errors):
        got = await client.reply("payment.get", {"id": one["id"]})
        found += "result" in got
        assert "result" not in got or error.code == "unknown", "executed, though said not to be"
    for reply in await pipelined(client, "payment.create", many):
        assert reply["result"]["status"] == "posted", reply
    state = await client.call("account.get", {"id": "alice"})
    assert state["posted"] == str(len(many)) and state["entries"] == len(many), state
    run.note(f"{found} of {len(many)} unknown payments had been executed")
    await check_cluster(cluster)

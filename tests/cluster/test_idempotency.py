"""The payment id is the idempotency key, for ever: replays, refused replays, mismatches."""
import asyncio

from book import Book, fresh, posted
from client import leg, new_id, payment
from harness import case


async def check_replay(client, params, first):
    again = await client.call("payment.create", params)
    assert again["replayed"] is True and again["status"] == "posted", again
    for name in ("id", "seq", "term", "time"):
        assert again[name] == first[name], f"{name}: {again[name]}, was {first[name]}"
    wanted = {row["account"]: row["posted"] for row in first["balances"]}
    assert {row["account"]: row["posted"] for row in again["balances"]} == wanted, again
    for row in again["balances"]:
        assert "held" not in row and "available" not in row, f"only posted is recorded: {row}"


@case()
async def same_id_and_fields_replays(run):
    cluster = await run.common()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 100), await book.customer(client)
    params = payment(alice, shop, 60)
    first = await client.call("payment.create", params)
    assert first["replayed"] is False
    await client.call("payment.create", payment(book.bank, alice, 1000))
    for number in cluster.nodes:
        await check_replay(await run.client(cluster, number), params, first)
    assert await posted(client, shop) == 60


@case()
async def short_form_and_one_leg_are_the_same(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    one = payment(book.bank, alice, 7)
    first = await client.call("payment.create", one)
    legs = {"id": one["id"], "legs": [leg(book.bank, alice, 7)]}
    await check_replay(client, legs, first)
    # Leaving the currency out is the same as giving the accounts' own.
    await check_replay(client, {**one, "currency": book.currency}, first)
    legs["legs"][0]["currency"] = book.currency
    await check_replay(client, legs, first)


@case()
async def refused_ones_replay_too(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 5), await book.customer(client)
    params = payment(alice, shop, 6)
    first = await client.refused("payment.create", params, "insufficient_funds", recorded=True)
    assert first.data["replayed"] is False
    await client.call("payment.create", payment(book.bank, alice, 1000))
    again = await client.refused("payment.create", params, "insufficient_funds", recorded=True,
                                 param="debit")
    assert again.data["replayed"] is True and again.text == first.text, again
    for name in ("seq", "term", "time"):
        assert again.data[name] == first.data[name], (first.data, again.data)
    assert await posted(client, shop) == 0
    unknown = payment(alice, fresh("none-"), 1)
    first = await client.refused("payment.create", unknown, "account_not_found", param="credit")
    again = await client.refused("payment.create", unknown, "account_not_found", param="credit")
    assert again.data["seq"] == first.data["seq"] and again.data["replayed"], again.data


@case()
async def other_fields_are_a_mismatch(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop, other = [await book.customer(client, 1000) for _ in range(3)]
    base = payment(alice, shop, 5, valid_until="2099-01-01T00:00:00Z", reference=fresh("ref-"),
                   effective_at="2026-01-01T00:00:00Z", metadata={"a": 1})
    await client.call("payment.create", base)
    for field, value in (("debit", other), ("credit", other), ("amount", "6"),
                         ("valid_until", "2099-01-01T00:00:01Z"), ("reference", fresh("ref-")),
                         ("effective_at", "2026-01-01T00:00:01Z"), ("metadata", {"a": 2})):
        error = await client.refused("payment.create", {**base, field: value},
                                     "idempotency_mismatch", number=-32011, param=field,
                                     recorded=False, retryable=False)
        assert error.data.get("replayed") is not True, error.data
        if field not in ("debit", "credit", "amount"):
            less = {name: v for name, v in base.items() if name != field}
            await client.refused("payment.create", less, "idempotency_mismatch", param=field)
    plain = payment(alice, shop, 5)
    await client.call("payment.create", plain)
    await client.refused("payment.create", {**plain, "reference": fresh("ref-")},
                         "idempotency_mismatch", param="reference")
    # The path is that of the later request.
    one = {"id": plain["id"], "legs": [leg(alice, shop, 6)]}
    await client.refused("payment.create", one, "idempotency_mismatch", param="legs[0].amount")
    one["legs"] = [leg(alice, shop, 5), leg(alice, shop, 5)]
    error = await client.refused("payment.create", one, "idempotency_mismatch")
    assert error.param in ("legs", "legs[1]"), error
    assert await posted(client, shop) == 1010


@case()
async def a_mismatch_does_not_spoil_the_id(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    params = payment(book.bank, alice, 5)
    first = await client.call("payment.create", params)
    await client.refused("payment.create", {**params, "amount": "6"}, "idempotency_mismatch")
    await check_replay(client, params, first)


@case()
async def malformed_requests_do_not_burn_the_id(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    params = payment(book.bank, alice, 5)
    await client.refused("payment.create", {**params, "amount": 5}, "amount_not_string",
                         recorded=False)
    await client.refused("payment.create", {**params, "memo": ""}, "unknown_field", recorded=False)
    assert (await client.call("payment.create", params))["replayed"] is False


@case(60)
async def many_at_once_with_one_id_happen_once(run):
    """The same request through every node at the same time."""
    cluster = await run.common()
    clients = [await run.client(cluster, number) for number in cluster.nodes]
    book = await Book.make(clients[0])
    alice = await book.customer(clients[0])
    for _ in range(20):
        params = payment(book.bank, alice, 1)
        replies = await asyncio.gather(*(one.call("payment.create", params)
                                         for one in clients for _ in range(8)))
        assert len({reply["seq"] for reply in replies}) == 1, replies
        assert sum(not reply["replayed"] for reply in replies) == 1, replies
    state = await clients[0].call("account.get", {"id": alice})
    assert state["posted"] == "20" and state["entries"] == 20, state


@case(60)
async def two_meanings_of_one_id_race(run):
    """One wins, the other is a mismatch, wherever they come from."""
    cluster = await run.common()
    clients = [await run.client(cluster, number) for number in cluster.nodes]
    book = await Book.make(clients[0])
    first, second = await book.customer(clients[0]), await book.customer(clients[0])
    for _ in range(20):
        one = new_id()
        replies = await asyncio.gather(*(
            client.reply("payment.create", payment(book.bank, account, 1, id=one))
            for client, account in zip(clients, (first, second, first))))
        kinds = [reply["error"]["data"]["code"] if "error" in reply else "posted"
                 for reply in replies]
        assert set(kinds) == {"posted", "idempotency_mismatch"}, kinds
        assert kinds[0] == kinds[2], kinds
    total = await posted(clients[0], first) + await posted(clients[0], second)
    assert total == 20, total

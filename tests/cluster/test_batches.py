"""payment.batch: independent and atomic, replays inside of them, and their bounds."""
from book import Book, fresh, posted
from client import balances, new_id, payment
from harness import case

ITEMS_MAX = 8192


async def batch(client, mode, items, timeout_s=20):
    result = await client.call("payment.batch", {"mode": mode, "items": items}, timeout_s)
    assert len(result["results"]) == len(items), f"{len(result['results'])} of {len(items)}"
    for row in result["results"]:
        assert ("result" in row) != ("error" in row), row
    return result["results"]


def codes(rows):
    return ["posted" if "result" in row else row["error"]["data"]["code"] for row in rows]


def seqs(rows):
    return [(row["result"] if "result" in row else row["error"]["data"])["seq"] for row in rows]


@case()
async def independent_items_stand_alone(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    items = [payment(alice, shop, 6), payment(alice, shop, 6), payment(alice, fresh("none-"), 1),
             payment(alice, shop, 4), payment(shop, alice, 10)]
    rows = await batch(client, "independent", items)
    assert codes(rows) == ["posted", "insufficient_funds", "account_not_found", "posted", "posted"]
    assert balances(rows[3]["result"]) == {alice: 0, shop: 10}, rows[3]
    first = seqs(rows)[0]
    assert seqs(rows) == list(range(first, first + 5)), seqs(rows)
    for row, item in zip(rows, items):
        if "result" in row:
            assert row["result"]["id"] == item["id"] and row["result"]["replayed"] is False, row
        else:
            assert row["error"]["data"]["recorded"] is True, row
            got = await client.call("payment.get", {"id": item["id"]})
            assert got["status"] == "refused", got


@case()
async def atomic_all_post(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    rows = await batch(client, "atomic", [payment(alice, shop, 6), payment(shop, alice, 1),
                                          payment(alice, shop, 5)])
    # Each item sees the ones before it.
    assert codes(rows) == ["posted"] * 3 and balances(rows[2]["result"]) == {alice: 0, shop: 10}
    assert len({row["result"]["time"] for row in rows}) == 1, "one entry has one time"
    first = seqs(rows)[0]
    assert seqs(rows) == [first, first + 1, first + 2]


@case()
async def atomic_one_refused_aborts_all(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    items = [payment(alice, shop, 6), payment(alice, shop, 5), payment(shop, alice, 1)]
    rows = await batch(client, "atomic", items)
    assert codes(rows) == ["batch_aborted", "insufficient_funds", "batch_aborted"], codes(rows)
    first = seqs(rows)[0]
    assert seqs(rows) == [first, first + 1, first + 2], "refused items take a seq each"
    assert await posted(client, alice) == 10 and await posted(client, shop) == 0
    for item, code in zip(items, codes(rows)):
        got = await client.call("payment.get", {"id": item["id"]})
        assert got["status"] == "refused" and got["error"]["data"]["code"] == code, got
        # Recorded for ever: alone it would pass, but its id is used.
        error = await client.refused("payment.create", item, code, recorded=True)
        assert error.data["replayed"] is True, error.data
    # The same batch again gives the same outcomes.
    again = await batch(client, "atomic", items)
    assert codes(again) == codes(rows) and seqs(again) == seqs(rows), again


@case()
async def atomic_with_replayed_items(run):
    """A replayed item counts with its recorded outcome: posted is fine, refused aborts."""
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    good, bad = payment(alice, shop, 1), payment(alice, shop, 1000)
    first = await client.call("payment.create", good)
    await client.refused("payment.create", bad, "insufficient_funds")
    fresh_one = payment(alice, shop, 2)
    rows = await batch(client, "atomic", [good, fresh_one])
    assert codes(rows) == ["posted", "posted"], rows
    assert rows[0]["result"]["replayed"] is True and rows[0]["result"]["seq"] == first["seq"]
    assert rows[1]["result"]["replayed"] is False
    assert await posted(client, shop) == 3

    other = payment(alice, shop, 3)
    rows = await batch(client, "atomic", [other, bad, good])
    assert codes(rows)[:2] == ["batch_aborted", "insufficient_funds"], rows
    assert rows[1]["error"]["data"]["replayed"] is True, rows[1]
    assert await posted(client, shop) == 3
    # What was posted before stays posted.
    assert (await client.call("payment.get", {"id": good["id"]}))["status"] == "posted"


@case()
async def atomic_with_a_mismatch_aborts(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    used = payment(alice, shop, 1)
    await client.call("payment.create", used)
    items = [payment(alice, shop, 2), {**used, "amount": "2"}]
    rows = await batch(client, "atomic", items)
    assert codes(rows) == ["batch_aborted", "idempotency_mismatch"], rows
    assert rows[1]["error"]["data"]["param"] == "items[1].amount", rows[1]
    assert rows[1]["error"]["data"]["recorded"] is False, rows[1]
    assert await posted(client, shop) == 1


@case()
async def one_id_twice_in_a_batch(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    for mode in ("independent", "atomic"):
        one = payment(alice, shop, 1)
        rows = await batch(client, mode, [one, one])
        assert codes(rows) == ["posted", "posted"], rows
        assert [row["result"]["replayed"] for row in rows] == [False, True], rows
        assert seqs(rows)[0] == seqs(rows)[1], rows
    one = payment(alice, shop, 1)
    rows = await batch(client, "independent", [one, {**one, "amount": "2"}])
    assert codes(rows) == ["posted", "idempotency_mismatch"], rows
    assert await posted(client, shop) == 3


@case()
async def paths_name_the_item(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 10), await book.customer(client)
    for bad, code, path in (
            (payment(alice, shop, "0"), "amount_zero", "items[1].amount"),
            (payment(alice, shop, 1, id="x"), "id_invalid", "items[1].id"),
            (payment(alice, fresh("none-"), 1), "account_not_found", "items[1].credit"),
            ({"id": new_id(), "legs": [{"debit": alice, "credit": shop, "amount": "01"}]},
             "amount_invalid", "items[1].legs[0].amount")):
        good = payment(alice, shop, 1)
        rows = await batch(client, "independent", [good, bad])
        assert codes(rows) == ["posted", code], rows
        assert rows[1]["error"]["data"]["param"] == path, rows[1]
        if code != "account_not_found":
            assert rows[1]["error"]["data"]["recorded"] is False, rows[1]
            # Of an atomic batch nothing is executed then, and no id is used.
            good = payment(alice, shop, 1)
            reply = await client.reply("payment.batch", {"mode": "atomic", "items": [good, bad]})
            assert reply["error"]["data"]["code"] == code, reply
            assert reply["error"]["data"]["param"] == path, reply
            await client.refused("payment.get", {"id": good["id"]}, "not_found")
    assert await posted(client, shop) == 4


@case()
async def modes_and_counts(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    item = payment(book.bank, alice, 1)
    for params, code, path in (({"mode": "maybe", "items": [item]}, "field_invalid", "mode"),
                               ({"items": [item]}, "missing_field", "mode"),
                               ({"mode": "atomic", "items": []}, "too_many_items", "items"),
                               ({"mode": "atomic", "items": {}}, "field_invalid", "items"),
                               ({"mode": "atomic", "items": [5]}, "field_invalid", "items[0]")):
        await client.refused("payment.batch", params, code, number=-32602, param=path)
    many = [payment(book.bank, alice, 1) for _ in range(ITEMS_MAX + 1)]
    await client.refused("payment.batch", {"mode": "independent", "items": many}, "too_many_items",
                         number=-32602, param="items", recorded=False)
    assert await posted(client, alice) == 0


@case(60)
async def the_largest_batch_posts(run):
    cluster = await run.common()
    client = await run.client(cluster, await cluster.follower())
    book = await Book.make(client)
    alice = await book.customer(client)
    items = [payment(book.bank, alice, 1) for _ in range(ITEMS_MAX)]
    for mode in ("independent", "atomic"):
        rows = await batch(client, mode, items, 40)
        assert codes(rows) == ["posted"] * ITEMS_MAX
        assert balances(rows[-1]["result"])[alice] == ITEMS_MAX, "the second one is a replay"
    assert await posted(client, alice) == ITEMS_MAX


@case(60)
async def an_independent_batch_may_span_entries(run):
    """More than one log entry holds: each item in its order all the same."""
    client = await run.client(await run.common(), 2)
    book = await Book.make(client)
    alice = await book.customer(client)
    items = [payment(book.bank, alice, 1, metadata={"pad": "x" * 4000}) for _ in range(900)]
    rows = await batch(client, "independent", items, 40)
    assert codes(rows) == ["posted"] * len(items)
    assert seqs(rows) == sorted(seqs(rows))
    assert [balances(row["result"])[alice] for row in rows] == list(range(1, len(items) + 1))


@case()
async def an_atomic_batch_must_fit_one_entry(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    items = [payment(book.bank, alice, 1, metadata={"pad": "x" * 4000}) for _ in range(300)]
    error = await client.refused("payment.batch", {"mode": "atomic", "items": items},
                                 "batch_too_large", number=-32602, recorded=False, retryable=False)
    assert error.param in ("items", None), error
    assert await posted(client, alice) == 0
    await client.refused("payment.get", {"id": items[0]["id"]}, "not_found")
    rows = await batch(client, "atomic", items[:200])
    assert codes(rows) == ["posted"] * 200

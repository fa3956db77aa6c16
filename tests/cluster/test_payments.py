"""Accounts, currencies and payments: what a result says, and what the ledger then holds."""
import re

from book import Book, fresh, fresh_currency, posted
from client import balances, leg, legs_payment, new_id, payment
from cluster import wait_until
from harness import case

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
# What every result that depends on an entry carries.
STAMP = ("seq", "term", "time", "replayed")


def check_stamp(result, replayed=False):
    for name in STAMP:
        assert name in result, f"{name} is missing: {result}"
    assert type(result["seq"]) is int and type(result["term"]) is int, result
    assert TIME.match(result["time"]), result["time"]
    assert result["replayed"] is replayed, result


@case()
async def currencies(run):
    client = await run.client(await run.common(), 1)
    code = fresh_currency()
    result = await client.call("currency.create", {"code": code, "scale": 18})
    assert result["code"] == code and result["scale"] == 18, result
    check_stamp(result)
    again = await client.call("currency.create", {"code": code, "scale": 18})
    check_stamp(again, replayed=True)
    assert again["seq"] == result["seq"] and again["time"] == result["time"], (result, again)
    await client.refused("currency.create", {"code": code, "scale": 2}, "already_exists",
                         number=-32011, param="scale", recorded=False, retryable=False)
    listed = await client.call("currency.list", {"limit": 1000})
    row = next(row for row in listed["currencies"] if row["code"] == code)
    assert row["scale"] == 18, row


@case()
async def accounts(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    name = fresh("acct-")
    result = await book.open(client, name)
    check_stamp(result)
    assert result["id"] == name and result["currency"] == book.currency, result
    assert result["normal"] == "credit" and result["overdraft"] == "0", result
    state = await client.call("account.get", {"id": name})
    for field in ("posted", "held", "available", "debits_posted", "credits_posted", "debits_held",
                  "credits_held"):
        assert state[field] == "0", f"{field}: {state}"
    assert state["entries"] == 0 and state["seq"] >= result["seq"], state
    again = await book.open(client, name, normal="credit", overdraft="0")
    check_stamp(again, replayed=True)
    assert again["seq"] == result["seq"], again
    other = await Book.make(client)
    for field, value in (("currency", other.currency), ("normal", "debit"), ("overdraft", "1"),
                         ("overdraft", "unlimited")):
        params = {"id": name, "currency": book.currency, field: value}
        await client.refused("account.open", params, "already_exists", number=-32011, param=field)
    await client.refused("account.get", {"id": fresh("none-")}, "not_found", number=-32012)


@case()
async def account_list_has_all_pages(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    made = [await book.customer(client) for _ in range(12)]
    seen, cursor = [], None
    while True:
        page = await client.call("account.list",
                                 {"limit": 5, **({"cursor": cursor} if cursor else {})})
        assert len(page["accounts"]) <= 5
        seen += [row["id"] for row in page["accounts"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert len(set(seen)) == len(seen) and set(made) <= set(seen)


@case()
async def short_form(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 82000), await book.customer(client)
    one = payment(alice, shop, 1999, currency=book.currency)
    result = await client.call("payment.create", one)
    check_stamp(result)
    assert result["id"] == one["id"] and result["status"] == "posted", result
    rows = {row["account"]: row for row in result["balances"]}
    assert len(result["balances"]) == 2
    assert rows[alice] == {"account": alice, "posted": "80001", "held": "0", "available": "80001"}
    assert rows[shop] == {"account": shop, "posted": "1999", "held": "0", "available": "1999"}
    state = await client.call("account.get", {"id": alice})
    assert state["debits_posted"] == "1999" and state["credits_posted"] == "82000", state
    assert state["entries"] == 2, state


@case()
async def payment_get_shows_legs_and_seq(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    one = payment(book.bank, alice, 5, effective_at="2026-01-31T00:00:00Z")
    made = await client.call("payment.create", one)
    await client.call("payment.create", payment(book.bank, alice, 6))
    got = await client.call("payment.get", {"id": one["id"]})
    assert got["id"] == one["id"] and got["status"] == "posted", got
    assert got["seq"] == made["seq"] and got["term"] == made["term"], (made, got)
    assert got["time"] == made["time"], (made, got)
    assert got["effective_at"] == "2026-01-31T00:00:00.000000000Z", got
    assert len(got["legs"]) == 1, got
    wanted = {"debit": book.bank, "credit": alice, "amount": "5", "currency": book.currency}
    assert wanted.items() <= got["legs"][0].items(), got
    error = await client.refused("payment.get", {"id": new_id()}, "not_found", number=-32012,
                                 recorded=False, retryable=False)
    assert error.data["seq"] >= made["seq"], error.data


@case()
async def refusals_are_recorded(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 500), await book.customer(client)
    one = payment(alice, shop, 1999)
    error = await client.refused("payment.create", one, "insufficient_funds", number=-32010,
                                 param="debit", retryable=False, recorded=True)
    check_stamp(error.data)
    assert error.text == f"{alice} has 500 available, 1999 needed", error.text
    got = await client.call("payment.get", {"id": one["id"]})
    assert got["status"] == "refused" and got["seq"] == error.data["seq"], got
    assert got["error"]["data"]["code"] == "insufficient_funds", got
    assert got["error"]["code"] == -32010 and got["error"]["message"] == error.text, got
    assert await posted(client, alice) == 500 and await posted(client, shop) == 0


@case()
async def each_refusal_has_its_code_and_path(run):
    client = await run.client(await run.common(), 1)
    book, other = await Book.make(client), await Book.make(client)
    alice, foreign = await book.customer(client, 10), await other.customer(client)
    none = fresh("none-")
    for params, code, path in (
            (payment(none, alice, 1), "account_not_found", "debit"),
            (payment(alice, none, 1), "account_not_found", "credit"),
            (payment(alice, foreign, 1), "currency_mismatch", "credit"),
            (payment(alice, book.bank, 1, currency=other.currency), "currency_mismatch",
             "currency"),
            (payment(alice, book.bank, 1, currency="NOSUCH"), "currency_mismatch", "currency"),
            (payment(alice, alice, 1), "same_account", "credit"),
            (payment(alice, book.bank, 1, valid_until="2020-01-01T00:00:00Z"), "payment_expired",
             "valid_until"),
            (payment(alice, book.bank, 11), "insufficient_funds", "debit"),
            (legs_payment(leg(book.bank, alice, 1), leg(none, alice, 1)), "account_not_found",
             "legs[1].debit"),
            (legs_payment(leg(book.bank, alice, 1), leg(alice, book.bank, 1, currency="NOSUCH")),
             "currency_mismatch", "legs[1].currency")):
        error = await client.refused("payment.create", params, code, number=-32010, recorded=True,
                                     retryable=False)
        assert error.param == path or (code in ("same_account", "currency_mismatch") and
                                       error.param in ("debit", "credit")), error
        got = await client.call("payment.get", {"id": params["id"]})
        assert got["status"] == "refused" and got["error"]["data"]["code"] == code, got
    assert await posted(client, alice) == 10


@case()
async def all_legs_or_none(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    first, second, third = [await book.customer(client, 100) for _ in range(3)]
    one = legs_payment(leg(first, second, 60), leg(third, second, 101))
    await client.refused("payment.create", one, "insufficient_funds", param="legs[1].debit")
    assert [await posted(client, a) for a in (first, second, third)] == [100, 100, 100]
    result = await client.call("payment.create",
                               legs_payment(leg(first, second, 60), leg(third, second, 100)))
    assert balances(result) == {first: 40, second: 260, third: 0}, result


@case()
async def limits_are_judged_on_the_final_state(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    poor, rich = await book.customer(client), await book.customer(client, 100)
    # The first leg alone would overdraw it; the second one makes up for it.
    result = await client.call("payment.create",
                               legs_payment(leg(poor, book.bank, 70), leg(rich, poor, 70)))
    assert balances(result)[poor] == 0 and balances(result)[rich] == 30, result
    await client.refused("payment.create",
                         legs_payment(leg(poor, book.bank, 30), leg(rich, poor, 29)),
                         "insufficient_funds")


@case()
async def several_currencies_in_one_payment(run):
    """An exchange through liquidity accounts."""
    client = await run.client(await run.common(), 1)
    euro, crown = await Book.make(client), await Book.make(client)
    alice_euro, alice_crown = await euro.customer(client, 1000), await crown.customer(client)
    result = await client.call("payment.create", legs_payment(
        leg(alice_euro, euro.bank, 1000, currency=euro.currency),
        leg(crown.bank, alice_crown, 25150, currency=crown.currency)))
    after = balances(result)
    assert after[alice_euro] == 0 and after[alice_crown] == 25150, after
    assert len(result["balances"]) == 4, result
    await euro.totals(client)
    await crown.totals(client)


@case()
async def overdraft_limits(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice = await book.customer(client, overdraft="500")
    result = await client.call("payment.create", payment(alice, book.bank, 500))
    rows = {row["account"]: row for row in result["balances"]}
    assert rows[alice]["posted"] == "-500" and rows[alice]["available"] == "0", rows
    error = await client.refused("payment.create", payment(alice, book.bank, 1),
                                 "insufficient_funds")
    assert error.text == f"{alice} has 0 available, 1 needed", error.text
    # Money coming in is welcome, however deep the account is.
    result = await client.call("payment.create", payment(book.bank, alice, 1))
    assert balances(result)[alice] == -499, result


@case()
async def debit_normal_accounts(run):
    """Cash is an asset: it rises with debits, and can not fall below zero by credits."""
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    cash, alice = await book.customer(client, normal="debit"), await book.customer(client)
    result = await client.call("payment.create", payment(cash, alice, 300))
    assert balances(result) == {cash: 300, alice: 300}, result
    result = await client.call("payment.create", payment(alice, cash, 100))
    assert balances(result) == {cash: 200, alice: 200}, result
    await client.refused("payment.create", payment(book.bank, cash, 201), "insufficient_funds",
                         param="credit")
    await book.totals(client)


@case()
async def ledger_totals_balance(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    alice, shop = await book.customer(client, 1000), await book.customer(client)
    await client.call("payment.create", payment(alice, shop, 400))
    await client.refused("payment.create", payment(alice, shop, 601), "insufficient_funds")
    row = await book.totals(client)
    assert row["debits_posted"] == row["credits_posted"] == "1400", row
    assert row["debits_held"] == row["credits_held"] == "0", row


@case()
async def ledger_info_and_digest(run):
    client = await run.client(await run.common(), 1)
    info = await client.call("ledger.info")
    digest = await client.call("ledger.digest")
    assert type(info["seq"]) is int and type(digest["seq"]) is int
    assert re.fullmatch(r"[0-9a-f]{64}", digest["digest"]), digest
    await Book.make(client)
    later = await client.call("ledger.digest")
    assert later["seq"] == digest["seq"] + 2 and later["digest"] != digest["digest"]


@case()
async def cluster_status(run):
    cluster = await run.common()
    leader = await cluster.leader()
    for number in cluster.nodes:
        client = await run.client(cluster, number)

        async def complete():
            # Nodes tell each other their state ten times a second.
            status = await client.call("cluster.status")
            return status if all(
                row["reachable"] is True and
                row["role"] == ("leader" if row["id"] == leader else "follower")
                for row in status["nodes"]) else None
        status = await wait_until(f"the roles as node {number} sees them", 5, complete)
        assert status["leader"] == leader and type(status["term"]) is int, status
        assert {row["id"] for row in status["nodes"]} == cluster.nodes.keys(), status
        for row in status["nodes"]:
            assert type(row["seq"]) is int and re.fullmatch(r"[0-9a-f]{64}", row["digest"]), row
        counters = status["counters"]
        assert counters and all(type(value) is int for value in counters.values()), counters

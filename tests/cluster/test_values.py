"""The form of values: amounts, ids, times, metadata, and the bounds of each."""
import json

from book import Book, fresh, posted
from client import RpcError, leg, legs_payment, new_id, payment
from harness import case

LIMIT = 2 ** 126


async def raw_amount(client, book, account, text):
    """payment.create with an amount written so in the JSON text; returns the error."""
    params = payment(book.bank, account, 1)
    body = json.dumps({"jsonrpc": "2.0", "id": "raw", "method": "payment.create", "params": params})
    reply = await client.text(body.replace('"amount": "1"', f'"amount": {text}'))
    assert "error" in reply, f"amount {text} was accepted"
    error = RpcError(reply["error"])
    assert error.number == -32602 and error.param == "amount", error
    assert error.recorded is False and error.retryable is False, error
    await client.refused("payment.get", {"id": params["id"]}, "not_found")
    return error


@case()
async def amounts_are_strings(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    for text in ("1", "0", "-1", "1.5", "1e3", "9007199254740993", "100000000000000000000"):
        error = await raw_amount(client, book, account, text)
        assert error.code == "amount_not_string", f"{text}: {error}"
    for text in ("null", "true", "[]", "{}"):
        error = await raw_amount(client, book, account, text)
        assert error.code in ("amount_not_string", "field_invalid"), f"{text}: {error}"
    assert await posted(client, account) == 0


@case()
async def amounts_have_one_form(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    for text in ("", "-1", "+1", "01", "00", "1e3", "1.0", "1,0", " 1", "1 ", "0x1", "1_000",
                 "\u0661", "1" * 39, str(2 ** 128), "abc", "1\\n"):
        error = await raw_amount(client, book, account, f'"{text}"')
        assert error.code == "amount_invalid", f"{text}: {error}"
    assert (await raw_amount(client, book, account, '"0"')).code == "amount_zero"
    for value in (LIMIT, LIMIT + 1, LIMIT + 10 ** 30, 10 ** 38 - 1):
        error = await raw_amount(client, book, account, f'"{value}"')
        assert error.code == "amount_out_of_range", f"{value}: {error}"
    assert await posted(client, account) == 0


@case()
async def largest_amount_is_exact(run):
    """Through parser, log, storage, forwarding and back: no double on the way."""
    cluster = await run.common()
    client = await run.client(cluster, 1)
    for value in (2 ** 53 + 1, 2 ** 64 + 1, 10 ** 37 + 7, LIMIT - 1):
        book = await Book.make(client, scale=18)
        account = await book.customer(client)
        result = await client.call("payment.create", payment(book.bank, account, value))
        rows = {row["account"]: row for row in result["balances"]}
        assert rows[account]["posted"] == rows[account]["available"] == str(value), rows
        assert rows[book.bank]["posted"] == str(-value), rows
        assert rows[book.bank]["available"] is None, "unlimited accounts have available null"
        for number in cluster.nodes:
            other = await run.client(cluster, number)
            state = await other.call("account.get", {"id": account})
            assert state["posted"] == state["credits_posted"] == str(value), state
        got = await client.call("payment.get", {"id": result["id"]})
        assert got["legs"][0]["amount"] == str(value), got
        row = await book.totals(client)
        assert row["debits_posted"] == str(value), row


@case()
async def sums_never_overflow(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    await client.call("payment.create", payment(book.bank, account, LIMIT - 2))
    await client.refused("payment.create", payment(book.bank, account, 2), "overflow",
                         number=-32010, recorded=True)
    await client.call("payment.create", payment(book.bank, account, 1))
    await client.refused("payment.create", payment(book.bank, account, 1), "overflow")
    # Gross counters: sending it back does not help, the counters only grow.
    await client.refused("payment.create", payment(account, book.bank, 1), "overflow")
    # Within one payment, over its legs.
    other = await Book.make(client)
    first, second = await other.customer(client), await other.customer(client)
    legs = leg(other.bank, first, LIMIT - 1), leg(other.bank, second, 1)
    await client.refused("payment.create", legs_payment(*legs), "overflow")
    row = await other.totals(client)
    assert row["debits_posted"] == "0", row


@case()
async def payment_ids_are_uuids(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    for one in ("", "x", "0198d2c4a0f07c3e9b1f5a1122334455", "0198d2c4-a0f0-7c3e-9b1f-5a112233445g",
                "{0198d2c4-a0f0-7c3e-9b1f-5a1122334455}", "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff", 5, None):
        error = await client.refused("payment.create",
                                     payment(book.bank, account, 1, id=one), number=-32602)
        assert error.code in ("id_invalid", "field_invalid") and error.param == "id", error
    # Either case of the digits is the same id.
    one = new_id()
    first = await client.call("payment.create", payment(book.bank, account, 1, id=one.upper()))
    again = await client.call("payment.create", payment(book.bank, account, 1, id=one))
    assert again["replayed"] and again["seq"] == first["seq"] and first["id"] == one


@case()
async def account_ids_and_currencies(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    for one in ("", "x" * 65, "a b", "a/b", "\u00e9", "a\n", 5, None):
        error = await client.refused("account.open", {"id": one, "currency": book.currency},
                                     number=-32602)
        assert error.param == "id", f"{one!r}: {error}"
    name = fresh("Az09:._-")
    await book.open(client, name)
    await book.open(client, name + "x" * (64 - len(name)))
    for one in ("", "E", "eur", "EURO\u00d6", "1EU", "E" * 13, "EU R", 5):
        error = await client.refused("currency.create", {"code": one, "scale": 2}, number=-32602)
        assert error.param == "code", error
    for scale in (-1, 19, 2.5, "2", None):
        error = await client.refused("currency.create", {"code": "ZZZ", "scale": scale},
                                     number=-32602)
        assert error.param == "scale", error
    await client.refused("account.open", {"id": fresh("a"), "currency": "NOSUCH"},
                         "currency_not_found", number=-32012, recorded=False, param="currency")


@case()
async def account_fields(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    for field, value in (("normal", "both"), ("normal", 1), ("overdraft", 5), ("overdraft", "-1"),
                         ("overdraft", "01"), ("overdraft", "infinite"), ("overdraft", ""),
                         ("overdraft", str(2 ** 128)), ("overdraft", str(LIMIT))):
        error = await client.refused("account.open", {"id": fresh("a"), "currency": book.currency,
                                                      field: value}, number=-32602)
        assert error.param == field, f"{field}={value!r}: {error}"


@case()
async def times(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    for text in ("2099-11-23T10:15:30Z", "2099-11-23T10:15:30.2Z", "2099-11-23T10:15:30.201000001Z",
                 "2096-02-29T23:59:59Z"):
        one = payment(book.bank, account, 1, valid_until=text)
        assert (await client.call("payment.create", one))["status"] == "posted"
        got = await client.call("payment.get", {"id": one["id"]})
        whole, _, fraction = text[:-1].partition(".")
        assert got["valid_until"] == f"{whole}.{fraction:0<9}Z", got
    for text in ("", "2099-11-23", "2099-11-23T10:15:30", "2099-11-23T10:15:30+00:00",
                 "2099-13-01T00:00:00Z", "2099-02-29T00:00:00Z", "2099-11-23T24:00:00Z",
                 "2099-11-23T10:60:00Z", "2099-11-23T10:15:30.Z", "2099-11-23T10:15:30.0000000001Z",
                 "2099-11-23 10:15:30Z", "99-11-23T10:15:30Z", "9999999999", 4091321730):
        for field in ("valid_until", "effective_at"):
            error = await client.refused("payment.create",
                                         payment(book.bank, account, 1, **{field: text}),
                                         number=-32602)
            assert error.code in ("timestamp_invalid", "field_invalid"), f"{text}: {error}"
            assert error.param == field, error


@case()
async def metadata_is_kept_as_it_came(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    for value in ({}, {"a": 1}, {"text": "\u00e9 \u4e2d \U0001f600 \" \\"}, {"deep": [{"er": [1]}]},
                  {"x": "y" * (4096 - len('{"x":""}'))}):
        one = payment(book.bank, account, 1, metadata=value)
        body = json.dumps({"jsonrpc": "2.0", "id": "m", "method": "payment.create", "params": one},
                          separators=(",", ":"), ensure_ascii=False)
        reply = await client.text(body)
        assert "result" in reply, reply
        got = await client.call("payment.get", {"id": one["id"]})
        assert got["metadata"] == value, got
    # Numbers that a double would spoil come back as they were written.
    one = payment(book.bank, account, 1, metadata={"n": 12345678901234567890123})
    await client.call("payment.create", one)
    got = await client.call("payment.get", {"id": one["id"]})
    assert got["metadata"]["n"] == 12345678901234567890123, got
    await client.refused("payment.create",
                         payment(book.bank, account, 1, metadata={"x": "y" * 4096}),
                         "metadata_too_large", number=-32602, param="metadata", recorded=False)
    for value in ("x", 5, [], None):
        error = await client.refused("payment.create",
                                     payment(book.bank, account, 1, metadata=value), number=-32602)
        assert error.param == "metadata", error


@case()
async def legs_have_bounds(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    many = [leg(book.bank, account, 1) for _ in range(65)]
    result = await client.call("payment.create", legs_payment(*many[:64]))
    assert result["status"] == "posted" and len(result["balances"]) == 2, result
    assert await posted(client, account) == 64
    for legs in (many, []):
        await client.refused("payment.create", legs_payment(*legs), "too_many_legs",
                             number=-32602, param="legs", recorded=False)
    for extra in ({"debit": book.bank}, {"credit": account}, {"amount": "1"},
                  {"debit": book.bank, "credit": account, "amount": "1"}):
        error = await client.refused("payment.create", legs_payment(many[0], **extra),
                                     "fields_exclusive", number=-32602, recorded=False)
        assert error.param in ("legs", *extra), error
    error = await client.refused("payment.create", {"id": new_id(), "debit": book.bank},
                                 "missing_field", recorded=False)
    assert error.param in ("credit", "amount"), error
    error = await client.refused(
        "payment.create", legs_payment(many[0], leg(book.bank, account, "0")), "amount_zero")
    assert error.param == "legs[1].amount", error


@case()
async def references(run):
    client = await run.client(await run.common(), 1)
    book = await Book.make(client)
    account = await book.customer(client)
    name = fresh("invoice/2026 \u00e9 ")
    one = payment(book.bank, account, 1, reference=name)
    await client.call("payment.create", one)
    assert (await client.call("payment.get", {"id": one["id"]}))["reference"] == name
    await client.refused("payment.create", payment(book.bank, account, 1, reference=name),
                         "reference_conflict", number=-32010, recorded=True, param="reference")
    for value in ("", "x" * 129, 5, None):
        error = await client.refused("payment.create",
                                     payment(book.bank, account, 1, reference=value), number=-32602)
        assert error.param == "reference", error

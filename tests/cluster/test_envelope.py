"""JSON-RPC envelopes: ids, notifications, arrays, methods, and what is not JSON at all."""
import asyncio
import json

from book import fresh
from client import RpcError
from harness import case

SAFE = 2 ** 53 - 1


def envelope(**members):
    return json.dumps({"jsonrpc": "2.0", "id": 7, "method": "ledger.info", **members})


def check_error(reply, number, code, request_id):
    assert "error" in reply and "result" not in reply, reply
    error = RpcError(reply["error"])
    assert reply["jsonrpc"] == "2.0"
    assert error.number == number, error
    assert error.code in (code if isinstance(code, tuple) else (code,)), error
    assert reply["id"] == request_id, reply
    assert error.recorded is False and error.retryable is False, error
    return error


async def exchange(client, text):
    """Sends raw text; returns the next message, whether it answers by id or not."""
    before = len(client.strays)
    await client.socket.send(text)
    return await client.stray(before)


@case()
async def ids_are_echoed(run):
    client = await run.client(await run.common(), 1)
    for one in (0, 1, -1, SAFE, -SAFE, "", "a", "x" * 64, "\u00e9\u4e2d", "\"\\\n"):
        reply = await exchange(client, envelope(id=one))
        assert "result" in reply and reply["id"] == one and reply["jsonrpc"] == "2.0", reply
        assert type(reply["id"]) is type(one), reply


@case()
async def other_ids_are_invalid_requests(run):
    client = await run.client(await run.common(), 1)
    for one in ("x" * 65, "\u00e9" * 33, None, True, [], {}, SAFE + 2, -SAFE - 2):
        check_error(await exchange(client, envelope(id=one)), -32600, "invalid_request", None)
    for text in ("1.5", "1e3", "1.0"):
        body = '{"jsonrpc":"2.0","id":%s,"method":"ledger.info"}' % text
        check_error(await exchange(client, body), -32600, "invalid_request", None)


@case()
async def wrong_envelopes_are_invalid_requests(run):
    client = await run.client(await run.common(), 1)
    for members in ({"jsonrpc": "1.0"}, {"jsonrpc": 2.0}, {"jsonrpc": None}, {"method": 5},
                    {"method": None}, {"method": ""}, {"params": [1, 2]}, {"params": "x"},
                    {"params": None}):
        reply = await exchange(client, envelope(**members))
        number = RpcError(reply["error"]).number
        assert number in ((-32600, -32602) if "params" in members else
                          (-32600, -32601) if members.get("method") == "" else (-32600,)), reply
    for text in ('{"id":7,"method":"ledger.info"}', '{"jsonrpc":"2.0","id":7}', '{}', '5', '"x"',
                 'null', 'true'):
        reply = await exchange(client, text)
        assert RpcError(reply["error"]).number == -32600, reply
        assert RpcError(reply["error"]).code == "invalid_request", reply
    reply = await exchange(client, envelope(extra=1))
    assert RpcError(reply["error"]).code in ("unknown_field", "invalid_request"), reply
    await client.call("ledger.info")


@case()
async def unknown_methods(run):
    client = await run.client(await run.common(), 1)
    for method in ("nope", "ledger.Info", "ledger.info ", "payment", "rpc.nope", "x" * 64,
                   "x" * 10_000):
        reply = await exchange(client, envelope(method=method))
        check_error(reply, -32601, "method_not_found", 7)


@case()
async def unknown_fields_are_refused_with_their_path(run):
    client = await run.client(await run.common(), 1)
    for method, params, path in (
            ("ledger.info", {"verbose": True}, "verbose"),
            ("account.get", {"id": "a", "ID": "a"}, "ID"),
            ("account.open", {"id": "a", "currency": "EUR", "owner": "x"}, "owner"),
            ("payment.create", {"id": "0198d2c4-a0f0-7c3e-9b1f-5a1122334455", "debit": "a",
                                "credit": "b", "amount": "1", "memo": "x"}, "memo"),
            ("payment.create", {"id": "0198d2c4-a0f0-7c3e-9b1f-5a1122334455", "legs": [
                {"debit": "a", "credit": "b", "amount": "1", "memo": "x"}]}, "legs[0].memo"),
            ("payment.batch", {"mode": "atomic", "items": [
                {"id": "0198d2c4-a0f0-7c3e-9b1f-5a1122334455", "debit": "a", "credit": "b",
                 "amount": "1", "memo": "x"}]}, "items[0].memo")):
        await client.refused(method, params, "unknown_field", number=-32602, param=path,
                             recorded=False)


@case()
async def missing_fields_are_named(run):
    client = await run.client(await run.common(), 1)
    for method, params, path in (
            ("account.open", {"currency": "EUR"}, "id"), ("account.open", {"id": "a"}, "currency"),
            ("account.get", {}, "id"), ("payment.get", {}, "id"),
            ("payment.list", {}, "account"), ("currency.create", {"code": "EUR"}, "scale"),
            ("currency.create", {"scale": 2}, "code"),
            ("payment.batch", {"mode": "atomic"}, "items"),
            ("payment.create", {"debit": "a", "credit": "b", "amount": "1"}, "id")):
        await client.refused(method, params, "missing_field", number=-32602, param=path)


@case()
async def bad_json_keeps_the_connection(run):
    client = await run.client(await run.common(), 1)
    for text in ("", " ", "{", "[", "{]", "nul", '{"a":}', '{"a":1,}', "[1,]", "01", "1.", ".5",
                 "+1", "NaN", "Infinity", "'a'", '{"a":1} x', '{"a":1}{"a":1}', '{a:1}', '"\t"',
                 '"\\x"', '"\\u12"', '"\\u0000"', '"\\ud800"', "// c\n{}", "\ufeff{}",
                 '{"a" 1}', "1e", "-"):
        check_error(await exchange(client, text), -32700, "malformed_json", None)
    await client.call("ledger.info")


@case()
async def duplicate_keys(run):
    client = await run.client(await run.common(), 1)
    get = '{"jsonrpc":"2.0","id":1,"method":"account.get","params":{"id":"a",%s:"a"}}'
    for text in ('{"jsonrpc":"2.0","id":1,"id":2,"method":"ledger.info"}', get % '"id"',
                 get % '"\\u0069d"'):  # the same key, once written with an escape
        check_error(await exchange(client, text), -32700, "duplicate_key", None)
    await client.call("ledger.info")


@case()
async def depth_over_16(run):
    client = await run.client(await run.common(), 1)
    for text in ("[" * 17 + "]" * 17, "[" * 10_000, "[" * 10_000 + "]" * 10_000,
                 '{"a":' * 10_000 + "1" + "}" * 10_000):
        check_error(await exchange(client, text), -32700, "nesting_too_deep", None)
    # The envelope, params and metadata are three; fourteen more make seventeen.
    inner = '{"a":' * 14 + "1" + "}" * 14
    body = ('{"jsonrpc":"2.0","id":7,"method":"payment.create","params":{"id":'
            '"0198d2c4-a0f0-7c3e-9b1f-5a1122334466","debit":"%s","credit":"b","amount":"1",'
            '"metadata":{"m":%s}}}')
    reply = await exchange(client, body % (fresh("none-"), inner))
    check = RpcError(reply["error"])
    assert check.code == "nesting_too_deep", check
    reply = await exchange(client, body % (fresh("none-"), inner[5:-1]))
    assert RpcError(reply["error"]).code == "account_not_found", reply


@case()
async def notifications_are_counted_not_executed(run):
    cluster = await run.common()
    client = await run.client(cluster, 1)
    before = (await cluster.metrics(1))["payledger_notifications_total"]
    code = fresh("NOTE").upper()
    body = {"jsonrpc": "2.0", "method": "currency.create", "params": {"code": code, "scale": 2}}
    await client.socket.send(json.dumps(body))
    await client.socket.send('{"jsonrpc":"2.0","method":"no.such"}')
    listed = await client.call("currency.list", {"limit": 1000})
    assert code not in [row["code"] for row in listed["currencies"]], "it was executed"
    await asyncio.sleep(0.1)
    assert not client.strays, f"a notification was answered: {client.strays}"
    assert (await cluster.metrics(1))["payledger_notifications_total"] == before + 2


@case()
async def arrays_are_answered_as_arrays(run):
    client = await run.client(await run.common(), 1)

    def request(one, method="ledger.info"):
        return {"jsonrpc": "2.0", "id": one, "method": method}
    reply = await exchange(client, json.dumps([request(1)]))
    assert isinstance(reply, list) and len(reply) == 1 and reply[0]["id"] == 1, reply
    reply = await exchange(client, json.dumps([request(i) for i in range(64)]))
    assert sorted(one["id"] for one in reply) == list(range(64)), reply
    mixed = [request("good"), request("bad", "no.such"), 5, [], {"jsonrpc": "2.0",
                                                                 "method": "ledger.info"}]
    reply = await exchange(client, json.dumps(mixed))
    assert len(reply) == 4, f"one reply each, none for the notification: {reply}"
    by_id = {one["id"]: one for one in reply}
    assert "result" in by_id["good"]
    check_error(by_id["bad"], -32601, "method_not_found", "bad")
    assert [one["error"]["code"] for one in reply if one["id"] is None] == [-32600, -32600]


@case()
async def empty_and_long_arrays_are_invalid_requests(run):
    client = await run.client(await run.common(), 1)
    check_error(await exchange(client, "[]"), -32600, "invalid_request", None)
    many = [{"jsonrpc": "2.0", "id": i, "method": "ledger.info"} for i in range(65)]
    check_error(await exchange(client, json.dumps(many)), -32600, "invalid_request", None)


@case()
async def replies_come_in_any_order(run):
    """A slow read does not hold up what was asked after it on the same connection."""
    client = await run.client(await run.common(), 1)
    info = await client.call("ledger.info")
    later = await client.send("ledger.info", {"min_seq": info["seq"] + 1_000_000})
    await client.call("ledger.info")
    assert not later.done(), "a read from the future was answered"
    reply = await asyncio.wait_for(later, 15)
    error = RpcError(reply["error"])
    assert error.code == "read_timeout" and error.retryable and error.recorded is False, error


@case()
async def discover_describes_every_method(run):
    client = await run.client(await run.common(), 1)
    document = await client.call("rpc.discover")
    assert document["openrpc"].startswith("1."), document.get("openrpc")
    assert document["info"]["title"] and document["info"]["version"]
    names = {method["name"] for method in document["methods"]}
    wanted = {"currency.create", "currency.list", "account.open", "account.get", "account.list",
              "payment.create", "payment.batch", "payment.get", "payment.list", "ledger.totals",
              "ledger.info", "ledger.digest", "cluster.status", "rpc.discover"}
    assert wanted <= names, f"missing: {wanted - names}"
    for name in names:
        reply = await exchange(client, envelope(method=name, params={"no_such_field": 1}))
        assert RpcError(reply["error"]).number != -32601, f"{name} is described but unknown"

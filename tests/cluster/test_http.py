"""HTTP on the client port: routes, statuses, origins, POST /v1, and the WebSocket handshake."""
import asyncio
import http.client
import json

from book import Book, posted
from client import Client, payment
from harness import case
from raw import Raw

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ledger.info"})


def ask(cluster, verb, path, body=None, headers=None):
    status, fields, text = cluster.http(1, verb, path, body, headers)
    return status, fields, text


@case()
async def routes(run):
    cluster = await run.common()
    for verb, path, status in (("GET", "/", 200), ("GET", "/livez", 200), ("GET", "/readyz", 200),
                               ("GET", "/metrics", 200), ("GET", "/nope", 404),
                               ("GET", "/v1x", 404), ("GET", "/v1/", 404),
                               ("GET", "/%2e%2e/etc/passwd", 404),
                               ("GET", "/../../etc/passwd", 404), ("POST", "/nope", 404),
                               ("POST", "/metrics", 405), ("POST", "/", 405), ("PUT", "/v1", 405),
                               ("DELETE", "/v1", 405), ("OPTIONS", "/v1", 405)):
        got, _, _ = ask(cluster, verb, path)
        assert got == status, f"{verb} {path}: {got}, wanted {status}"
    status, fields, text = ask(cluster, "GET", "/")
    assert fields["Content-Type"].startswith("text/html") and b"payledger" in text.lower(), fields
    status, fields, _ = ask(cluster, "GET", "/v1")
    assert status == 400, f"GET /v1 without an upgrade: {status}"


@case()
async def post_answers_like_the_socket(run):
    cluster = await run.common()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    one = payment(book.bank, alice, 3)
    reply = await asyncio.to_thread(cluster.post, 2, "payment.create", one)
    assert reply["id"] == 1 and reply["result"]["status"] == "posted", reply
    assert await posted(client, alice) == 3
    status, fields, text = ask(cluster, "POST", "/v1", BODY, JSON)
    assert status == 200 and fields["Content-Type"].startswith("application/json"), fields
    assert json.loads(text)["result"]["seq"] > 0
    status, _, text = ask(cluster, "POST", "/v1", f"[{BODY},{BODY}]", JSON)
    assert status == 200 and len(json.loads(text)) == 2, text
    for body, number in (("{", -32700), ("", -32700), ("[]", -32600), ("5", -32600)):
        status, _, text = ask(cluster, "POST", "/v1", body, JSON)
        assert status == 200 and json.loads(text)["error"]["code"] == number, (body, status, text)
    status, _, text = ask(cluster, "POST", "/v1", '{"jsonrpc":"2.0","method":"ledger.info"}', JSON)
    assert status in (200, 204) and text == b"", f"a notification: {status} {text!r}"


@case()
async def post_needs_its_media_type(run):
    cluster = await run.common()
    for value in ("application/json; charset=utf-8", "Application/JSON"):
        assert ask(cluster, "POST", "/v1", BODY, {"Content-Type": value})[0] == 200, value
    for value in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx",
                  "multipart/form-data"):
        assert ask(cluster, "POST", "/v1", BODY, {"Content-Type": value})[0] == 415, value
    assert ask(cluster, "POST", "/v1", BODY)[0] == 415


@case()
async def foreign_origins_are_forbidden(run):
    cluster = await run.common()
    port = cluster.nodes[1].client_port
    for origin in (f"http://127.0.0.1:{port}",):
        assert ask(cluster, "POST", "/v1", BODY, {**JSON, "Origin": origin})[0] == 200, origin
        client = await Client.open(cluster.url(1), origin=origin)
        await client.call("ledger.info")
        await client.close()
    for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}",
                   f"http://127.0.0.1:{port}.evil.example", "http://127.0.0.1", "",
                   f"http://evil.example:{port}"):
        status, _, _ = ask(cluster, "POST", "/v1", BODY, {**JSON, "Origin": origin})
        assert status == 403, f"POST with Origin {origin!r}: {status}"
        raw = await Raw.connect(cluster)
        status, _ = await raw.upgrade(Host=f"127.0.0.1:{port}", Origin=origin)
        raw.close()
        assert status == 403, f"upgrade with Origin {origin!r}: {status}"


@case()
async def listed_origins_are_allowed(run):
    cluster = await run.started(top='origins = { "https://pay.example" }')
    assert ask(cluster, "POST", "/v1", BODY, {**JSON, "Origin": "https://pay.example"})[0] == 200
    assert ask(cluster, "POST", "/v1", BODY, {**JSON, "Origin": "https://pay.examples"})[0] == 403


@case()
async def handshakes(run):
    cluster = await run.common()
    for headers, wanted in (({}, 101), ({"Sec_WebSocket_Protocol": "payledger.v1"}, 101),
                            ({"Sec_WebSocket_Protocol": "other, payledger.v1"}, 101),
                            ({"Sec_WebSocket_Protocol": "other"}, 400),
                            ({"Sec_WebSocket_Version": "12"}, 426),  # RFC 6455, 4.4
                            ({"Sec_WebSocket_Key": None}, 400),
                            ({"Sec_WebSocket_Key": "short"}, 400), ({"Host": None}, 400),
                            ({"Connection": "keep-alive, Upgrade"}, 101),
                            ({"Sec_WebSocket_Version": "13, 12"}, 426),
                            ({"Upgrade": "WebSocket"}, 101)):
        raw = await Raw.connect(cluster)
        status, fields = await raw.upgrade(**headers)
        raw.close()
        assert status == wanted, f"{headers}: {status}, wanted {wanted}"
        if wanted == 426:
            assert fields.get("sec-websocket-version") == "13", f"{headers}: {fields}"
        chosen = "payledger.v1" if wanted == 101 and "payledger.v1" in \
            headers.get("Sec_WebSocket_Protocol", "") else None
        assert fields.get("sec-websocket-protocol") == chosen, f"{headers}: {fields}"
        assert "sec-websocket-extensions" not in fields, "no compression"
    raw = await Raw.connect(cluster)
    status, _ = await raw.upgrade(path="/nope")
    raw.close()
    assert status == 404, status


async def answer_to(cluster, data, seconds=5):
    raw = await Raw.connect(cluster)
    try:
        await raw.send(data)
        return (await raw.head(seconds))[0]
    finally:
        raw.close()


@case()
async def bad_heads(run):
    cluster = await run.common()
    start = b"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    length = b"Content-Length: %d\r\n" % len(BODY)
    body = BODY.encode()
    problems = []
    for data, wanted in (
            (start + length + b"\r\n" + body, (200,)),
            (start + length + b"Transfer-Encoding: chunked\r\n\r\n" + body, (400,)),
            (start + length + b"Content-Length: 5\r\n\r\n" + body, (400,)),
            (start + b"Content-Length: -1\r\n\r\n" + body, (400,)),
            (start + b"Content-Length: 5x\r\n\r\n" + body, (400,)),
            (start + b"Content-Length: 99999999999999999999999\r\n\r\n" + body, (400, 413)),
            (start + b"Content-Length: 1073741824\r\n\r\n" + body, (413,)),
            (start + b"Content-Length: 4194305\r\n\r\n" + body, (413,)),
            (b"GARBAGE\r\n\r\n", (400, None)), (b"\x16\x03\x01\x02\x00\x01\x00\x01", (400, None)),
            (b"GET / HTTP/9.9\r\n\r\n", (400, None)), (b"GET\x00/ HTTP/1.1\r\n\r\n", (400, None)),
            # A name with a blank is another name to the next one who reads it.
            (start + b"Content-Length : %d\r\n\r\n" % len(BODY) + body, (400, None)),
            (start + length + b"Transfer-Encoding : chunked\r\n\r\n" + body, (400, None)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n", (400, None)),
            (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 9000 + b"\r\n\r\n", (400,)),
            (b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400,))):
        got = await answer_to(cluster, data)
        if got not in wanted:
            problems.append(f"{data[:90]!r}: {got}, wanted {wanted}")
    assert not problems, "\n".join(problems)


@case()
async def keep_alive_and_pipelining(run):
    cluster = await run.common()
    connection = http.client.HTTPConnection("127.0.0.1", cluster.nodes[1].client_port, timeout=5)
    for _ in range(3):
        connection.request("POST", "/v1", BODY, JSON)
        response = connection.getresponse()
        assert response.status == 200 and json.loads(response.read())["result"], response
    connection.close()
    one = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    raw = await Raw.connect(cluster)
    await raw.send(one + one)
    for _ in range(2):
        status, fields = await raw.head()
        assert status == 200, status
        await raw.reader.readexactly(int(fields["content-length"]))
    raw.close()


@case()
async def a_body_may_come_in_pieces(run):
    cluster = await run.common()
    head = (f"POST /v1 HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n").encode()
    raw = await Raw.connect(cluster)
    for byte in head[:40]:
        await raw.send(bytes([byte]))
    await raw.send(head[40:])
    await raw.send(BODY[:10].encode())
    await asyncio.sleep(0.1)
    await raw.send(BODY[10:].encode())
    status, _ = await raw.head()
    raw.close()
    assert status == 200, status


@case()
async def readyz_tells_when_it_can_not_serve(run):
    cluster = await run.started()
    leader = await cluster.leader()
    cluster.kill(*(number for number in cluster.nodes if number != leader))
    for _ in range(200):
        status, _, text = await asyncio.to_thread(cluster.http, leader, "GET", "/readyz")
        if status != 200:
            break
        await asyncio.sleep(0.1)
    assert status == 503 and text.strip(), f"alone it said {status} {text!r}"
    assert cluster.http(leader, "GET", "/livez")[0] == 200
    client = await run.client(cluster, leader)
    error = await client.refused("payment.create", payment("a", "b", 1), "no_leader",
                                 number=-32014, retryable=True, recorded=False)
    assert error.data.get("retry_after_ms", 1) > 0, error.data
    cluster.start()
    await cluster.wait_leader()
    await client.call("ledger.info")

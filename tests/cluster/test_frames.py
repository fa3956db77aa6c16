"""WebSocket frames: the documented close code for each way to break the protocol."""
import json
import struct

from harness import case
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Raw

ASK = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ledger.info"}).encode()
MEBIBYTE = 1024 * 1024


async def code_after(cluster, make, seconds=5):
    """The close code after the bytes that make(raw) gives."""
    raw = await Raw.upgraded(cluster)
    try:
        try:
            await raw.send(make(raw))
        except ConnectionError:
            pass  # it closed before it had read everything
        code = await raw.close_code(seconds)
        assert await raw.ended(seconds), f"after close code {code} the connection stayed open"
        return code
    finally:
        raw.close()


@case()
async def binary_is_1003(run):
    cluster = await run.common()
    assert await code_after(cluster, lambda raw: raw.frame(BINARY, ASK)) == 1003
    assert await code_after(cluster, lambda raw: raw.frame(BINARY, b"")) == 1003


@case()
async def bad_utf8_is_1007(run):
    cluster = await run.common()
    for text in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82",
                 b'{"id":"\xc3"}'):
        code = await code_after(cluster, lambda raw: raw.frame(TEXT, text))
        assert code == 1007, f"{text!r}: {code}"
    code = await code_after(cluster, lambda raw: raw.frame(TEXT, b'"\xe2', fin=False) +
                            raw.frame(CONTINUATION, b'"'))
    assert code == 1007, code


@case()
async def protocol_errors_are_1002(run):
    cluster = await run.common()
    for name, make in (
            ("not masked", lambda raw: raw.frame(TEXT, ASK, mask=False)),
            ("reserved bit", lambda raw: raw.frame(TEXT, ASK, reserved=4)),
            ("reserved opcode 3", lambda raw: raw.frame(3, ASK)),
            ("reserved opcode 11", lambda raw: raw.frame(11, b"")),
            ("continuation of nothing", lambda raw: raw.frame(CONTINUATION, ASK)),
            ("text inside of text", lambda raw: raw.frame(TEXT, b"{", fin=False) +
             raw.frame(TEXT, ASK)),
            ("long ping", lambda raw: raw.frame(PING, b"x" * 126)),
            ("fragmented ping", lambda raw: raw.frame(PING, b"x", fin=False)),
            ("close with one byte", lambda raw: raw.frame(CLOSE, b"x")),
            ("close with 1005", lambda raw: raw.frame(CLOSE, struct.pack("!H", 1005))),
            ("close with 999", lambda raw: raw.frame(CLOSE, struct.pack("!H", 999)))):
        code = await code_after(cluster, make)
        assert code == 1002, f"{name}: {code}"


@case(60)
async def too_big_is_1009(run):
    cluster = await run.common()
    # Refused by its head alone: nobody waits for a gigabyte.
    for size in (4 * MEBIBYTE + 1, 1024 * MEBIBYTE, 2 ** 62):
        code = await code_after(cluster, lambda raw: raw.frame(TEXT, b"[", announced=size))
        assert code == 1009, f"{size} bytes announced: {code}"
    part = b"x" * MEBIBYTE
    code = await code_after(cluster, lambda raw: raw.frame(TEXT, b'"' + part, fin=False) + b"".join(
        raw.frame(CONTINUATION, part, fin=False) for _ in range(4)))
    assert code == 1009, f"in fragments: {code}"


@case()
async def a_full_size_message_is_accepted(run):
    cluster = await run.common()
    raw = await Raw.upgraded(cluster)
    text = ASK + b" " * (4 * MEBIBYTE - len(ASK))
    await raw.send(raw.frame(TEXT, text))
    opcode, payload = await raw.read_frame()
    assert opcode == TEXT and "result" in json.loads(payload)
    raw.close()


@case()
async def fragments_and_pings(run):
    cluster = await run.common()
    raw = await Raw.upgraded(cluster)
    await raw.send(raw.frame(TEXT, ASK[:1], fin=False) + raw.frame(PING, b"between") +
                   raw.frame(CONTINUATION, b"", fin=False) + raw.frame(CONTINUATION, ASK[1:]))
    frames = [await raw.read_frame(), await raw.read_frame()]
    assert (PONG, b"between") in frames, frames
    texts = [payload for opcode, payload in frames if opcode == TEXT]
    assert len(texts) == 1 and "result" in json.loads(texts[0]), frames
    for byte in raw.frame(TEXT, ASK):  # a byte at a time
        await raw.send(bytes([byte]))
    opcode, payload = await raw.read_frame()
    assert opcode == TEXT and "result" in json.loads(payload)
    await raw.send(raw.frame(PONG, b"unasked"))  # allowed, and ignored
    await raw.send(raw.frame(CLOSE, struct.pack("!H", 1000) + b"bye"))
    assert await raw.close_code() == 1000
    assert await raw.ended()
    raw.close()


@case()
async def close_without_a_code(run):
    cluster = await run.common()
    raw = await Raw.upgraded(cluster)
    await raw.send(raw.frame(CLOSE))
    assert await raw.close_code() in (1000, 1005)
    assert await raw.ended()
    raw.close()


@case()
async def going_away_is_1001(run):
    cluster = await run.started()
    raws = [await Raw.upgraded(cluster, 1) for _ in range(3)]
    status, _ = await cluster.terminate(1, 8)
    assert status == 0, status
    for raw in raws:
        assert await raw.close_code() == 1001
        raw.close()


@case()
async def errors_are_counted(run):
    cluster = await run.common()
    before = (await cluster.metrics(1))["payledger_protocol_errors_total"]
    for _ in range(3):
        await code_after(cluster, lambda raw: raw.frame(BINARY, ASK))
    after = (await cluster.metrics(1))["payledger_protocol_errors_total"]
    assert after == before + 3, (before, after)


@case(70, long_only=True)
async def no_pong_is_1008(run):
    """A client that answers no ping is closed after 40 s."""
    cluster = await run.common()
    raw = await Raw.upgraded(cluster)
    code = await raw.close_code(55)
    assert code == 1008, code
    raw.close()

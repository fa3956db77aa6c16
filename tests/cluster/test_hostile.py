"""Clients that mean harm: others must notice nothing, and the node must stay within its bounds."""
import asyncio
import json
import os
import random

from book import Book, Pulse
from client import Client
from cluster import slow, wait_until
from harness import case
from raw import TEXT, Raw

# What a quiet client may have to wait on a noisy machine of two cores.
DISTURBANCE_S_MAX = 3.0


async def pulse_of(run, cluster, node=1):
    client = await run.client(cluster, node)
    book = await Book.make(client)
    account = await book.customer(client)
    return Pulse(cluster, node, book.bank, account)


def memory_kb(cluster, node=1):
    with open(f"/proc/{cluster.nodes[node].process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


@case(60)
async def garbage_everywhere(run):
    """Random bytes at the client port and the peer port, before and after the handshake."""
    cluster = await run.common()
    randomly = random.Random(20261123)
    async with await pulse_of(run, cluster) as pulse:
        for round_number in range(run.rounds(40, 400)):
            data = randomly.randbytes(randomly.choice((1, 7, 100, 5000, 100_000)))
            for port in (cluster.nodes[1].client_port, cluster.nodes[1].peer_port):
                raw = await Raw.connect(cluster, port=port)
                try:
                    await raw.send(data)
                    if round_number % 4 == 0:
                        await raw.ended(0.05)
                except ConnectionError:
                    pass
                raw.close()
            raw = await Raw.upgraded(cluster)
            try:
                await raw.send(data)
                await raw.send(raw.frame(TEXT, data[:1000]))
            except ConnectionError:
                pass
            raw.close()
    pulse.check(DISTURBANCE_S_MAX)


@case(60)
async def half_frames(run):
    """Left in the middle of a frame, of a head, of a TLS record: cut off, and kept open."""
    cluster = await run.common()
    body = b'{"jsonrpc":"2.0","id":1,"method":"ledger.info"}'
    held = []
    async with await pulse_of(run, cluster) as pulse:
        for cut in range(0, 40, 3):
            for keep in (False, True):
                raw = await Raw.upgraded(cluster)
                await raw.send(raw.frame(TEXT, body)[:cut])
                if keep:
                    held.append(raw)
                else:
                    raw.close()
        for raw in held:
            raw.close()
    pulse.check(DISTURBANCE_S_MAX)


@case(60)
async def big_announcements_cost_nothing(run):
    cluster = await run.common()
    before = memory_kb(cluster)
    raws = []
    async with await pulse_of(run, cluster) as pulse:
        for _ in range(100):
            raw = await Raw.upgraded(cluster)
            # Just below what is too big: the node must not take the memory before it has the bytes.
            await raw.send(raw.frame(TEXT, b'["', announced=4 * 1024 * 1024))
            raws.append(raw)
        await asyncio.sleep(0.3)
        grown = memory_kb(cluster) - before
    for raw in raws:
        raw.close()
    run.note(f"100 announced messages of 4 MiB: {grown} kB more memory")
    assert grown < 150 * 1024, f"memory grew by {grown} kB"
    pulse.check(DISTURBANCE_S_MAX)


@case(60)
async def deep_json_does_not_disturb(run):
    cluster = await run.common()
    client = await run.client(cluster, 1)
    async with await pulse_of(run, cluster) as pulse:
        for text in ("[" * 10_000, '{"a":' * 10_000, "[" * 2_000_000, '[{"a":' * 400_000):
            reply = await client.text(text)
            assert reply["error"]["data"]["code"] == "nesting_too_deep", reply
            assert reply["id"] is None
    pulse.check(DISTURBANCE_S_MAX)


@case(90)
async def a_slow_reader_is_closed(run):
    """It asks for much and reads nothing: closed after 10 s with 1008, bounded until then."""
    cluster = await run.common()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    account = await book.customer(client)
    items = [{"id": f"0198d2c4-a0f0-7c3e-9b1f-{number:012x}", "debit": book.bank, "credit": account,
              "amount": "1", "metadata": {"pad": "x" * 900}}
             for number in random.sample(range(2 ** 40), 1000)]
    await client.call("payment.batch", {"mode": "independent", "items": items}, 30)

    raw = await Raw.upgraded(cluster)
    sessions = (await cluster.metrics(1))["payledger_sessions"]
    raw.writer.transport.pause_reading()
    async with Pulse(cluster, 1, book.bank, account) as pulse:
        ask = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "payment.list",
                          "params": {"account": account, "limit": 1000}}).encode()
        begin = asyncio.get_running_loop().time()
        for _ in range(25):
            raw.writer.write(raw.frame(TEXT, ask))

        async def closed():
            # The pulse has a session too.
            return (await cluster.metrics(1))["payledger_sessions"] <= sessions
        await wait_until("the slow reader to be closed", 30, closed, 0.2)
        took = asyncio.get_running_loop().time() - begin
    run.note(f"closed after {took:.1f} s")
    assert took >= 8, f"closed after {took:.1f} s already: a reader may be slow for 10 s"
    pulse.check(DISTURBANCE_S_MAX)
    raw.writer.transport.resume_reading()
    code = await raw.close_code(20)
    assert code in (1008, None), code
    raw.close()


@case(90)
async def silent_connections_are_closed(run):
    """Hundreds of connections that say nothing: each is gone after the 10 s it has to open."""
    cluster = await run.common()
    raws = []
    async with await pulse_of(run, cluster) as pulse:
        for port in (cluster.nodes[1].client_port, cluster.nodes[1].peer_port):
            for _ in range(200):
                raws.append(await Raw.connect(cluster, port=port))
        await raws[0].send(b"GET /v1 HTTP/1.1\r\nHost: x\r\n")  # half a head counts as nothing
        begin = asyncio.get_running_loop().time()
        ended = await asyncio.gather(*(raw.ended(25) for raw in raws))
        took = asyncio.get_running_loop().time() - begin
    for raw in raws:
        raw.close()
    assert all(ended), f"{ended.count(False)} of {len(ended)} connections stayed open"
    run.note(f"{len(raws)} silent connections closed within {took:.1f} s")
    pulse.check(DISTURBANCE_S_MAX)


@case(90)
async def connection_floods(run):
    """Hundreds come and go, and hundreds stay: the others are served as before."""
    cluster = await run.common()
    before = len(os.listdir(f"/proc/{cluster.nodes[1].process.pid}/fd"))
    async with await pulse_of(run, cluster) as pulse:
        stay = []
        for _ in range(6):
            opened = await asyncio.gather(*(Client.open(cluster.url(1), timeout_s=20)
                                            for _ in range(50)))
            stay += opened
        replies = await asyncio.gather(*(one.reply("ledger.info", timeout_s=20) for one in stay))
        assert all("result" in reply for reply in replies)
        for _ in range(300):
            raw = await Raw.connect(cluster)
            raw.close()
        for one in stay:
            one.socket.transport.abort()  # without a closing handshake
            one.reader.cancel()
    pulse.check(DISTURBANCE_S_MAX)

    async def forgotten():
        return len(os.listdir(f"/proc/{cluster.nodes[1].process.pid}/fd")) <= before + 8
    await wait_until("the descriptors of dead connections to be closed", 15, forgotten, 0.2)


@case(60)
async def endless_requests_without_reading_replies(run):
    """One connection asks as fast as it can: it is served, or told `overloaded`."""
    cluster = await run.common()
    client = await run.client(cluster, 1)
    async with await pulse_of(run, cluster, 2) as pulse:
        futures = [await client.send("ledger.info") for _ in range(5000)]
        replies = await asyncio.wait_for(asyncio.gather(*futures), slow(40))
    codes = {reply["error"]["data"]["code"] for reply in replies if "error" in reply}
    assert codes <= {"overloaded"}, codes
    served = sum("result" in reply for reply in replies)
    run.note(f"{served} of {len(replies)} served, the others told `overloaded`")
    assert served >= 1000, f"only {served} were served"
    pulse.check(DISTURBANCE_S_MAX)

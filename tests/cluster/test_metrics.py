"""/metrics, /livez and /readyz."""
import asyncio
import re
import subprocess

from book import Book
from client import payment
from harness import case, require_program

LINE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?\d+(\.\d+)?$')


@case()
async def text_is_well_formed(run):
    cluster = await run.common()
    status, fields, text = cluster.http(1, "GET", "/metrics")
    assert status == 200 and fields["Content-Type"].startswith("text/plain; version=0.0.4"), fields
    helped, typed = set(), set()
    for line in text.decode().splitlines():
        if line.startswith("# HELP "):
            helped.add(line.split()[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            typed.add(name)
            assert (kind == "counter") == name.endswith("_total"), line
        elif line:
            assert LINE.match(line), line
            name = re.split(r"[{ ]", line)[0]
            assert name in helped and name in typed, line
            assert name.startswith(("payledger_", "process_")), line
    assert text.endswith(b"\n") and len(typed) > 20


@case()
async def promtool_accepts_it(run):
    promtool = require_program("promtool", "prometheus")
    cluster = await run.common()
    for number in cluster.nodes:
        _, _, text = cluster.http(number, "GET", "/metrics")
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True,
                              timeout=30, check=False)
        assert done.returncode == 0 and not done.stderr.strip(), (done.stdout, done.stderr)


@case()
async def counters_count(run):
    cluster = await run.common()
    leader = await cluster.leader()
    follower = next(number for number in cluster.nodes if number != leader)
    client = await run.client(cluster, follower)
    book = await Book.make(client)
    account = await book.customer(client)
    before = await cluster.metrics(leader), await cluster.metrics(follower)
    one = payment(book.bank, account, 1)
    for _ in range(3):
        await client.call("payment.create", one)
    await client.refused("payment.create", payment(account, book.bank, 5), "insufficient_funds")
    await client.refused("payment.create", payment(account, book.bank, "0"), "amount_zero")
    after = await cluster.metrics(leader), await cluster.metrics(follower)

    def grown(which, name):
        return after[which][f"payledger_{name}"] - before[which][f"payledger_{name}"]
    assert grown(0, "payments_posted_total") == 1
    assert grown(0, "payments_refused_total") == 1
    assert grown(0, "replays_total") + grown(1, "replays_total") == 2
    assert grown(1, "forwards_total") == 4 == grown(0, "forwards_served_total")
    assert grown(1, "requests_total") == 5 and grown(1, "requests_refused_total") == 2
    assert after[0]["payledger_is_leader"] == 1 and after[1]["payledger_is_leader"] == 0
    assert after[0]["payledger_seq"] == before[0]["payledger_seq"] + 2
    assert after[1]["payledger_sessions"] == 1


@case()
async def elections_count(run):
    cluster = await run.started()
    leader = await cluster.leader()
    term = (await cluster.metrics(leader))["payledger_term"]
    cluster.kill(leader)
    successor = await cluster.wait_leader()
    values = await cluster.metrics(successor)
    assert values["payledger_elections_total"] >= 1 and values["payledger_term"] > term, values


@case()
async def health_probes(run):
    cluster = await run.common()
    for number in cluster.nodes:
        for path in ("/livez", "/readyz"):
            status, _, text = await asyncio.to_thread(cluster.http, number, "GET", path)
            assert status == 200 and text.strip(), f"{path} of node {number}: {status} {text!r}"

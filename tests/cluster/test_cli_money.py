"""What people type and read at the command line: scales, tables, and how it ended."""
import asyncio
import json
import os
import re

from book import fresh, fresh_currency
from client import new_id, payment
from cluster import free_ports
from harness import case

DONE, REFUSED, USAGE, UNKNOWN, UNREACHABLE = range(5)


class Cli:
    """payledger against some nodes of a cluster, with a currency and two accounts of its own."""

    def __init__(self, cluster, nodes=(1,)):
        self.cluster = cluster
        self.options = []
        for number in nodes:
            self.options += ["--node", f"127.0.0.1:{cluster.nodes[number].client_port}"]
        self.currency = fresh_currency()
        self.bank, self.alice = fresh("bank-"), fresh("alice-")

    def run(self, *words, status=DONE):
        done = self.cluster.tool(*words, *self.options, check=False)
        assert done.returncode == status, \
            f"{' '.join(words)}: status {done.returncode}, wanted {status}: " \
            f"{done.stdout}{done.stderr}"
        return done

    def json(self, *words):
        return json.loads(self.run(*words, "--json").stdout)

    def setup(self, scale=2):
        self.run("currency", "create", self.currency, str(scale))
        self.run("account", "open", self.bank, self.currency, "--overdraft", "unlimited")
        self.run("account", "open", self.alice, self.currency)
        return self

    def posted(self, account):
        return int(self.json("account", "get", account)["posted"])


@case()
async def amounts_use_the_scale_exactly(run):
    """Among them those that a floating-point number would get wrong."""
    cluster = await run.common()
    for scale, typed, minor in ((2, "19.99", 1999), (2, "5", 500), (2, "0.1", 10), (0, "7", 7),
                                (18, "0.000000000000000001", 1),
                                (3, "12345678901234567890.123", 12345678901234567890123),
                                (2, "0.29", 29), (2, "1.15", 115), (2, "1001.10", 100110)):
        cli = Cli(cluster).setup(scale)
        out = cli.run("pay", cli.bank, cli.alice, f"{typed} {cli.currency}").stdout
        assert cli.posted(cli.alice) == minor, f"{typed} with scale {scale}"
        whole, _, decimals = typed.partition(".")
        shown = f"{whole}.{decimals:0<{scale}}" if scale else whole
        assert f" {shown} " in out, f"{shown} is not shown: {out}"


@case()
async def tables_for_people_json_for_machines(run):
    cli = Cli(await run.common()).setup()
    out = cli.run("pay", cli.bank, cli.alice, f"19.99 {cli.currency}").stdout
    assert "19.99" in out and "1999" not in out, out
    assert re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", out), f"the id is not shown: {out}"
    result = cli.json("pay", cli.bank, cli.alice, f"0.01 {cli.currency}")
    assert result["status"] == "posted" and result["replayed"] is False, result
    out = cli.run("account", "get", cli.alice).stdout
    assert re.search(rf"^{cli.alice} +20\.00 ", out, re.MULTILINE), out
    assert cli.json("account", "get", cli.alice)["posted"] == "2000"
    out = cli.run("history", cli.alice).stdout
    assert out.index("+0.01") < out.index("+19.99"), f"newest first: {out}"
    out = cli.run("totals").stdout
    assert re.search(rf"^{cli.currency} +20\.00 +20\.00 ", out, re.MULTILINE), out
    row = next(row for row in cli.json("totals")["totals"] if row["currency"] == cli.currency)
    assert row["debits_posted"] == row["credits_posted"] == "2000", row


@case()
async def refused_is_1(run):
    cli = Cli(await run.common()).setup()
    done = cli.run("pay", cli.alice, cli.bank, f"1 {cli.currency}", status=REFUSED)
    assert "insufficient_funds" in done.stderr + done.stdout, done
    cli.run("account", "get", fresh("none-"), status=REFUSED)
    cli.run("currency", "create", cli.currency, "3", status=REFUSED)
    cli.run("account", "open", cli.alice, cli.currency, "--normal", "debit", status=REFUSED)
    cli.run("call", "no.such", status=REFUSED)
    cli.run("call", "payment.get", json.dumps({"id": new_id()}), status=REFUSED)


@case(60)
async def unknown_is_3_until_it_is_resolved(run):
    cluster = await run.started(top="request_timeout_ms = 1000")
    leader = await cluster.leader()
    cli = Cli(cluster, nodes=(leader,)).setup()
    others = [number for number in cluster.nodes if number != leader]
    for number in others:
        cluster.pause(number)
    # Not by `pay`: it would ask for the currency's scale first, and give up there.
    words = ("call", "payment.create", json.dumps(payment(cli.bank, cli.alice, 100)), "--timeout")
    await asyncio.to_thread(cli.run, *words, "1500", status=UNKNOWN)
    for number in others:
        cluster.resume(number)
    await cluster.wait_leader()
    # The way out: the same id again.
    await asyncio.to_thread(cli.run, *words, "15000")
    assert cli.posted(cli.alice) == 100


@case(60)
async def unreachable_is_4(run):
    cluster = await run.started(tls=True)
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    done = await asyncio.to_thread(cluster.tool, "totals", "--timeout", "1500", "--node", nobody,
                                   check=False)
    assert done.returncode == UNREACHABLE and nobody in done.stderr, done
    # A node that can not prove who it is counts as no node.
    foreign = os.path.join(cluster.dir, "foreign")
    cluster.tool("pki", "init", "--dir", foreign, "--nodes", "1")
    cli = Cli(cluster)
    cli.options += ["--ca", os.path.join(foreign, "ca.pem")]
    await asyncio.to_thread(cli.run, "totals", "--timeout", "1500", status=UNREACHABLE)


@case(60)
async def a_broken_batch_run_is_simply_repeated(run):
    cli = Cli(await run.common()).setup()
    path = os.path.join(cli.cluster.dir, "batch")

    def write(lines):
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
    rows = [payment(cli.bank, cli.alice, 1) for _ in range(2500)]
    for count in (1000, 2500, 2500):  # the first run ended early
        write(json.dumps(row) for row in rows[:count])
        cli.run("batch", path)
        assert cli.posted(cli.alice) == count
    for bad in (["{"], ["[]"], ['{"id":5}'], ["id,debit", "x,y"], ["\ufffe"]):
        write(bad)
        assert cli.run("batch", path, status=USAGE).stderr.strip()
    assert cli.posted(cli.alice) == 2500

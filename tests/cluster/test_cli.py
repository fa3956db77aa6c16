"""The command line: its commands against a real cluster, its exit statuses, other nodes."""
import json
import os
import subprocess
import time
import uuid

from book import fresh_currency
from cluster import slow
from harness import case

DONE, REFUSED, USAGE, UNKNOWN, UNREACHABLE = range(5)


def fresh_name(word):
    return f"{word}-{uuid.uuid4().hex[:12]}"


def pay_tool(cluster, *arguments, node=None, status=DONE, **options):
    """Runs payledger against all nodes (or one) and checks its exit status."""
    numbers = [node] if node else list(cluster.nodes)
    addresses = ",".join(f"127.0.0.1:{cluster.nodes[number].client_port}" for number in numbers)
    done = cluster.tool(*arguments, check=False, env={"PAYLEDGER_NODES": addresses}, **options)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def opened(cluster):
    """A currency with two decimals and the accounts bank, alice, shop of this test."""
    code = fresh_currency()
    bank, alice, shop = (fresh_name(word) for word in ("bank", "alice", "shop"))
    pay_tool(cluster, "currency", "create", code, "2")
    pay_tool(cluster, "account", "open", bank, code, "--normal", "debit", "--overdraft",
             "unlimited")
    pay_tool(cluster, "account", "open", alice, code)
    pay_tool(cluster, "account", "open", shop, code, "--overdraft", "100.00")
    return code, bank, alice, shop


def as_json(cluster, *arguments, **options):
    return json.loads(pay_tool(cluster, *arguments, "--json", **options).stdout)


@case()
async def payments_in_the_currencys_scale(run):
    cluster = await run.common()
    code, bank, alice, shop = opened(cluster)
    pay_tool(cluster, "pay", bank, alice, f"820.00 {code}", node=1)
    done = pay_tool(cluster, "pay", alice, shop, "19.99", code, "--reference", fresh_name("inv"),
                    "--metadata", '{"a":[1]}', node=2)
    assert "800.01" in done.stdout, done.stdout
    account = as_json(cluster, "account", "get", alice, node=3)
    assert account["posted"] == "80001" and account["entries"] == 2, account
    assert as_json(cluster, "account", "get", shop)["overdraft"] == "10000"
    for amount in ("1.001", "0", "0.00", "-1", "1e3", "1,5", "01", ""):
        done = pay_tool(cluster, "pay", "--", alice, shop, f"{amount} {code}", status=USAGE)
        assert "AMOUNT" in done.stderr, done.stderr
    done = pay_tool(cluster, "pay", alice, shop, "1.00 NOPE", status=REFUSED)
    assert "NOPE" in done.stderr, done.stderr


@case()
async def the_same_id_pays_once(run):
    cluster = await run.common()
    code, bank, alice, _ = opened(cluster)
    identifier = str(uuid.uuid4())
    words = ("pay", bank, alice, f"5.00 {code}", "--id", identifier)
    first = as_json(cluster, *words)
    again = as_json(cluster, *words)
    assert again["replayed"] is True and again["seq"] == first["seq"], (first, again)
    assert as_json(cluster, "account", "get", alice)["posted"] == "500"
    done = pay_tool(cluster, "pay", bank, alice, f"6.00 {code}", "--id", identifier, "--json",
                    status=REFUSED)
    assert json.loads(done.stdout)["error"]["data"]["code"] == "idempotency_mismatch", done.stdout


@case()
async def history_and_totals(run):
    cluster = await run.common()
    code, bank, alice, shop = opened(cluster)
    for amount in ("1.00", "2.00", "3.00"):
        pay_tool(cluster, "pay", bank, alice, f"{amount} {code}")
    pay_tool(cluster, "pay", alice, shop, f"0.50 {code}")
    lines = pay_tool(cluster, "history", alice).stdout.splitlines()
    assert len(lines) == 5, lines
    assert lines[1].split()[1:4] == ["-0.50", "5.50", shop], lines
    assert lines[4].split()[1:4] == ["+1.00", "1.00", bank], lines
    assert len(pay_tool(cluster, "history", alice, "--limit", "2").stdout.splitlines()) == 3
    row = next(line for line in pay_tool(cluster, "totals").stdout.splitlines()
               if line.startswith(code))
    assert row.split() == [code, "6.50", "6.50", "0.00", "0.00", "3", "yes"], row
    assert code in pay_tool(cluster, "currency", "list").stdout
    listed = [json.loads(line) for line in
              pay_tool(cluster, "account", "list", "--json").stdout.splitlines()]
    assert any(account["id"] == alice for page in listed for account in page["accounts"])
    assert "leads in term" in pay_tool(cluster, "status").stdout
    status = json.loads(pay_tool(cluster, "call", "cluster.status").stdout)
    assert len(status["nodes"]) == len(cluster.nodes), status


@case()
async def a_batch_file_is_sent_once(run):
    cluster = await run.common()
    code, bank, alice, shop = opened(cluster)
    path = os.path.join(cluster.dir, f"{code}.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("debit,credit,amount,currency\n")
        file.writelines(f"{bank},{alice},0.01,{code}\n" for _ in range(250))
    done = pay_tool(cluster, "batch", path, status=USAGE)
    assert "line 2" in done.stderr and "--name" in done.stderr, done.stderr
    words = ("batch", path, "--name", code, "--chunk", "100")
    assert pay_tool(cluster, *words).stdout.startswith("250 posted, 0 posted before")
    assert pay_tool(cluster, *words).stdout.startswith("0 posted, 250 posted before")
    assert as_json(cluster, "account", "get", alice)["posted"] == "250"

    lines = [{"id": str(uuid.uuid4()), "debit": alice, "credit": shop, "amount": amount}
             for amount in ("100", "100", "100")]
    path = os.path.join(cluster.dir, f"{code}.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    done = pay_tool(cluster, "batch", path, "--atomic", status=REFUSED)
    assert "insufficient_funds" in done.stdout and "batch_aborted" in done.stdout, done.stdout
    assert as_json(cluster, "account", "get", alice)["posted"] == "250"


@case()
async def arguments_are_named(run):
    cluster = await run.common()
    for words, named in ((("pay", "a"), "missing"),
                         (("account", "shut", "a"), "account shut"),
                         (("status", "--colour"), "--colour"),
                         (("status", "--timeout", "0"), "--timeout"),
                         (("status", "--node", "nowhere"), "nowhere"),
                         (("--node",), "--node needs a value"),
                         (("--json",), "a command is missing"),
                         (("account", "get", "a b"), "a b"),
                         (("account", "get", "a", "--stale", "--min-seq", "1"), "--stale"),
                         (("pay", "a", "b", "1 EUR", "--id", "7"), "--id 7"),
                         (("pay", "a", "b", "1 EUR", "--valid-until", "soon"), "soon"),
                         (("currency", "create", "EUR", "19"), "19"),
                         (("call", "cluster.status", "[1]"), "[1]"),
                         (("batch", "/nowhere"), "/nowhere")):
        done = pay_tool(cluster, *words, status=USAGE)
        assert named in done.stderr, (words, done.stderr)
    for words in (("help",), ("help", "pay"), ("pay", "--help"), ("--help",),
                  ("help", "account", "open")):
        assert "payledger" in pay_tool(cluster, *words).stdout


@case(limit_s=60)
async def finds_another_node(run):
    cluster = await run.started()
    code, bank, alice, _ = opened(cluster)
    leader = await cluster.leader()
    cluster.kill(leader)
    # The dead node comes first in the list of one of these at least.
    for _ in range(3):
        pay_tool(cluster, "pay", bank, alice, f"1.00 {code}")
    assert as_json(cluster, "account", "get", alice)["posted"] == "300"
    pay_tool(cluster, "status", node=leader, status=UNREACHABLE, timeout_s=40)


@case(limit_s=60)
async def without_a_majority_nothing_is_claimed(run):
    cluster = await run.started()
    code, bank, alice, _ = opened(cluster)
    leader = await cluster.leader()
    cluster.kill(*(number for number in cluster.nodes if number != leader))
    done = pay_tool(cluster, "call", "payment.create",
                    json.dumps({"id": str(uuid.uuid4()), "debit": bank, "credit": alice,
                                "amount": "100"}), "--timeout", "7000", node=leader,
                    status=UNKNOWN)
    assert json.loads(done.stdout)["error"]["data"]["code"] == "unknown", done.stdout
    done = pay_tool(cluster, "account", "get", alice, "--stale", node=leader)
    assert code in done.stdout, done.stdout


@case(limit_s=60)
async def over_tls(run):
    cluster = await run.started(tls=True)
    ca = os.path.join(cluster.pki, "ca.pem")
    pay_tool(cluster, "status", "--ca", ca)
    pay_tool(cluster, "currency", "create", fresh_currency(), "2", "--tls", "--ca", ca)
    done = pay_tool(cluster, "status", "--tls", status=USAGE)
    assert "--tls: needs --ca FILE" in done.stderr, done.stderr
    done = pay_tool(cluster, "status", "--timeout", "1500", status=UNREACHABLE)
    assert "--ca FILE" in done.stderr, done.stderr
    pay_tool(cluster, "status", "--ca", os.path.join(cluster.dir, "no.pem"), status=USAGE)


@case()
async def tls_where_there_is_none_is_explained(run):
    cluster = await run.common()
    ca = os.path.join(cluster.pki, "ca.pem")
    done = pay_tool(cluster, "status", "--ca", ca, "--timeout", "500", node=1, status=UNREACHABLE)
    assert "without --ca" in done.stderr, done.stderr


@case(limit_s=40)
async def nobody_there_is_said_and_given_up(run):
    cluster = run.cluster()  # never started
    begin = time.monotonic()
    done = pay_tool(cluster, "account", "get", "alice", status=UNREACHABLE)
    assert time.monotonic() - begin < slow(6), time.monotonic() - begin
    notice, end, tried = done.stderr.splitlines()
    assert "no answer yet" in notice and "unreachable" in end, done.stderr
    for node in cluster.nodes.values():
        for line in (notice, tried):
            assert f"127.0.0.1:{node.client_port}: connection refused" in line, done.stderr


@case(limit_s=40)
async def a_future_min_seq_is_a_refusal(run):
    cluster = await run.common()
    _, _, alice, _ = opened(cluster)
    done = pay_tool(cluster, "account", "get", alice, "--min-seq", "999999999", "--timeout",
                    "6500", node=1, status=REFUSED)
    assert "read_timeout" in done.stderr and "unreachable" not in done.stderr, done.stderr


@case()
async def refusals_name_amounts_and_accounts(run):
    cluster = await run.common()
    code, bank, alice, shop = opened(cluster)
    other = opened(cluster)
    pay_tool(cluster, "pay", bank, alice, f"240.03 {code}")
    for _ in range(2):
        done = pay_tool(cluster, "pay", alice, shop, f"1000.50 {code}", status=REFUSED)
        assert f"refused: {alice} has 240.03 {code} available, 1000.50 {code} needed (" \
            in done.stderr, done.stderr
    done = pay_tool(cluster, "pay", alice, other[3], f"1.00 {code}", status=REFUSED)
    assert f"{other[3]} is in {other[0]}, not {code}" in done.stderr, done.stderr
    done = pay_tool(cluster, "account", "get", "nobody-here", status=REFUSED)
    assert "there is no such account: nobody-here" in done.stderr, done.stderr
    identifier = str(uuid.uuid4())
    done = pay_tool(cluster, "call", "payment.get", json.dumps({"id": identifier}), status=REFUSED)
    assert f"there is no such payment: {identifier}" in done.stdout, done.stdout


@case()
async def a_reader_that_leaves_is_no_failure(run):
    cluster = await run.common()
    tool = run.binary("payledger")
    done = subprocess.run(["sh", "-c", f'"{tool}" account list --node '
                           f'127.0.0.1:{cluster.nodes[1].client_port}; echo "status $?" >&2'],
                          stdout=closed_pipe(), stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "status 0\n", done.stderr


def closed_pipe():
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")

"""payledger bench: what it sends, counts and checks, against real nodes."""
import json
import os

from harness import case
from test_cli import pay_tool


def bench(cluster, *arguments):
    ended = pay_tool(cluster, "bench", "--json", "--accounts", "50", "--connections", "3",
                     *arguments, timeout_s=60)
    assert ended.returncode == 0, (ended.returncode, ended.stdout, ended.stderr)
    return json.loads(ended.stdout)


def is_right(result):
    checks = result["checks"]
    assert checks["passed"] is True, checks
    assert checks["ids_checked"] == checks["ids_acknowledged"] == result["run"]["posted"], checks
    assert result["run"]["posted"] > 0 and result["run"]["unknown"] == 0, result["run"]
    for node in result["nodes"]:
        assert node["known"] and node["memory_bytes"] > 0 and node["entries_per_s"] > 0, node
    assert [node["leader"] for node in result["nodes"]].count(True) == 1
    latency = result["latency_us"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"], latency


@case(limit_s=90)
async def closed_loop(run):
    cluster = await run.common()
    for payments in ("1", "50"):
        result = bench(cluster, "--seconds", "2", "--payments", payments, "--in-flight", "4",
                       "--verify", "all")
        is_right(result)
        assert result["settings"]["loop"] == "closed"
        assert len(result["series"]) >= 2


@case(limit_s=90)
async def open_loop_keeps_its_rate(run):
    cluster = await run.common()
    series = os.path.join(cluster.dir, "series")
    result = bench(cluster, "--seconds", "3", "--rate", "200", "--mix", "3:1", "--distribution",
                   "zipf", "--ids", "random", "--verify", "all", "--series", series)
    is_right(result)
    counts = result["measured"]
    sent = counts["posted"] + counts["reads"] + counts["not_sent_requests"] + counts["refused"]
    assert 450 <= sent <= 750, counts
    with open(series, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert sum(row["posted"] for row in rows) == result["run"]["posted"], rows

"""The targets of docs/performance.md: what is asked, what was measured, whether it is reached."""

import dataclasses

from . import charts, figures, machine, report, rounds, speed, state
from .context import Context, Skipped
from .workspace import Failed, Unsupported


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    what: str
    target: str
    measure: object


ALL = (
    Scenario("single", "one payment per request, 64 connections pipelined, TLS to clients off",
             "at least 8 x PostgreSQL's best", speed.single),
    Scenario("batch", "1,000 payments per request, 10,000 accounts, UUIDv7 ids",
             "at least 15 x PostgreSQL's best, 30 x etcd", speed.batch),
    Scenario("hot", "all payments on one hot account", "at least 80 % of the uniform rate",
             speed.hot),
    Scenario("tls", "client TLS on", "at least 75 % of the rate without", speed.tls),
    Scenario("latency", "one payment at a time",
             "p50 at most 2.5 x, p99 at most 4 x a bare raft commit of the same size",
             speed.latency),
    Scenario("half_rate", "latency at half of the peak rate",
             "p99 at most 10 x the unloaded p50, no periodic stalls", speed.half_rate),
    Scenario("overload", "overload at 3 x capacity, open loop",
             "goodput at least 85 % of the peak, the rest refused early; back to normal within 2 s",
             speed.overload),
    Scenario("growth", "a ledger with many payments and accounts",
             "at least 70 % of the rate of an empty one; under 512 MiB of memory; at most 450 "
             "bytes on disk per payment", state.growth),
    Scenario("connections", "idle clients", "at most 16 KiB each, and p99 does not move (1.2 x)",
             state.connections),
    Scenario("slow_follower", "one follower slow",
             "peak rate and p99 within 20 % of a healthy cluster", state.slow_follower),
    Scenario("recovery", "restart of a node, and state transfer to one",
             "ready within 3 s; 100 MB/s or more with the leader's p99 within 2 x",
             state.recovery),
)


def chosen(names):
    known = {scenario.name: scenario for scenario in ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise Failed(f"there is no target {unknown[0]}: see bench/run targets --list")
    return [known[name] for name in names] if names else list(ALL)


def run(space, options, command, before, save):
    """Measures targets; what was stored of others stays."""
    content = rounds.new_report("targets", space, options.build, command)
    del content["rounds"], content["left_out"]
    content["targets"] = dict(before["targets"]) if before else {}
    context = Context(space, options)
    try:
        for scenario in chosen(options.names):
            rounds.say(f"== {scenario.name}: {scenario.what}")
            content["targets"][scenario.name] = _one(context, scenario, command)
            save(content)
    finally:
        context.close()
    return content


def _one(context, scenario, command):
    context.flushes.clear()
    context.busy.clear()
    busy = machine.busy_share()
    flush_us = machine.flush_latency(context.space.dir)
    found = {"command": command, "flush_us": flush_us}
    try:
        outcome = scenario.measure(context)
        found.update(text=outcome.text, reached=outcome.reached, figures=outcome.figures)
    except (Skipped, Unsupported) as reason:
        found.update(text=f"skipped: {reason}", reached=None, figures={})
    found["busy_share"] = round(figures.median([busy, *context.busy]), 3)
    found["quick"] = context.quick
    rounds.say(f"   {found['text']}: {verdict(found)}")
    return found


def verdict(found):
    """A quick run stores and connects less than the target says: its verdict is one in small."""
    if found["reached"] is None:
        return "-"
    return ("yes" if found["reached"] else "no") + (" (quick run)" if found["quick"] else "")


def text(content):
    about = content["machine"]
    rows = []
    busy = []
    for scenario in ALL:
        found = content["targets"].get(scenario.name)
        if found is None:
            rows.append([scenario.name, scenario.what, scenario.target, "not measured", "-"])
            continue
        busy.append(found["busy_share"])
        rows.append([scenario.name, scenario.what, scenario.target, found["text"],
                     verdict(found)])
    head = report.machine_text({**content, "rounds": [{"busy_share": share} for share in busy]
                                or [{"busy_share": about["busy_share"]}]})
    made = report.plain_table(["name", "what", "target", "measured", "reached"], rows)
    return head + "\n\n" + made + "\n"


def drawings(content):
    made = {}
    half = content["targets"].get("half_rate")
    if half and half["figures"].get("trace"):
        trace = half["figures"]["trace"]
        made["half_rate.svg"] = charts.lines(
            "Latency at half of the peak rate, second by second", "seconds", "ms",
            {name: [(row["second"], row[f"{name}_us"] / 1000, "") for row in trace]
             for name in ("p50", "p99", "max")}, y_log=True, command=half["command"])
    return made

"""The targets of docs/performance.md: what is asked, what was measured, whether it is reached."""

import dataclasses
import time

from . import charts, figures, machine, report, rounds, speed, state
from .context import Skipped
from .workspace import Failed, Unsupported, Wrong

FAILURE_TEXT_MAX = 300


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


def run(context, wanted, command, before, compared, save):
    """Measures targets; what was stored of others stays, but for figures of another machine or
    version. compared: the last comparison, None where there is none."""
    content = rounds.new_report("targets", context.space, context.build, command)
    del content["rounds"], content["left_out"]
    content["settings"] = dataclasses.asdict(context.settings)
    content["targets"] = {}
    if before and machine.same(before["machine"], content["machine"]):
        content["targets"] = dict(before["targets"])
    if compared and compared["settings"]["size"] == context.settings.size and \
            machine.same(compared["machine"], content["machine"]):
        context.compared = compared
    for scenario in wanted:
        if not context.deadline.fits(0):
            rounds.say(f"== {scenario.name}: left out: the time is over")
            continue
        rounds.say(f"== {scenario.name}: {scenario.what}")
        begin = time.monotonic()
        content["targets"][scenario.name] = _one(context, scenario, command)
        rounds.say(f"   ({time.monotonic() - begin:.0f} s)")
        save(content)
    return content


def _one(context, scenario, command):
    context.flushes.clear()
    context.busy.clear()
    busy = machine.busy_share()
    context.flushes.append(machine.flush_latency(context.space.dir))
    found = {"command": command, "size": context.settings.size,
             "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    try:
        outcome = scenario.measure(context)
        found.update(text=outcome.text, reached=outcome.reached, figures=outcome.figures)
    except (Skipped, Unsupported) as reason:
        found.update(text=f"skipped: {reason}", reached=None, figures={})
    except Wrong:
        raise
    except Exception as failure:  # noqa: B902: whatever it is, the others are measured all the same
        context.close()
        text = " ".join(str(failure).split())[:FAILURE_TEXT_MAX]
        found.update(text=f"could not be measured: {type(failure).__name__}: {text}", reached=False,
                     figures={})
    found["flush_us"] = {"p50": figures.median([one["p50"] for one in context.flushes])}
    found["busy_share"] = round(figures.median([busy, *context.busy]), 3)
    rounds.say(f"   {found['text']}: {verdict(found)}")
    return found


def verdict(found):
    """A quick run stores and connects less than the target says: its verdict is one in small."""
    if found["reached"] is None:
        return "-"
    return ("yes" if found["reached"] else "no") + (" (quick run)" if found["size"] == "quick"
                                                     else "")


def text(content):
    rows = []
    measured = []
    for scenario in ALL:
        found = content["targets"].get(scenario.name)
        if found is None:
            rows.append([scenario.name, scenario.what, scenario.target, "not measured", "-"])
            continue
        measured.append(found)
        rows.append([scenario.name, scenario.what, scenario.target, found["text"],
                     verdict(found)])
    begun = {}
    for found in measured:
        begun[found["command"]] = min(found["started"], begun.get(found["command"], "9"))
    commands = "; ".join(f"`{command}`, {when}" for command, when in begun.items())
    head = report.machine_text({**content, "rounds": measured}, commands)
    made = report.plain_table(["name", "what", "target", "measured", "reached"], rows)
    return head + "\n\n" + made + "\n"


def drawings(content):
    made = {}
    half = content["targets"].get("half_rate")
    if half and half["figures"].get("trace"):
        trace = half["figures"]["trace"]
        series = {name: [(row["second"], row[f"{name}_us"] / 1000, "") for row in trace]
                  for name in ("p50", "p99", "max")}
        allowed_ms = half["figures"]["allowed_us"] / 1000
        series["asked of p99"] = [(trace[0]["second"], allowed_ms, ""),
                                  (trace[-1]["second"], allowed_ms, "")]
        notes = report.chart_notes({**content, "rounds": [half], "started": half["started"]},
                                   half["command"])
        made["half_rate.svg"] = charts.lines(
            f"Latency at half of the peak rate: {half['figures']['rate']:,.0f} payments/s",
            "seconds", "ms", series, y_log=True, notes=notes)
    return made

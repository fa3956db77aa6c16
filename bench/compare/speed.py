"""Targets of rate and latency: each is a function of the context that gives an Outcome."""

import dataclasses

from . import figures, report
from .context import BATCH, ONE, OPEN, SINGLE, Skipped
from .workload import Workload

RAFT_ENTRY_BYTES = 128  # where the bench does not say what a payment takes in the log
STALL_TIMES = 10
SETTLE_S = 2
WELL_SHARE = 0.8  # of the arrivals of a second are answered in it when all is well
ACCEPTED_US_MAX = 1_000_000  # p99 of what is accepted in overload
# More requests under way than a node takes (NODE_REQUESTS_MAX): what is too much is refused, and
# does not wait in the generator.
FLOOD = dataclasses.replace(SINGLE, clients=256, in_flight=1024)
# The same with fewer requests for as many payments: where the generator can not send three times
# the peak of single ones, this says what the cluster does.
GROUPED = dataclasses.replace(SINGLE, payments=16)
FLOOD_GROUPED = dataclasses.replace(GROUPED, clients=256, in_flight=256)


@dataclasses.dataclass
class Outcome:
    """What was measured: a sentence, whether it is reached, and the figures behind it."""
    text: str
    reached: bool
    figures: dict = dataclasses.field(default_factory=dict)


def rate(result):
    return result["payments_per_s"]


def per_s(result):
    return figures.count_text(rate(result)) + "/s"


def ms(result, share="p50"):
    return figures.ms_text(result["latency_us"][share]) + " ms"


def side_by_side(context):
    """{label: result} of our two forms and of the others' best: from the last comparison, which has
    more loads than would be measured here, else in turn."""
    if "side by side" not in context.measured:
        found = context.compared and compared(report.Summary(context.compared))
        context.measured["side by side"] = found or in_turn(context)
    return context.measured["side by side"]


def compared(summary):
    """None where something is missing."""
    rows = {"payledger": summary.best("clients", "payledger", clients=SINGLE.clients,
                                      in_flight=SINGLE.in_flight),
            "payledger-1000": summary.best("batch", "payledger", distribution="uniform"),
            "postgres": summary.best("clients", "postgres"),
            "etcd": summary.best("clients", "etcd"),
            "postgres-1000": summary.best("batch", "postgres", distribution="uniform")}
    if None in rows.values():
        return None
    return {label: {"payments_per_s": row["rate"], "latency_us": row["latency"],
                    "of": f", in the comparison of {summary.report['started']}"}
            for label, row in rows.items()}


def in_turn(context):
    accounts = SINGLE.accounts
    loads = {"payledger": ("payledger", context.timed(SINGLE)),
             "payledger-1000": ("payledger", context.timed(BATCH))}
    for name in ("postgres", "etcd"):
        if name not in context.settings.systems:
            raise Skipped(f"{name} is not among --systems")
        for clients in (64, 200):
            loads[f"{name} {clients}"] = (name, context.timed(
                Workload(clients=clients, accounts=accounts)))
    for clients in (1, 2):
        loads[f"postgres-1000 {clients}"] = ("postgres", context.timed(
            Workload(clients=clients, payments=BATCH.payments, accounts=accounts)))
    results = context.alternate_loads(loads)
    best = {}
    for label, result in results.items():
        name = label.split(" ")[0]
        if name not in best or rate(best[name]) < rate(result):
            best[name] = {**result, "of": ""}
    return best


def rates(results):
    return {label: {"payments_per_s": rate(result), **result["latency_us"]}
            for label, result in results.items()}


def single(context):
    results = side_by_side(context)
    ours, theirs = results["payledger"], results["postgres"]
    times = rate(ours) / rate(theirs)
    return Outcome(f"{per_s(ours)}, p99 {ms(ours, 'p99')}: {figures.ratio_text(times)} x "
                   f"PostgreSQL's {per_s(theirs)}{ours['of']}", times >= 8, rates(results))


def batch(context):
    results = side_by_side(context)
    ours = results["payledger-1000"]
    times = {name: rate(ours) / rate(results[name])
             for name in ("postgres", "etcd", "postgres-1000")}
    text = (f"{per_s(ours)}: {figures.ratio_text(times['postgres'])} x PostgreSQL's "
            f"{per_s(results['postgres'])}, {figures.ratio_text(times['etcd'])} x etcd's "
            f"{per_s(results['etcd'])}; {figures.ratio_text(times['postgres-1000'])} x "
            f"PostgreSQL's {per_s(results['postgres-1000'])} with 1,000 payments per "
            f"transaction{ours['of']}")
    return Outcome(text, times["postgres"] >= 15 and times["etcd"] >= 30, rates(results))


def hot(context):
    spread = context.timed(SINGLE)
    results = context.alternate_loads({
        "uniform": ("payledger", spread),
        "hot": ("payledger", dataclasses.replace(spread, distribution="hot"))})
    share = rate(results["hot"]) / rate(results["uniform"])
    return Outcome(f"{per_s(results['hot'])} of {per_s(results['uniform'])}: "
                   f"{figures.percent_text(share)}", share >= 0.8, rates(results))


def tls(context):
    load = context.timed(SINGLE)
    results = context.alternate_loads({"without": ("payledger", load),
                                       "with": ("payledger-tls", load)})
    share = rate(results["with"]) / rate(results["without"])
    return Outcome(f"{per_s(results['with'])} of {per_s(results['without'])}: "
                   f"{figures.percent_text(share)}", share >= 0.75, rates(results))


def latency(context):
    system = context.system("payledger")
    load = context.timed(ONE, more=("--to", "leader") if system.knows("--to") else ())
    first = context.run("payledger", load)
    entry = int(first.get("log_bytes_per_payment") or RAFT_ENTRY_BYTES)
    entry = max(16, (entry + 7) // 8 * 8)
    results = context.alternate({
        "payment": lambda: context.run("payledger", load),
        "raft alone": lambda: context.raft_alone(entry)})
    times = {share: results["payment"]["latency_us"][share] /
             results["raft alone"]["latency_us"][share] for share in ("p50", "p99")}
    text = (f"entries of {entry} bytes: p50 {ms(results['payment'])}, "
            f"{figures.ratio_text(times['p50'])} x raft alone ({ms(results['raft alone'])}); "
            f"p99 {ms(results['payment'], 'p99')}, "
            f"{figures.ratio_text(times['p99'])} x ({ms(results['raft alone'], 'p99')})")
    return Outcome(text, times["p50"] <= 2.5 and times["p99"] <= 4,
                   {**rates(results), "entry_bytes": entry})


def seconds_of(result):
    """The measured seconds of a run: without its warm-up (negative numbers) and what came after."""
    return [row for row in result["series"] if 0 <= row["second"] < result["seconds"]]


def open_loop_needed(context):
    if not context.system("payledger").knows("--rate"):
        raise Skipped("this build's bench has no open loop")


def half_rate(context):
    open_loop_needed(context)
    unloaded = context.run("payledger", context.timed(ONE))
    peak = rate(context.run("payledger", context.timed(SINGLE)))
    seconds = context.settings.trace_s
    with context.turn("payledger") as system:
        result = context.open_loop(system, peak / 2, seconds)
    allowed = STALL_TIMES * unloaded["latency_us"]["p50"]
    trace = [{"second": row["second"], "p50_us": row["p50_us"], "p99_us": row["p99_us"],
              "max_us": row["max_us"], "posted": row["posted"]} for row in seconds_of(result)]
    times = result["latency_us"]["p99"] / unloaded["latency_us"]["p50"]
    # Requests that have no latency may be the slowest ones: a percentile beyond them says nothing.
    unanswered = result["without_latency"]
    known = unanswered <= 0.01 * result["posted"]
    above = sum(1 for row in trace if row["p99_us"] > allowed)
    text = (f"{per_s(result)} of {figures.count_text(peak)}/s for {seconds} s: p99 "
            f"{ms(result, 'p99')}, {figures.ratio_text(times)} x the unloaded p50 of "
            f"{ms(unloaded)}; {above} of {len(trace)} seconds above {STALL_TIMES} x"
            + (f"; {unanswered:,} without a latency ({result['overloaded']:,} overloaded, "
               f"{result['unknown']:,} unknown)" if unanswered else ""))
    return Outcome(text, known and result["latency_us"]["p99"] <= allowed and above == 0,
                   {"trace": trace, "allowed_us": allowed, "rate": rate(result)})


def overload(context):
    """With one payment a request, and with 16. Where the generator has no processor left for three
    times the single ones, it is itself what they show: then the others decide."""
    open_loop_needed(context)
    single = flooded(context, SINGLE, FLOOD)
    grouped = flooded(context, GROUPED, FLOOD_GROUPED)
    decides = grouped if single["generator_busy"] else single
    text = (f"one payment a request: {overload_text(single)}"
            + (" (the load generator's own limit)" if single["generator_busy"] else "")
            + f"; 16 a request: {overload_text(grouped)}")
    reached = (decides["share"] >= 0.85 and decides["recovered_s"] <= SETTLE_S and
               decides["unknown"] <= 0.01 * decides["posted"] and
               decides["latency_us"]["p99"] <= ACCEPTED_US_MAX)
    return Outcome(text, reached,
                   {"single": single, "grouped": grouped})


def flooded(context, load, flood):
    """The peak of a load, three times as much of it, and the seconds after that."""
    seconds = max(5, context.seconds)
    peak = rate(context.run("payledger", context.timed(load)))
    half = dataclasses.replace(OPEN, payments=load.payments)
    with context.turn("payledger") as system:
        before = context.open_loop(system, peak / 2, seconds, load=half)
        over = context.open_loop(system, 3 * peak, seconds, load=flood)
        # A load of its own follows at once: its seconds show when all is well again. What passes
        # between the two, unseen, counts as not yet well.
        after = system.run(context.timed(half, rate=int(peak / 2), seconds=seconds, warmup=0))
    unseen_s = (figures.time_s(after["started_at"]) - figures.time_s(over["started_at"]) -
                context.warmup - seconds)
    calm = 2 * max(row["p99_us"] for row in seconds_of(before))
    unwell = [row["second"] for row in seconds_of(after)
              if row["p99_us"] > calm or row["posted"] < WELL_SHARE * peak / 2]
    return {"peak": peak, "goodput": rate(over), "share": rate(over) / peak,
            "overloaded": over["overloaded"], "posted": over["posted"], "unknown": over["unknown"],
            "latency_us": over["latency_us"],
            "recovered_s": unseen_s + max(unwell, default=-1) + 1,
            "generator_busy": over["load_busy"]}


def overload_text(found):
    return (f"{figures.count_text(found['goodput'])}/s of {figures.count_text(found['peak'])}/s, "
            f"{figures.percent_text(found['share'])}, {figures.count_text(found['overloaded'])} "
            f"refused with overloaded, {found['unknown']:,} unknown, p99 of accepted ones "
            f"{ms(found, 'p99')}, back to normal within {found['recovered_s']:.1f} s")

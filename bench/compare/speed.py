"""Targets of rate and latency: each is a function of the context that gives an Outcome."""

import dataclasses

from . import figures
from .context import BATCH, ONE, SINGLE, Skipped
from .workload import Workload

RAFT_ENTRY_BYTES = 128  # where the bench does not say what a payment takes in the log
STALL_TIMES = 10
SETTLE_S = 2
# More requests under way than a node takes (NODE_REQUESTS_MAX): what is too much is refused, and
# does not wait in the generator.
FLOOD = dataclasses.replace(SINGLE, clients=256, in_flight=1024)


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


def against(context, ours, more):
    """Medians of our load and of the others' with one payment per transaction, in turns."""
    loads = {"payledger": ("payledger", context.timed(ours)), **more}
    for clients in (64, 200):
        load = context.timed(Workload(clients=clients, accounts=ours.accounts))
        for name in ("postgres", "etcd"):
            if name in context.options.systems.split(","):
                loads[f"{name} {clients}"] = (name, load)
    return context.alternate_loads(loads)


def best(results, name):
    return max((rate(result) for label, result in results.items()
                if label.startswith(name + " ")), default=None)


def rates(results):
    return {label: {"payments_per_s": rate(result), **result["latency_us"]}
            for label, result in results.items()}


def single(context):
    results = against(context, SINGLE, {})
    theirs = best(results, "postgres")
    if theirs is None:
        raise Skipped("PostgreSQL is not among --systems")
    times = figures.ratio(rate(results["payledger"]), theirs)
    return Outcome(f"{per_s(results['payledger'])}, p99 {ms(results['payledger'], 'p99')}: "
                   f"{figures.ratio_text(times)} x PostgreSQL's {figures.count_text(theirs)}/s",
                   times >= 8, rates(results))


def batch(context):
    more = {}
    if "postgres" in context.options.systems.split(","):
        for clients in (1, 2):
            more[f"postgres-1000 {clients}"] = ("postgres", context.timed(
                Workload(clients=clients, payments=BATCH.payments, accounts=BATCH.accounts)))
    results = against(context, BATCH, more)
    postgres, etcd = best(results, "postgres"), best(results, "etcd")
    if postgres is None or etcd is None:
        raise Skipped("PostgreSQL or etcd is not among --systems")
    ours = rate(results["payledger"])
    many = best(results, "postgres-1000")
    text = (f"{per_s(results['payledger'])}: {figures.ratio_text(ours / postgres)} x PostgreSQL's "
            f"{figures.count_text(postgres)}/s, {figures.ratio_text(ours / etcd)} x etcd's "
            f"{figures.count_text(etcd)}/s; {figures.ratio_text(figures.ratio(ours, many))} x "
            f"PostgreSQL's {figures.count_text(many)}/s with 1,000 payments per transaction")
    return Outcome(text, ours >= 15 * postgres and ours >= 30 * etcd, rates(results))


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
    seconds = context.options.trace or (10 if context.quick else 60)
    with context.turn("payledger") as system:
        result = context.open_loop(system, peak / 2, seconds)
    allowed = STALL_TIMES * unloaded["latency_us"]["p50"]
    trace = [{"second": row["second"], "p50_us": row["p50_us"], "p99_us": row["p99_us"],
              "max_us": row["max_us"], "posted": row["posted"]} for row in seconds_of(result)]
    times = result["latency_us"]["p99"] / unloaded["latency_us"]["p50"]
    above = sum(1 for row in trace if row["p99_us"] > allowed)
    text = (f"{per_s(result)} of {figures.count_text(peak)}/s for {seconds} s: p99 "
            f"{ms(result, 'p99')}, {figures.ratio_text(times)} x the unloaded p50 of "
            f"{ms(unloaded)}; {above} of {len(trace)} seconds above {STALL_TIMES} x")
    return Outcome(text, result["latency_us"]["p99"] <= allowed and above == 0,
                   {"trace": trace, "allowed_us": allowed, "rate": rate(result)})


def overload(context):
    open_loop_needed(context)
    seconds = max(5, context.seconds)
    peak = rate(context.run("payledger", context.timed(SINGLE)))
    with context.turn("payledger") as system:
        before = context.open_loop(system, peak / 2, seconds)
        over = context.open_loop(system, 3 * peak, seconds, load=FLOOD)
        # A load of its own follows at once: its seconds show when all is well again. The start of
        # the program takes some of the two seconds, which counts in no one's favour.
        after = system.run(context.timed(SINGLE, rate=int(peak / 2), seconds=seconds, warmup=0))
    share = rate(over) / peak
    calm = 2 * max(row["p99_us"] for row in seconds_of(before))
    unwell = [row["second"] for row in seconds_of(after) if row["p99_us"] > calm]
    recovered = max(unwell, default=-1) + 1
    text = (f"{per_s(over)} of {figures.count_text(peak)}/s: {figures.percent_text(share)}; "
            f"{figures.count_text(over['overloaded'])} refused with overloaded; p99 of accepted "
            f"ones {ms(over, 'p99')}; back to normal within {recovered} s")
    return Outcome(text, share >= 0.85 and recovered <= SETTLE_S,
                   {"peak": peak, "goodput": rate(over), "overloaded": over["overloaded"],
                    "posted": over["posted"], "unknown": over["unknown"],
                    "latency_us": over["latency_us"], "recovered_s": recovered})

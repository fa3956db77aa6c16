"""Targets of growth, connections, slow nodes and recovery."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import os
import resource
import sys
import threading
import time

from . import figures, payledger, plan, workspace
from .context import SINGLE, Skipped, middle
from .speed import Outcome, ms, per_s, rate, rates, seconds_of
from .workload import ID_KINDS

sys.path.insert(0, os.path.join(payledger.ROOT, "tests", "cluster"))

from proxy import Proxy  # noqa: E402: the path comes first

IDLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "idle.py")
IDLE_WAIT_S = 120
IDLE_BYTES_MAX = 16 * 1024
FILES_MORE = 2000  # of a process besides the clients'
SLOW_LINK_BYTES_PER_S = 1_000_000
SLOW_DISK_MS = 200
SLOW_ROUNDS_MAX = 2  # each has four loads, for each of three faults
READY_POLL_S = 0.02
SNAPSHOTS_AWAY = 3  # snapshots that the leader takes meanwhile: the log before them is gone
FILL_STEP = 100_000
COPY_WAIT_S = 600
COPY_RATE = 1000  # payments/s meanwhile
COPY_LOAD_S = 60  # longer than a copy takes
SETTLE_S = 5
MEMORY_LOOK_S = 0.25


def growth(context):
    payments, accounts = context.settings.payments, context.settings.many_accounts
    load = context.timed(SINGLE, accounts=accounts)
    rounds = {"empty": [], "full": []}
    empty_bytes, before_count = 0, 0

    def before(system):
        nonlocal empty_bytes, before_count
        # What opening the accounts changed has to reach the disk first.
        settle(system)
        os.sync()
        empty_bytes, before_count = system.disk_bytes(1), system.stored()
        rounds["empty"] = kinds_in_turn(context, system, load)
    if context.big is not None:
        raise Skipped("the empty ledger is measured first: name growth before recovery")
    system = context.filled(before)
    system.resume()
    settle(system)
    stored = system.stored()
    with most_memory(system) as memory:
        rounds["full"] = kinds_in_turn(context, system, load)
    settle(system)
    bytes_each = (system.disk_bytes(1) - empty_bytes) / (system.stored() - before_count)
    system.pause()
    memory = max(memory)
    shares = {ids: rate(full) / max(1, rate(rounds["empty"][ids]))
              for ids, full in rounds["full"].items()}
    text = "; ".join(f"ids {ids}: {per_s(rounds['full'][ids])} of {per_s(rounds['empty'][ids])}, "
                     f"{figures.percent_text(share)}" for ids, share in shares.items())
    text += (f"; {stored:,} payments, {accounts:,} accounts; memory {memory >> 20} MiB; "
             f"{bytes_each:.0f} bytes of disk per payment")
    reached = min(shares.values()) >= 0.7 and memory < 512 << 20 and bytes_each <= 450
    return Outcome(text, reached and stored >= payments,
                   {"shares": shares, "memory_bytes": memory, "bytes_per_payment": bytes_each,
                    "stored": stored, "accounts": accounts,
                    **{name: rates(found) for name, found in rounds.items()}})


@contextlib.contextmanager
def most_memory(system):
    """A list of what the largest node has, looked at while the body runs."""
    seen, over = [], threading.Event()

    def look():
        while True:
            seen.append(max(workspace.memory_bytes([pid]) for pid in system.roots()))
            if over.wait(MEMORY_LOOK_S):
                return
    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def kinds_in_turn(context, system, load):
    """{kind of ids: medians}, once a round each."""
    def run(ids):
        return system.run(dataclasses.replace(load, ids=ids))
    kinds = ID_KINDS if system.knows("--ids") else ID_KINDS[:1]
    return context.alternate({ids: (lambda ids=ids: run(ids)) for ids in kinds})


def settle(system):
    """Until all nodes have applied the same, so that their files hold the same."""
    asyncio.run(system.cluster.wait_equal(120))


# ---- connections -----------------------------------------------------------------------------

def connections(context):
    count = context.settings.idle
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count + FILES_MORE:
        raise Skipped(f"{count:,} clients need {count + FILES_MORE:,} open files, {hard:,} are "
                      "allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    system = context.own()
    results = {"without": [], "with": []}
    try:
        system.start()
        system.open(SINGLE.accounts)
        # Before any load: memory that it gave back would hide what the clients take.
        memory = workspace.memory_bytes(system.roots())
        with idle_clients(context, system, count):
            each = (workspace.memory_bytes(system.roots()) - memory) / count
        speed = context.peak(system) / 3

        def run():
            # A third of the peak, so that the p99 is the system's and not the queue's.
            if system.knows("--rate"):
                return context.open_loop(system, speed, context.seconds)
            return system.run(context.timed(SINGLE))
        for _ in range(context.rounds):
            results["without"].append(run())
            with idle_clients(context, system, count) as check:
                results["with"].append(run())
                check()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        system.close()
    without, those = middle(results["without"]), middle(results["with"])
    times = those["latency_us"]["p99"] / without["latency_us"]["p99"]
    text = (f"{count:,} idle clients: {each / 1024:.1f} KiB each; p99 {ms(those, 'p99')}, "
            f"{figures.ratio_text(times)} x that without them ({ms(without, 'p99')})")
    return Outcome(text, each <= IDLE_BYTES_MAX and times <= 1.2 and count >= 10_000,
                   {"bytes_each": each, **rates({"without": without, "with": those})})


@contextlib.contextmanager
def idle_clients(context, system, count):
    """Clients that only answer pings; gives a function that fails when one was closed."""
    name = f"idle{time.monotonic_ns()}"
    idle = context.space.spawn(
        name, "/usr/bin/python3", "-B", IDLE, str(count),
        *[str(node.client_port) for node in system.cluster.nodes.values()])

    def check():
        if "closed a connection" in context.space.log_tail(name) or idle.poll() is not None:
            raise workspace.Failed("an idle connection was closed: " + context.space.log_tail(name))
    try:
        wait_said(context, idle, name, "ready")
        time.sleep(1)
        yield check
    finally:
        context.space.stop(idle)


def wait_said(context, process, name, word):
    deadline = time.monotonic() + IDLE_WAIT_S
    while word not in context.space.log_tail(name):
        if process.poll() is not None or time.monotonic() > deadline:
            raise workspace.Failed(f"{name}: {context.space.log_tail(name).strip()}")
        time.sleep(0.1)


# ---- one slow follower -----------------------------------------------------------------------

class Link:
    """Proxies before a node's peer port, in a thread with a loop of its own."""

    def __init__(self, listen_port, target_port):
        self.loop = asyncio.new_event_loop()
        self.proxy = Proxy(listen_port, target_port)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.proxy.start())

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def close(self):
        self.call(self.proxy.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@contextlib.contextmanager
def paused(context):
    system = context.own()
    try:
        system.start()
        follower = asyncio.run(system.cluster.follower())
        system.only = [n for n in system.cluster.nodes if n != follower]
        yield (system, lambda: system.cluster.pause(follower),
               lambda: system.cluster.resume(follower))
    finally:
        system.close()


@contextlib.contextmanager
def slow_disk(context):
    shim = os.path.join(context.build, "bench", "libslow_disk.so")
    if not os.path.exists(shim):
        raise Skipped("bench/libslow_disk.so is not built")
    system = context.own()

    def restart(env):
        follower = system.follower
        system.cluster.kill(follower)
        system.cluster.start(follower, env=env)
        system.ready()
        settle(system)
    try:
        system.start()
        system.follower = asyncio.run(system.cluster.follower())
        system.only = [n for n in system.cluster.nodes if n != system.follower]
        yield (system,
               lambda: restart({"LD_PRELOAD": shim, "SLOW_DISK_MS": str(SLOW_DISK_MS)}),
               lambda: restart({}))
    finally:
        system.close()


@contextlib.contextmanager
def slow_link(context):
    """The way to a node, limited in both directions of each connection that others make to it."""
    proxied = {}
    system = context.own(node_lines=proxied)
    link = None
    try:
        # The last node: which one leads is arranged afterwards.
        node = system.cluster.nodes[3]
        inner = payledger.clusters.free_ports(1)[0]
        proxied[3] = f'    peer_listen = "127.0.0.1:{inner}"'
        link = Link(node.peer_port, inner)
        system.start()
        if system.ready() == 3:
            system.cluster.kill(3)
            system.ready()
            system.cluster.start(3)
            system.ready()
        system.only = [1, 2]

        def limit(bytes_per_s):
            link.proxy.bytes_per_s = bytes_per_s
        yield system, lambda: limit(SLOW_LINK_BYTES_PER_S), lambda: limit(None)
    finally:
        system.close()
        if link is not None:
            link.close()


def slow_follower(context):
    parts = []
    found = {}
    reached = True
    for name, kind in (("paused", paused), ("disk of 200 ms", slow_disk),
                       ("link of 1 MB/s", slow_link)):
        try:
            results = with_and_without(context, kind)
        except Skipped as reason:
            parts.append(f"{name}: skipped, {reason}")
            reached = None if reached else reached
            continue
        share = rate(results["slow"]) / rate(results["well"])
        times = results["slow p99"]["latency_us"]["p99"] / results["well p99"]["latency_us"]["p99"]
        parts.append(f"{name}: {figures.percent_text(share)} of the peak, p99 "
                     f"{figures.ratio_text(times)} x")
        reached = reached and share >= 0.8 and times <= 1.2 if reached is not None else None
        found[name] = {"share": share, "p99_times": times, **rates(results)}
    return Outcome("; ".join(parts), reached, found)


def with_and_without(context, kind):
    with kind(context) as (system, begin, end):
        system.open(SINGLE.accounts)
        results = {label: [] for label in ("well", "well p99", "slow", "slow p99")}
        peak = context.peak(system)  # also warms up, so that no round is the first
        for number in range(min(SLOW_ROUNDS_MAX, context.rounds)):
            for label in plan.order(("well", "slow"), number):
                if label == "slow":
                    begin()
                try:
                    measure_both(context, system, results, label, peak)
                finally:
                    if label == "slow":
                        end()
                        system.ready()
                        settle_disk(system)
        return {label: middle_of(found) for label, found in results.items()}


def measure_both(context, system, results, label, peak):
    """The peak, and the p99 at a third of it."""
    results[label].append(system.run(context.timed(SINGLE)))
    results[label + " p99"].append(context.open_loop(system, peak / 3, context.seconds))
    if system.ready() not in system.only:
        raise workspace.Failed("the slow node leads")


def middle_of(results):
    return {"payments_per_s": figures.median([rate(result) for result in results]),
            "latency_us": {share: figures.median([r["latency_us"][share] for r in results])
                           for share in ("p50", "p99")}}


# ---- recovery --------------------------------------------------------------------------------

def recovery(context):
    system = context.filled()
    system.resume()
    settle(system)
    stored = system.stored()
    follower = asyncio.run(system.cluster.follower())
    system.cluster.kill(follower)
    ready_s = time_to_ready(system, follower)
    try:
        transfer = state_transfer(context, system)
    finally:
        # It is not what it was: a target that follows fills another one.
        context.big = None
        system.close()
    times = transfer["p99_us"] / transfer["calm_p99_us"]
    text = (f"{stored:,} payments: ready {ready_s:.1f} s after a restart; state transfer of "
            f"{transfer['bytes'] / 1e6:,.0f} MB: there after {transfer['come_s']:.1f} s, "
            f"{transfer['come_mb_per_s']:.0f} MB/s, checked after {transfer['seconds']:.1f} s, "
            f"{transfer['mb_per_s']:.0f} MB/s; with {COPY_RATE:,} payments/s meanwhile p99 "
            f"{transfer['p99_us'] / 1000:.1f} ms in the median second, "
            f"{figures.ratio_text(times)} x that before")
    reached = ready_s <= 3 and transfer["come_mb_per_s"] >= 100 and times <= 2
    return Outcome(text, reached and stored >= context.settings.payments,
                   {"ready_s": ready_s, "stored": stored, **transfer})


def time_to_ready(system, number):
    begin = time.monotonic()
    system.cluster.start(number)

    async def ready():
        status, _, _ = await asyncio.to_thread(system.cluster.http, number, "GET", "/readyz")
        return status == 200
    asyncio.run(payledger.clusters.wait_until(f"node {number}", 600, ready, READY_POLL_S))
    return time.monotonic() - begin


def cut_log_soon(system):
    """Restarts the nodes with small snapshots: the log of 100,000 payments more than fills one."""
    system.cluster.raft = "snapshot_mb = 4  snapshot_trailing = 32"
    system.cluster.write_config()
    for number in system.cluster.nodes:
        system.cluster.kill(number)
        system.cluster.start(number)
        system.ready()


def state_transfer(context, system):
    """A follower comes back after more log than anybody keeps; its own log says how long the copy
    took. Meanwhile the others are paid through: as much as leaves two cores room for it."""
    cut_log_soon(system)
    follower = asyncio.run(system.cluster.follower())
    system.cluster.kill(follower)
    system.only = [n for n in system.cluster.nodes if n != follower]
    leader = system.ready()
    wanted = snapshots(system, leader) + SNAPSHOTS_AWAY
    deadline = time.monotonic() + COPY_WAIT_S
    while snapshots(system, leader) < wanted:
        if time.monotonic() > deadline:
            raise workspace.Failed(f"no {SNAPSHOTS_AWAY} snapshots within {COPY_WAIT_S} s")
        system.fill(system.stored() + FILL_STEP, context.settings.many_accounts)
    settle_disk(system)
    calm = context.open_loop(system, COPY_RATE, COPY_LOAD_S)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        load = pool.submit(context.open_loop, system, COPY_RATE, COPY_LOAD_S)
        time.sleep(context.warmup + 1)
        system.cluster.start(follower)
        begin, come, end, size = copy_seen(system, follower)
        during = load.result()
    loaded_s = figures.time_s(during["started_at"]) + context.warmup
    # The seconds of the copy, and one on either side: the two clocks do not begin together.
    seen = [row["p99_us"] for row in seconds_of(during)
            if begin - 1 <= loaded_s + row["second"] <= end + 1]
    if not seen or loaded_s + COPY_LOAD_S < end:
        raise workspace.Failed(f"the copy took longer than its load of {COPY_LOAD_S} s")
    return {"bytes": size, "come_s": come - begin, "check_s": end - come, "seconds": end - begin,
            "come_mb_per_s": size / 1e6 / (come - begin),
            "mb_per_s": size / 1e6 / (end - begin), "rate": COPY_RATE,
            "p99_us": figures.median(seen), "p99_max_us": max(seen),
            "calm_p99_us": figures.median([row["p99_us"] for row in seconds_of(calm)])}


def settle_disk(system):
    """What storing so much has left to write is not what is measured."""
    settle(system)
    os.sync()
    time.sleep(SETTLE_S)


def snapshots(system, number):
    return system.metrics(number)["payledger_snapshots_taken_total"]


def copy_seen(system, number):
    """When a node's log says that a copy began, that all had come, and that it was sound, in
    seconds since 1970; and its bytes."""
    deadline = time.monotonic() + COPY_WAIT_S
    while True:
        text = system.cluster.log_text(number).rpartition("--- start of node")[2]
        lines = text.splitlines()
        begun = [line for line in lines if "copying the state of node" in line]
        come = [line for line in lines if "all has come, and is checked now" in line]
        ended = [line for line in lines if "the copy is sound" in line]
        if begun and come and ended:
            return (*(figures.time_s(found[-1].split(" ", 1)[0])
                      for found in (begun, come, ended)), int(come[-1].rpartition("bytes=")[2]))
        if time.monotonic() > deadline or not system.cluster.nodes[number].alive():
            raise workspace.Failed(f"node {number} did not fetch the state:\n{text[-600:]}")
        time.sleep(0.1)

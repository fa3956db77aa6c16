"""One run from its beginning to its end: a cluster, a workload, faults, final reads, checkers."""

import asyncio
import datetime
import json
import os
import platform
import random
import subprocess
import time
import traceback

from . import history as histories, nemesis, paths, report, sandbox
from .client import Ask, Pool
from .cluster import Cluster
from .faults import NEEDS_CLOCKS, NEEDS_DISKS, PLANS
from .workloads import ALL as WORKLOADS

THREADS_PER_NODE = 24
CLIENT_TIMEOUT_S = 2.0
SETUP_S = 30
HEAL_MIN_S = 4.0  # longer than any request lives in the nodes
HEAL_MAX_S = 15.0
FINAL_S = 60
RUNS_LIMIT_S = 180  # beyond the time of the load: a run that takes longer is broken off


class Options:
    """workload, faults, nodes, time_s, rate, seed, build, name; window_s: how long a fault is in
    force; mutant: a mutants.Mutant or None"""

    def __init__(self, workload="transfer", faults=(), nodes=3, time_s=45, rate=400, seed=1,
                 build=paths.BUILD, mutant=None, name=None, verbose=False,
                 window_s=nemesis.WINDOW_S):
        self.workload = workload
        self.faults = tuple(faults)
        self.nodes = nodes
        self.time_s = time_s
        self.rate = rate
        self.seed = seed
        self.build = os.path.abspath(build)
        self.mutant = mutant
        self.window_s = window_s
        long = [f"{window_s:g}s"] if window_s != nemesis.WINDOW_S else []
        self.name = name or "-".join([workload, self.faults_named("+"), *long]
                                     + ([mutant.name] if mutant else []))
        self.verbose = verbose

    def faults_named(self, between):
        return "all" if set(self.faults) == set(PLANS) else between.join(self.faults) or "none"

    def command(self):
        parts = ["jepsen/run", "test", "-w", self.workload]
        if self.faults:
            parts += ["-n", self.faults_named(",")]
        if self.window_s != nemesis.WINDOW_S:
            parts += ["--window", f"{self.window_s:g}"]
        if self.mutant:
            parts += ["--mutant", self.mutant.name]
        return " ".join(parts + ["--nodes", str(self.nodes), "--time", f"{self.time_s:g}", "--rate",
                                 f"{self.rate:g}", "--seed", str(self.seed)])


def run(options):
    """Runs, checks and stores; returns (directory, results)."""
    directory = _directory(options.name)
    try:
        asyncio.run(asyncio.wait_for(_Run(options, directory).go(),
                                     options.time_s + RUNS_LIMIT_S))
    except Exception:  # noqa: BLE001: the report says what broke; the next run goes on
        with open(os.path.join(directory, "harness.txt"), "a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        traceback.print_exc()
    return directory, report.write_run(directory)


def _directory(name):
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%S.%f")[:-3] + "Z"
    directory = os.path.join(paths.STORE, name, stamp)
    os.makedirs(directory)
    for link, target in ((os.path.join(paths.STORE, "latest"), os.path.join(name, stamp)),
                         (os.path.join(paths.STORE, name, "latest"), stamp)):
        made = f"{link}.{os.getpid()}"
        os.symlink(target, made)
        os.replace(made, link)
    return directory


class _Run:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.windows = nemesis.schedule(options.faults, options.time_s, options.seed,
                                        options.window_s)
        self.history = None
        self.cluster = None
        self.pool = None
        self.offered = 0
        names = [f"n{k}" for k in range(1, options.nodes + 1)]
        self.load = WORKLOADS[options.workload](
            random.Random(f"{options.seed} {options.workload}"), names, options.rate,
            options.time_s)

    def say(self, text):
        line = f"[{time.strftime('%H:%M:%S')}] {text}"
        with open(os.path.join(self.directory, "jepsen.log"), "a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self.options.verbose:
            print(line, flush=True)

    async def go(self):
        options = self.options
        self._write_settings()
        with histories.Writer(self.directory) as self.history:
            scratch = os.path.join(sandbox.scratch(), "run")
            os.makedirs(scratch)
            mutant = options.mutant
            self.cluster = Cluster(scratch, self.directory, self.history, {
                "build": options.build, "nodes": options.nodes, "seed": options.seed,
                "disks": any(f in NEEDS_DISKS for f in options.faults),
                "clocks": any(f in NEEDS_CLOCKS for f in options.faults),
                "environment": mutant.environment if mutant else {},
                "preloads": mutant.preload_paths() if mutant else []})
            try:
                self.cluster.prepare()
                self.cluster.start()
                self.pool = Pool(self.history, self.cluster.urls(), THREADS_PER_NODE,
                                 CLIENT_TIMEOUT_S)
                self.pool.start()
                await self._phases()
                await self.pool.close()
                await self.cluster.stop()
            finally:
                if self.pool:
                    await self.pool.close()
                await self.cluster.close()

    async def _phases(self):
        begin = time.monotonic()
        if not await self.cluster.wait_ready(SETUP_S):
            self.history.cluster("problem", "the cluster was not ready at the beginning")
            return
        self.say(f"ready after {time.monotonic() - begin:.1f} s")
        for stage in self.load.setup():
            left = await self.pool.settle(stage, SETUP_S)
            if left:
                self.history.cluster("problem", f"the setup failed: {left[0].f} {left[0].value}")
                return
        self._phase("main")
        enemy = nemesis.Nemesis(self.cluster, self.history, self.windows,
                                self.options.time_s, self.say)
        task = asyncio.ensure_future(enemy.run())
        try:
            await self._main()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await enemy.heal()
        await self._heal()
        await self._final()
        self._phase("end")

    def _phase(self, name):
        if self.pool:
            self.pool.phase = name if name in ("main", "final") else self.pool.phase
        self.history.cluster("phase", name)
        self.say(f"phase {name}")

    async def _main(self):
        """The load: offered at the rate, whatever the answers are."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        rng = random.Random(f"{self.options.seed} arrivals")
        due = begin
        limit = 2 * self.pool.concurrency
        while due < begin + self.options.time_s:
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            self.pool.drop_stale()
            for ask in self.load.next():
                self.offered += 1
                if self.pool.backlog < limit:
                    await self.pool.offer(ask)
                else:
                    self.pool.shed += 1
                    ask.finish(None)
            due += rng.expovariate(self.options.rate)
        self.pool.drop_all()
        await self.pool.idle(CLIENT_TIMEOUT_S + 1)
        self.say(f"offered {self.offered}, not taken {self.pool.shed}")

    async def _heal(self):
        self._phase("heal")
        begin = time.monotonic()
        while time.monotonic() < begin + HEAL_MAX_S:
            await asyncio.sleep(0.2)
            if time.monotonic() > begin + HEAL_MIN_S and self.cluster.equal() \
                    and await self.cluster.wait_ready(0.1):
                break
        self.say(f"healed for {time.monotonic() - begin:.1f} s; equal: {self.cluster.equal()}")

    async def _final(self):
        self._phase("final")
        reads = [Ask("read-payment", {"id": identity}) for identity in self.load.attempted]
        begin = time.monotonic()
        absent = []

        def seen(ask, record):
            if record["type"] == "ok" and "error" in record:
                absent.append((ask.value["id"], record["node"]))
        left = await self.pool.settle(reads, FINAL_S, seen)
        self.say(f"{len(reads) - len(left)} of {len(reads)} payments read in "
                 f"{time.monotonic() - begin:.1f} s")
        # Who refuses to go on is not asked; vacuity.py says whether that was right.
        for node in self.cluster.lasting:
            for f, params in [("list-accounts", {"limit": 1000}), *self.load.final_pages()]:
                await self._pages(node, f, params)
            await self.pool.settle([Ask(f, {}, node=node.name)
                                    for f in ("totals", "info", "digest")], 10)

        # What was absent has to stay so, and on every node.
        names = [node.name for node in self.cluster.lasting]
        after = dict(zip(names, names[1:] + names[:1]))
        await self.pool.settle([Ask("read-payment", {"id": identity},
                                    node=after.get(node, names[0] if names else None))
                                for identity, node in absent], 20)

    async def _pages(self, node, f, params):
        cursor, pages = None, 0
        while pages < 1000:
            ask = Ask(f, {**params, **({"cursor": cursor} if cursor else {})}, node=node.name)
            record = await self._one(ask)
            if record is None:
                return
            cursor, pages = record["result"]["cursor"], pages + 1
            if cursor is None:
                return

    async def _one(self, ask):
        """The ok record of one operation, tried until 10 s have passed or its node has refused to
        go on."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.cluster.by_name(ask.node) not in self.cluster.lasting:
                return None
            done = asyncio.get_running_loop().create_future()
            again = Ask(ask.f, ask.value, node=ask.node,
                        done=lambda _, record: done.done() or done.set_result(record))
            await self.pool.offer(again)
            try:
                record = await asyncio.wait_for(done, CLIENT_TIMEOUT_S + 3)
            except asyncio.TimeoutError:
                self.pool.drop_all()
                continue
            if record is not None and record["type"] == "ok" and "result" in record:
                return record
            await asyncio.sleep(0.1)
        self.history.cluster("problem", f"{ask.f} {ask.value} was not answered on {ask.node}")
        return None

    def _write_settings(self):
        options = self.options
        planned = [w["fault"] for w in self.windows] \
            + [w["companion"]["fault"] for w in self.windows if w["companion"]]
        faults = list(dict.fromkeys(planned))
        each = {name: planned.count(name) for name in faults}
        settings = {
            "name": options.name, "workload": options.workload, "faults": faults,
            "seed": options.seed, "nodes": [f"n{k}" for k in range(1, options.nodes + 1)],
            "concurrency": THREADS_PER_NODE * options.nodes, "rate": options.rate,
            "time_limit_s": options.time_s,
            "started": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "command": options.command(),
            "versions": {"payledgerd": _output(os.path.join(options.build, "payledgerd"),
                                               "--version"),
                         "python": platform.python_version()},
            "git": _output("git", "-C", paths.ROOT, "rev-parse", "HEAD"),
            "kernel": platform.release(),
            "schedule": self.windows,
            "mutant": options.mutant.name if options.mutant else None,
            # A short run has fewer windows of each fault.
            "require": {"windows_per_fault": min(3, min(each.values()))} if len(each) > 0 else {},
        }
        with open(os.path.join(self.directory, "test.json"), "w", encoding="utf-8") as file:
            json.dump(settings, file, indent=1)


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10,
                              check=False).stdout.strip()
    except OSError:
        return ""


def known_faults(names):
    """Names of faults, "all" and the kinds of partitions included; raises ValueError."""
    found = []
    for name in names:
        if name == "all":
            found += [fault for fault in PLANS if fault not in found]
        elif name in PLANS:
            found += [name] if name not in found else []
        else:
            raise ValueError(f"no fault {name!r}; there are: {', '.join(PLANS)}, all")
    return found

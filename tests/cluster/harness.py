"""The test runner: which tests there are, what a test may ask for, and the report.

A test is an async function marked with @case in a file test_TOPIC.py. It gets a Run, from which it
takes clusters and clients; whatever it took is closed after it, also when it failed.
"""
import argparse
import asyncio
import glob
import importlib
import os
import shutil
import signal
import sys
import time
import traceback

from client import Client
from cluster import Cluster, slow, stop_everything

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
# The order of the report: first what everything else rests on.
TOPICS = ["start_stop", "envelope", "values", "payments", "idempotency", "order", "batches",
          "reads", "numbers", "http", "frames", "hostile", "metrics", "cli", "cli_money", "docs",
          "interop", "certificates", "forwarding", "overload", "overdraft", "bench", "disk",
          "damage", "lagging", "kill_all", "kill_leader", "berka"]

CASES = []


class Skip(Exception):
    """Raised by a test that can not run here; the text says why."""


class Case:
    def __init__(self, topic, function, limit_s, long_only):
        self.topic = topic
        self.function = function
        self.limit_s = limit_s
        self.long_only = long_only

    @property
    def name(self):
        return f"{self.topic}/{self.function.__name__}"


def case(limit_s=30, long_only=False):
    """Marks a test. limit_s: after so many seconds it has failed."""
    def mark(function):
        topic = function.__module__.removeprefix("test_")
        CASES.append(Case(topic, function, limit_s, long_only))
        return function
    return mark


class Shared:
    """The clusters that the tests of one topic share, by their options."""

    def __init__(self):
        self.clusters = {}

    def close(self):
        for cluster in self.clusters.values():
            cluster.close()
        self.clusters.clear()


class Run:
    """What a test may ask for."""

    def __init__(self, options, shared):
        self.build = options.build
        self.long = options.long
        self.nodes = options.nodes
        self.notes = []
        self.clusters = []
        self.shared = shared
        self.clients = []
        self.used = []

    def note(self, text):
        """A line below the test's own in the report: figures, what was skipped."""
        self.notes.append(text)

    def rounds(self, short, long):
        return long if self.long else short

    def binary(self, name):
        return os.path.join(self.build, name)

    def cluster(self, **options):
        """A cluster of this test's own, not yet started."""
        options.setdefault("nodes", self.nodes)
        cluster = Cluster(self.build, **options)
        self.clusters.append(cluster)
        self.used.append(cluster)
        return cluster

    async def started(self, **options):
        """A cluster of this test's own, with a leader."""
        cluster = self.cluster(**options)
        cluster.format()
        cluster.start()
        await cluster.wait_leader()
        return cluster

    async def common(self, **options):
        """A running cluster shared with the topic's other tests: to be left as it was found."""
        key = repr(sorted(options.items()))
        cluster = self.shared.clusters.get(key)
        if cluster is None:
            options.setdefault("nodes", self.nodes)
            cluster = Cluster(self.build, **options)
            self.shared.clusters[key] = cluster
            cluster.format()
            cluster.start()
        self.used.append(cluster)
        await cluster.wait_leader()
        return cluster

    async def client(self, cluster, node=1, **options):
        client = await Client.open(cluster.url(node), cluster.ssl_context(), **options)
        self.clients.append(client)
        return client

    async def finish(self):
        for client in self.clients:
            await client.close()
        self.clients.clear()

    def close(self):
        for cluster in self.clusters:
            cluster.close()


def require_program(name, package):
    """The path of a program, or Skip with the package that brings it."""
    path = shutil.which(name)
    if path is None:
        raise Skip(f"{name} is not installed (Debian package {package})")
    return path


async def execute(case_, run):
    # A process that died by itself explains a failure better than the failure does, so that a
    # cluster is looked at before it is torn down.
    try:
        await asyncio.wait_for(case_.function(run), slow(case_.limit_s))
    finally:
        await asyncio.wait_for(run.finish(), slow(20))
    for cluster in run.used:
        cluster.check_no_crash()


def where(error):
    """The error with those frames of its traceback that are ours."""
    frames = []
    while error is not None:
        frames += [frame for frame in traceback.extract_tb(error.__traceback__)
                   if frame.filename.startswith(HERE) and frame.name not in ("judge", "execute")]
        text = "".join(traceback.format_exception_only(error))
        error = error.__cause__ or error.__context__ if isinstance(error, TimeoutError) else None
    return "".join(traceback.format_list(frames)) + text


def judge(case_, run):
    """Runs one test. Returns (verdict, text of the failure or reason)."""
    def alarm(_number, _frame):
        raise TimeoutError(f"blocked for more than {slow(case_.limit_s):.0f} s")

    begin = time.monotonic()
    signal.signal(signal.SIGALRM, alarm)
    # Behind asyncio's own limit: for tests that block the loop itself.
    signal.alarm(int(slow(case_.limit_s)) + 30)
    try:
        asyncio.run(execute(case_, run))
        return "ok", ""
    except Skip as reason:
        return "skipped", str(reason)
    except (asyncio.TimeoutError, TimeoutError) as error:
        over = time.monotonic() - begin >= slow(case_.limit_s)
        what = f"the test's limit of {slow(case_.limit_s):.0f} s" if over else "a limit within it"
        return "FAILED", f"{what} has passed: {error}\n" + where(error)
    except Exception as error:  # noqa: BLE001 - whatever a test raises is its failure
        return "FAILED", where(error)
    finally:
        signal.alarm(0)


def report(case_, verdict, text, run, seconds):
    print(f"{case_.name:<58} {verdict:<8} {seconds:7.2f} s", flush=True)
    for note in run.notes:
        print(f"    {note}")
    if verdict == "skipped":
        print(f"    {text}")
    if verdict == "FAILED":
        print("\n".join("    " + line for line in text.rstrip().split("\n")))
        for cluster in run.used:
            print(cluster.tails())
    sys.stdout.flush()


def load():
    known = set(TOPICS)
    for path in sorted(glob.glob(os.path.join(HERE, "test_*.py"))):
        module = os.path.basename(path)[:-3]
        topic = module.removeprefix("test_")
        if topic not in known:
            raise SystemExit(f"{path}: the topic is missing in harness.TOPICS")
        importlib.import_module(module)
    CASES.sort(key=lambda one: TOPICS.index(one.topic))


def choose(names):
    if not names:
        return list(CASES)
    chosen = []
    for name in names:
        found = [one for one in CASES if one.topic == name or one.name == name]
        if not found:
            raise SystemExit(f"there is no test or topic named {name}; --list shows them")
        chosen += [one for one in found if one not in chosen]
    return chosen


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tests/cluster/run", description="cluster tests")
    parser.add_argument("--build", default=os.path.join(TREE, "build", "release"))
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 5))
    parser.add_argument("--long", action="store_true", help="more rounds, and the long tests")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    options.build = os.path.abspath(options.build)
    return options


def run_all(chosen, options):
    counts = {"ok": 0, "FAILED": 0, "skipped": 0}
    failed = []
    shared = Shared()
    topic = None
    for case_ in chosen:
        if case_.topic != topic:
            shared.close()
            topic = case_.topic
        run = Run(options, shared)
        begin = time.monotonic()
        verdict, text = judge(case_, run)
        report(case_, verdict, text, run, time.monotonic() - begin)
        run.close()
        if verdict == "FAILED":
            # The next test shall not suffer from what this one left behind.
            shared.close()
            failed.append(case_.name)
        counts[verdict] += 1
    shared.close()
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    if failed:
        print("failed: " + " ".join(failed))
    return 1 if failed else 0


def main(arguments):
    options = parse(arguments)
    load()
    chosen = choose(options.names)
    if not options.long and not options.names:
        chosen = [one for one in chosen if not one.long_only]
    if options.list:
        for case_ in chosen:
            print(case_.name)
        return 0
    for name in ("payledgerd", "payledger"):
        if not os.access(os.path.join(options.build, name), os.X_OK):
            print(f"tests/cluster/run: there is no {name} in {options.build}; "
                  "build it, or name its folder with --build", file=sys.stderr)
            return 2

    def stop(_number, _frame):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    begin = time.monotonic()
    try:
        return run_all(chosen, options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        stop_everything()
        print(f"{time.monotonic() - begin:.0f} s in all", flush=True)

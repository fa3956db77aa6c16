"""This cluster: three nodes on loopback with TLS between them and flushes on, driven by its own
`payledger bench`."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import time

from . import workload, workspace

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster"))

import cluster as clusters  # noqa: E402: the path comes first

MAP_MB = 65536
READY_S = 60
BENCH_WRONG = 1  # the exit status of `payledger bench` when a check failed
SECONDS_MORE = 120  # of a round, beyond its own time and a share of its accounts
FILL_S_MAX = 3600
FILL_STEP_S = 20
WORKERS_MIN = 2  # gateway threads; more than there are cores cost more than they bring
VERIFIED_IDS = 2000  # asked for after each round; the totals are always compared


class Configured(clusters.Cluster):
    """A cluster as scripts/cluster makes it, in the run's directory."""

    def config_text(self):
        return super().config_text().replace(
            "workers = 2", f"workers = {max(WORKERS_MIN, os.cpu_count() or 1)}").replace(
            "map_mb = 2048", f"map_mb = {MAP_MB}")


class Payledger:
    name = "payledger"
    title = "payledger"

    def __init__(self, space, build, tls=False, raft="", node_lines=None, label="payledger"):
        self.space = space
        self.build = build
        self.cluster = Configured(build, tls=tls, raft=raft, node_lines=node_lines, name="bench",
                                  base=space.folder(label))
        self.tls = tls
        self.opened = 0  # accounts, by this program
        self.options = None
        self.only = None  # nodes that clients use; all of them where None
        self.paused = False

    # ---- life --------------------------------------------------------------------------------

    def start(self):
        self.cluster.format()
        self.cluster.start()
        self.ready()

    def ready(self):
        """Waits for a leader; returns its number."""
        return asyncio.run(self.cluster.wait_leader(READY_S))

    def roots(self):
        return [node.process.pid for node in self.cluster.nodes.values() if node.alive()]

    def pause(self):
        self.paused = True
        workspace.pause(self.roots())

    def resume(self):
        if self.paused:
            workspace.resume(self.roots())
            self.paused = False
            self.ready()

    def close(self):
        for number in self.cluster.nodes:
            self.cluster.signal(number, signal.SIGCONT)
        self.cluster.close()

    def settings(self):
        return {"config": self.cluster.config_text()}

    # ---- asking ------------------------------------------------------------------------------

    def addresses(self):
        return ",".join(f"127.0.0.1:{self.cluster.nodes[number].client_port}"
                        for number in self.only or self.cluster.nodes)

    def tool(self, *arguments, timeout_s=600):
        tls = ["--ca", os.path.join(self.cluster.pki, "ca.pem")] if self.tls else []
        return self.space.call(os.path.join(self.build, "payledger"), *arguments, *tls,
                               "--node", self.addresses(), timeout_s=timeout_s, wrong=BENCH_WRONG)

    def metrics(self, number):
        return asyncio.run(self.cluster.metrics(number))

    def stored(self):
        """Payments in the ledger."""
        leader = self.ready()
        return int(self.cluster.post(leader, "ledger.info")["result"]["payments"])

    def disk_bytes(self, number, part="ledger"):
        """What a node's files take on the disk."""
        total = 0
        for folder, _, names in os.walk(os.path.join(self.cluster.data_dir(number), part)):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.stat(os.path.join(folder, name)).st_blocks * 512
        return total

    # ---- load --------------------------------------------------------------------------------

    def knows(self, option):
        """Whether this build's bench has an option."""
        if self.options is None:
            self.options = self.space.call(os.path.join(self.build, "payledger"), "bench",
                                           "--help", check=False)
        return option + " " in self.options or option + "\n" in self.options

    def arguments(self, load):
        wanted = {"--connections": load.clients, "--in-flight": load.in_flight,
                  "--payments": load.payments, "--accounts": load.accounts,
                  "--seconds": load.seconds}
        if load.warmup:
            wanted["--warmup"] = load.warmup
        if load.distribution != "uniform":
            wanted["--distribution"] = load.distribution
        if load.distribution == "zipf":
            wanted["--exponent"] = workload.ZIPF_EXPONENT
        if load.ids != "v7":
            wanted["--ids"] = load.ids
        if load.rate:
            wanted["--rate"] = load.rate
        arguments = ["bench", "--json"]
        for option, value in wanted.items():
            if self.knows(option):
                arguments += [option, str(value)]
            elif option != "--warmup":
                raise workspace.Unsupported(f"this build's bench has no {option}")
        if self.opened >= load.accounts and self.knows("--reuse"):
            arguments.append("--reuse")
        if self.knows("--progress"):
            arguments += ["--progress", "off", "--verify", str(VERIFIED_IDS)]
        return [*arguments, *load.more]

    def open(self, accounts):
        """Opens accounts that do not exist yet; a round of one second does it."""
        if self.opened < accounts:
            self.run(workload.Workload(clients=8, in_flight=16, accounts=accounts, seconds=1,
                                       warmup=0))
            self.opened = accounts

    def fill(self, payments, accounts, seconds_max=FILL_S_MAX, kinds=("v7",)):
        """Pays by the thousand, with these kinds of ids in turn, until so many payments are stored
        or the time is over; returns how many are."""
        self.open(accounts)
        end = time.monotonic() + seconds_max
        stored = self.stored()
        rate, turn = 50_000, itertools.cycle(kinds)
        while stored < payments and time.monotonic() < end:
            seconds = min(FILL_STEP_S, (payments - stored) / rate, end - time.monotonic())
            seconds = max(1, int(seconds))
            done = self.run(workload.Workload(clients=4, in_flight=4, payments=1000,
                                              accounts=accounts, seconds=seconds, warmup=0,
                                              ids=next(turn)))
            rate = max(1000, done["payments_per_s"])
            stored = self.stored()
        return stored

    def run(self, load, timeout_s=None):
        out = self.tool(*self.arguments(load),
                        timeout_s=timeout_s or load.seconds + load.warmup + SECONDS_MORE +
                        load.accounts // 1000)
        self.opened = max(self.opened, load.accounts)
        return read_report(out)


def read_report(text):
    """What `payledger bench --json` printed, in the form of workload.result."""
    report = json.loads(text.strip().splitlines()[-1])
    measured = report["measured"]
    nodes = [node for node in report["nodes"] if node["known"]]
    leader = next((node for node in nodes if node["leader"]), {})
    return workload.result(
        report["payments_per_s"], report["latency_us"], right=report["checks"]["passed"],
        posted=measured["posted"], refused=measured["refused"],
        overloaded=measured["overloaded"], unknown=measured["unknown"],
        load_cores=report["generator"]["cpu_cores"], load_busy=report["generator"]["busy"],
        cores=sum(node["cpu_cores"] for node in nodes),
        memory_bytes=max((node["memory_bytes"] for node in nodes), default=None),
        payments_per_entry=leader.get("payments_per_entry"),
        log_bytes_per_payment=leader.get("log_bytes_per_payment"),
        without_latency=report.get("without_latency_requests", 0),
        seconds=report["settings"]["duration_s"], series=report["series"],
        started_at=report["started_at"],
        settings=report["settings"])

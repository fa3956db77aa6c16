"""What the targets share: systems that are started once, rounds that alternate, known peaks."""

import json
import os
import socket
import time

from . import figures, payledger, plan, rounds, workspace
from .workload import ID_KINDS, Workload

SINGLE = Workload(clients=64, in_flight=plan.PIPELINE, accounts=plan.ACCOUNTS)
# Room for what comes while an answer takes long: the open loop must not become a closed one.
OPEN = Workload(clients=64, in_flight=256, accounts=plan.ACCOUNTS)
ONE = Workload(clients=1, in_flight=1, accounts=plan.ACCOUNTS)
BATCH = Workload(clients=4, in_flight=4, payments=plan.BATCH, accounts=plan.ACCOUNTS)


class Skipped(Exception):
    """A target that can not be measured here, and why."""


class Context:
    def __init__(self, space, build, settings, deadline):
        self.space = space
        self.build = build
        self.settings = settings
        self.deadline = deadline
        self.rounds = settings.rounds
        self.seconds = settings.seconds
        self.warmup = settings.warmup
        self.systems = {}
        self.measured = {}  # what several targets are read from
        self.compared = None  # the last comparison on this machine
        self.big = None  # a cluster that holds settings.payments
        self.flushes = []
        self.busy = []

    # ---- systems -----------------------------------------------------------------------------

    def system(self, name):
        """A shared one, paused unless it is its turn."""
        if name not in self.systems:
            rounds.say(f"starting {name}")
            if name == "payledger-tls":
                made = payledger.Payledger(self.space, self.build, tls=True, label="payledger-tls")
            else:
                made = rounds.make(name, self.space, self.build)
            self.systems[name] = made
            made.start()
            made.pause()
        return self.systems[name]

    def own(self, **options):
        """A cluster for one target only; the caller closes it."""
        return payledger.Payledger(self.space, self.build, label="payledger-own", **options)

    def filled(self, before=None):
        """The cluster that holds many payments over many accounts: filled once, paused unless it is
        its turn. before(cluster) is called when the accounts are open."""
        if self.big is None:
            self.big = payledger.Payledger(self.space, self.build, label="payledger-big")
            self.big.start()
            self.big.open(self.settings.many_accounts)
            if before is not None:
                before(self.big)
            begin = time.monotonic()
            stored = self.big.fill(self.settings.payments, self.settings.many_accounts,
                                   self.deadline.left_s(self.settings.fill_s),
                                   ID_KINDS)
            rounds.say(f"    {stored:,} payments stored ({time.monotonic() - begin:.0f} s)")
            self.big.pause()
        return self.big

    def close(self):
        rounds.close(self.systems)
        if self.big is not None:
            self.big.close()
            self.big = None

    def turn(self, name):
        """Only this one of the shared systems runs inside."""
        return rounds.turn(self.system(name))

    # ---- loads -------------------------------------------------------------------------------

    def timed(self, load, **changes):
        fields = {"seconds": self.seconds, "warmup": self.warmup, **changes}
        return Workload(**{**load.__dict__, **fields})

    def run(self, name, load):
        """One round of a shared system."""
        system = self.system(name)
        row = rounds.measure(self.space, system, load)
        return self.note(name, load, row)

    def note(self, name, load, row):
        self.flushes.append(row["flush_us"])
        self.busy.append(row["busy_share"])
        rounds.say(f"    {name}: {load.clients} x {load.in_flight} clients, {load.payments} "
                   f"payments, {load.distribution}: "
                   f"{figures.count_text(row['result']['payments_per_s'])}/s")
        return row["result"]

    def alternate(self, runs):
        """runs: {label: function that gives a result}, each once a round; medians by label."""
        results = {label: [] for label in runs}
        for number in range(self.rounds):
            for label in plan.order(runs, number):
                results[label].append(runs[label]())
        return {label: middle(found) for label, found in results.items()}

    def alternate_loads(self, loads):
        """loads: {label: (system, load)}"""
        return self.alternate({label: (lambda name=name, load=load: self.run(name, load))
                               for label, (name, load) in loads.items()})

    def peak(self, system):
        """The rate of 64 pipelined connections of a cluster of this program."""
        return system.run(self.timed(SINGLE))["payments_per_s"]

    def open_loop(self, system, rate, seconds, load=OPEN):
        """A fixed arrival rate; with its series by seconds."""
        return system.run(self.timed(load, rate=max(1, int(rate)), seconds=seconds))

    def raft_alone(self, entry_bytes):
        """Raft without a ledger, one entry at a time, on the same disk."""
        folder = self.space.folder(f"raft{len(os.listdir(self.space.dir))}")
        port = three_ports()
        out = self.space.call(os.path.join(self.build, "bench", "raft_alone"), "--dir",
                              folder, "--port", str(port), "--bytes", str(entry_bytes),
                              "--seconds", str(self.seconds))
        report = json.loads(out.strip().splitlines()[-1])
        return {"payments_per_s": report["rate"],
                "latency_us": {"p50": report["p50_us"], "p99": report["p99_us"]}}


def middle(results):
    """The medians of what rounds gave."""
    names = set.intersection(*(set(result["latency_us"]) for result in results))
    made = {"payments_per_s": figures.median([result["payments_per_s"] for result in results]),
            "latency_us": {name: figures.median([result["latency_us"][name]
                                                 for result in results]) for name in names}}
    for name in ("log_bytes_per_payment", "cores", "load_cores", "overloaded"):
        made[name] = figures.median([result.get(name) for result in results])
    return made


def three_ports():
    """The first of three ports in a row that nobody listens on."""
    for _ in range(100):
        first = payledger.clusters.free_ports(1)[0]
        probes = [socket.socket() for _ in range(3)]
        try:
            for number, probe in enumerate(probes):
                probe.bind(("127.0.0.1", first + number))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise workspace.Failed("there are no three free ports in a row")

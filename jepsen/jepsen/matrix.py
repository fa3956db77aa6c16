"""Many runs: the matrix of workloads by faults, and the soak."""

import asyncio
import collections
import datetime
import json
import os
import random
import time

from . import doctor, nemesis, overview, paths, report, runner, store
from .totals import Totals

RUN_OVERHEAD_S = 20  # start, healing, final reads and checking of one run
AGAIN_SEED = 500  # how far the seed of a second try is from that of the first

# window_s: how long each fault is in force.
Cell = collections.namedtuple("Cell", "workload faults nodes window_s",
                              defaults=(nemesis.WINDOW_S,))

# For CI: each fault there is, and as many cells as the budget allows.
CI = [
    Cell("transfer", "partition,kill", 3),
    Cell("set", "power-cut,slow-disk", 3),
    Cell("register", "pause,partition", 3),
    Cell("idempotency", "packet,disk-full,io-error", 3),
    Cell("session", "bit-flip,clock", 3),
]

DISKS = "disk-full,io-error,slow-disk"
LONG_S = 20.0
FULL = [Cell(workload, faults, nodes) for nodes, rows in (
    (3, {
        "transfer": ("none", "partition", "packet", "kill", "pause", "power-cut", DISKS, "bit-flip",
                     "clock", "partition,kill", "all"),
        "bank": ("partition", "packet", "kill", "power-cut", "bit-flip", "clock", "all"),
        "register": ("partition", "kill", "pause", "packet", "power-cut", "all"),
        "idempotency": ("partition", "packet", "kill", "power-cut", DISKS, "all"),
        "set": ("partition", "kill", "power-cut", DISKS, "bit-flip", "all"),
        "session": ("partition", "packet", "kill", "pause", "all"),
    }),
    (5, {
        "transfer": ("partition", "kill,pause", "power-cut", "all"),
        "register": ("partition",),
        "bank": ("packet,partition",),
    })) for workload, cells in rows.items() for faults in cells]
# Who was away for so long finds its place in the log gone: it fetches the state.
FULL += [Cell("transfer", "partition", 3, LONG_S), Cell("transfer", "partition", 5, LONG_S)]


def time_of(cell, time_s):
    """Seconds of load: room for two windows at least."""
    return max(time_s, nemesis.QUIET_S + 2 * (cell.window_s + nemesis.PAUSE_S)) \
        if cell.window_s != nemesis.WINDOW_S else time_s


class Course:
    """The runs of one command. options: time, rate, build, budget_s (None: without end), and
    second_try, skip_missing where the command has them."""

    def __init__(self, options, title, command, say, full=False):
        self.options = options
        self.say = say
        self.data = {"title": title, "command": command, "full": full, "runs": [], "skipped": []}
        stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        base = os.path.join(paths.STORE, "matrix")
        os.makedirs(base, exist_ok=True)
        self.path = os.path.join(base, f"{stamp}.json")
        self.missing = {}
        if getattr(options, "skip_missing", False):
            found = asyncio.run(doctor.examine(random.Random(1)))
            self.missing = {name: detail for name, (there, _, detail) in found.items() if not there}

    def run(self, cells):
        """Runs pairs of cell and seed while the budget lasts; returns the Totals."""
        begin = time.monotonic()
        for cell, seed in cells:
            needed = time_of(cell, self.options.time) + RUN_OVERHEAD_S
            budget_s = self.options.budget_s
            if budget_s is not None and time.monotonic() - begin + needed > budget_s:
                self.say(f"the budget is used up after {len(self.data['runs'])} runs")
                break
            names = [n for n in cell.faults.split(",") if n != "none"]
            missing = [n for n in runner.known_faults(names) if n in self.missing]
            if missing:
                self._skip(cell, names, missing)
            else:
                self._cell(cell, names, seed)
            write(self.path, self.data)
            store.prune()
        sums = Totals(self.data["runs"])
        self.say(sums.sentence())
        for line in sums.shortfalls(self.data["full"]):
            self.say(f"not reached: {line}")
        self.say(f"report: {os.path.relpath(self.path[:-5] + '.html')}")
        return sums

    @property
    def skipped(self):
        return len(self.data["skipped"])

    def _skip(self, cell, names, missing):
        reason = "; ".join(f"{name}: {self.missing[name]}" for name in missing)
        self.data["skipped"].append({"workload": cell.workload, "faults": names,
                                     "reason": reason})
        self.say(f"skipped: {cell.workload} under {cell.faults}: {reason}")

    def _cell(self, cell, names, seed):
        row = self._one(cell, names, seed)
        if getattr(self.options, "second_try", False) and may_run_again(row):
            self.say(f"once more, with another seed: {cell.workload} under {cell.faults}")
            again = self._one(cell, names, seed + AGAIN_SEED)
            row = {**again, "before": {name: row.get(name) for name in (
                "valid", "first_error", "href", "seed")}}
        self.data["runs"].append(row)

    def _one(self, cell, names, seed):
        options = self.options
        run = runner.Options(cell.workload, runner.known_faults(names), cell.nodes,
                             time_of(cell, options.time), options.rate, seed, options.build,
                             window_s=cell.window_s)
        self.say(run.command())
        directory, results = runner.run(run)
        row = row_of(directory, results, {"workload": cell.workload, "faults": names,
                                          "nodes": cell.nodes, "seed": seed})
        self.say(f"    {_word(row['valid'])}: {row.get('acknowledged', 0)} acknowledged, "
                 f"{row.get('effective_windows', 0)} of {row.get('windows', 0)} fault windows "
                 f"effective, {row.get('leader_changes')} leader changes, "
                 f"{row.get('state_transfers', 0)} state transfers"
                 + (f"; {row['first_error']}" if row.get("first_error") else "")
                 + f"; {os.path.relpath(directory)}")
        return row


def row_of(directory, results, cell):
    """The row of a run in overview.MATRIX; the names of the cell stay as they were asked for."""
    return {**cell, **results.get("summary", {}), "valid": results["valid"],
            "faults": cell["faults"],
            "href": os.path.join("..", os.path.relpath(directory, paths.STORE), "index.html")}


def may_run_again(row):
    """Whether a busy machine may be what was wrong: too little was proved, or something was right
    but late. A contradiction is never tried again."""
    return row["valid"] == "unknown" or bool(row.get("only_slow"))


def check_again(path, say):
    """Judges the stored runs of a matrix anew; returns (Totals, whether it was a full matrix)."""
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    base = os.path.dirname(os.path.realpath(path))
    for at, row in enumerate(data["runs"]):
        directory = os.path.normpath(os.path.join(base, os.path.dirname(row["href"])))
        if not os.path.isdir(directory):
            say(f"no longer stored: {directory}")
            continue
        again = row_of(directory, report.write_run(directory), {
            name: row.get(name) for name in ("workload", "faults", "nodes", "seed", "before")})
        data["runs"][at] = {**again, "href": row["href"]}
        say(f"{_word(again['valid'])}: {os.path.relpath(directory)}"
            + (f": {again['first_error']}" if again.get("first_error") else ""))
    write(path, data)
    sums = Totals(data["runs"])
    say(sums.sentence())
    return sums, data.get("full", False)


def _word(valid):
    return {True: "valid", False: "INVALID"}.get(valid, "UNKNOWN")


def write(path, data):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, default=str)
    overview.write_matrix(path, path[:-5] + ".html")


def matrix_cells(full, seed):
    return [(cell, seed * 1000 + at) for at, cell in enumerate(FULL if full else CI)]


def soak_cells(seed):
    """Endless: cells of the full matrix in random order, each with a seed of its own."""
    rng = random.Random(f"{seed} soak")
    while True:
        for cell in rng.sample(FULL, len(FULL)):
            yield cell, rng.randrange(1, 1 << 31)

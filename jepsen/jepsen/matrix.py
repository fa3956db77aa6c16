"""Many runs: the matrix of workloads by faults, and the soak."""

import datetime
import json
import os
import random
import time

from . import paths, report, runner

RUN_OVERHEAD_S = 32  # start, healing, final reads and checking of one run

# For CI: in the order of value; as many as the budget allows.
CI = [
    ("transfer", "partition", 3), ("set", "power-cut", 3), ("idempotency", "packet,kill", 3),
    ("register", "pause,partition", 3), ("transfer", "disk-full,io-error,slow-disk", 3),
    ("session", "kill", 3), ("transfer", "all", 3), ("bank", "bit-flip,clock", 3),
]

DISKS = "disk-full,io-error,slow-disk"
FULL = [(workload, faults, nodes) for nodes, rows in (
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


def seconds_of(time_s):
    return time_s + RUN_OVERHEAD_S


def run_cells(cells, options, title, command, say):
    """Runs cells (workload, faults, nodes, seed) while the budget lasts; returns the rows."""
    begin = time.monotonic()
    rows = []
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    base = os.path.join(paths.STORE, "matrix")
    os.makedirs(base, exist_ok=True)
    path = os.path.join(base, f"{stamp}.json")
    for workload, names, nodes, seed in cells:
        spent = time.monotonic() - begin
        if options.budget_s is not None and spent + seconds_of(options.time) > options.budget_s:
            say(f"the budget is used up after {len(rows)} runs")
            break
        chosen = runner.known_faults([n for n in names.split(",") if n != "none"])
        run = runner.Options(workload, chosen, nodes, options.time, options.rate, seed,
                             options.build)
        say(run.command())
        directory, results = runner.run(run)
        row = {"workload": workload, "faults": names.split(",") if names != "none" else [],
               "valid": results["valid"], "seed": seed, **results.get("summary", {})}
        row.update({"faults": [n for n in names.split(",") if n != "none"],
                    "href": os.path.join("..", os.path.relpath(directory, paths.STORE),
                                         "index.html"),
                    "state_transfers": _got(results, "snapshots installed"),
                    "snapshots": _got(results, "snapshots taken")})
        rows.append(row)
        say(f"    {_word(row['valid'])}: {row.get('acknowledged', 0)} acknowledged, "
            f"{row.get('effective_windows', 0)} of {row.get('windows', 0)} fault windows "
            f"effective, "
            f"{row.get('leader_changes')} leader changes, "
            f"{row['state_transfers']} state transfers"
            + (f"; {row['first_error']}" if row.get("first_error") else "")
            + f"; {os.path.relpath(directory)}")
        _store(path, title, command, rows)
    _total(rows, say)
    say(f"report: {os.path.relpath(path[:-5] + '.html')}")
    return rows


def _got(results, guard):
    rows = results["checkers"].get("vacuity", {}).get("guards", ())
    return next((row["got"] for row in rows if row["guard"] == guard), 0)


def _word(valid):
    return {True: "valid", False: "INVALID"}.get(valid, "UNKNOWN")


def _total(rows, say):
    def total(name):
        return sum(row.get(name) or 0 for row in rows)
    say(f"{total('acknowledged')} payments acknowledged, {total('effective_windows')} proved fault "
        f"windows, {total('leader_changes')} leader changes, {total('state_transfers')} state "
        f"transfers, {total('operations')} operations")


def _store(path, title, command, rows):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"title": title, "command": command, "runs": rows}, file, indent=1, default=str)
    report.write_matrix(path, path[:-5] + ".html")


def matrix_cells(full, seed):
    return [(workload, faults, nodes, seed * 1000 + at)
            for at, (workload, faults, nodes) in enumerate(FULL if full else CI)]


def soak_cells(seed):
    """Endless: cells of the full matrix in random order, each with a seed of its own."""
    rng = random.Random(f"{seed} soak")
    while True:
        for workload, faults, nodes in rng.sample(FULL, len(FULL)):
            yield workload, faults, nodes, rng.randrange(1, 1 << 31)

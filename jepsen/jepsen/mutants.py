"""Mutants: faults that are built in or preloaded on purpose; the suite has to go red on each.

jepsen/mutants/NAME.json
    name         also the value of PAYLEDGER_MUTANT in builds with such switches
    what         what is broken, in a sentence
    instrument   "jepsen" or "simulation"
    preset       CMake preset whose build has the switch, null: the release build
    environment  {variable: value} of the nodes, or of the command
    preloads     names of files in jepsen/tools, for LD_PRELOAD
    run          jepsen: {workload, faults, nodes, time_s, rate, seeds}; tried in the order of the
    seeds
    command      simulation: the command, from the root of the repository; it must fail
    must         names of checkers: one of them at least has to be the one that catches it
    budget_s     within so many seconds of runs
    fast         whether CI runs it
"""

import glob
import json
import os
import re
import subprocess
import time

from . import paths, runner, tools

KEYS = {"name", "what", "instrument", "preset", "environment", "preloads", "run", "command", "must",
        "budget_s", "fast"}
BUILD_S = 900


class Mutant:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
        unknown = set(fields) - KEYS
        if unknown:
            raise ValueError(f"{path}: unknown fields {sorted(unknown)}")
        self.name = fields["name"]
        if f"{self.name}.json" != os.path.basename(path):
            raise ValueError(f"{path}: is named {self.name}")
        self.what = fields["what"]
        self.instrument = fields["instrument"]
        self.preset = fields.get("preset")
        self.environment = fields.get("environment", {})
        self.preloads = fields.get("preloads", [])
        self.run = fields.get("run")
        self.command = fields.get("command")
        self.must = fields["must"]
        self.budget_s = fields["budget_s"]
        self.fast = fields.get("fast", False)
        if (self.instrument == "jepsen") != (self.run is not None):
            raise ValueError(f"{path}: a jepsen mutant has `run`, a simulation `command`")

    @property
    def how(self):
        return "build" if self.preset else "preload" if self.preloads else "run"

    def preload_paths(self):
        return [tools.preload(name) for name in self.preloads]

    def build(self, default):
        return os.path.join(paths.ROOT, "build", self.preset) if self.preset else default


def load(names=None):
    """All mutants, or those named."""
    found = [Mutant(path) for path in sorted(glob.glob(os.path.join(paths.MUTANTS, "*.json")))]
    missing = set(names or ()) - {mutant.name for mutant in found}
    if missing:
        raise ValueError(f"no mutant {', '.join(sorted(missing))}")
    return [mutant for mutant in found if not names or mutant.name in names]


def build(mutants, say):
    """Builds what the mutants need; returns the names of the presets that can not be built."""
    failed = set()
    for preset in sorted({m.preset for m in mutants if m.preset}):
        targets = ["payledgerd", "payledger"]
        if any(m.preset == preset and m.instrument == "simulation" for m in mutants):
            targets.append("payledger-sim")
        say(f"building {preset}")
        for command in (["cmake", "--preset", preset],
                        ["cmake", "--build", os.path.join("build", preset), "-j2", "--target",
                         *targets]):
            done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True,
                                  timeout=BUILD_S, check=False)
            if done.returncode != 0:
                say(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
                failed.add(preset)
                break
    return failed


def hunt(mutant, default_build, say):
    """Tries to kill it within its budget; returns its row for the report."""
    begin = time.monotonic()
    row = {"name": mutant.name, "what": mutant.what, "how": mutant.how,
           "instrument": mutant.instrument, "must": mutant.must, "budget_s": mutant.budget_s,
           "killed": False, "by": [], "seconds": None, "href": None}
    if mutant.instrument == "simulation":
        _simulate(mutant, row)
    else:
        for seed in mutant.run["seeds"]:
            if time.monotonic() - begin > mutant.budget_s or row["killed"]:
                break
            _live(mutant, seed, default_build, row)
    row["seconds"] = round(time.monotonic() - begin, 1)
    good = caught(row)
    say(f"{mutant.name}: {'killed' if good else 'SURVIVED'} in {row['seconds']} s"
        + (f" by {', '.join(row['by'])}" if row["by"] else "")
        + ("" if good or not row["by"] else f", wanted {', '.join(mutant.must)}"))
    return row


def caught(row):
    """Killed, by a checker that was meant to."""
    return bool(row["killed"] and set(row["by"]) & set(row["must"]))


def _live(mutant, seed, default_build, row):
    run = mutant.run
    directory, results = runner.run(runner.Options(
        run["workload"], runner.known_faults(run.get("faults", [])), run.get("nodes", 3),
        run.get("time_s", 30), run.get("rate", 400), seed, mutant.build(default_build), mutant))
    row["href"] = os.path.join("..", os.path.relpath(directory, paths.STORE), "index.html")
    by = [name for name, result in results["checkers"].items() if result["valid"] is False]
    row["by"] = sorted(set(row["by"]) | set(by))
    row["killed"] = bool(by) and bool(set(by) & set(mutant.must))


def _simulate(mutant, row):
    try:
        done = subprocess.run(mutant.command, cwd=paths.ROOT, capture_output=True, text=True,
                              timeout=mutant.budget_s, check=False,
                              env={**os.environ, **mutant.environment})
    except subprocess.TimeoutExpired:
        return
    if done.returncode != 0:
        text = done.stdout + done.stderr
        row["by"] = [name for name in mutant.must if re.search(re.escape(name), text)]
        row["killed"] = bool(row["by"])

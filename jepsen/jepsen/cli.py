"""The commands of jepsen/run."""

import argparse
import asyncio
import datetime
import json
import os
import random
import re
import time

from . import doctor as doctors, matrix as matrices, mutants as mutant_files
from . import nemesis, overview, paths, report as reports
from . import runner, sandbox, store
from .workloads import ALL as WORKLOADS

OUTSIDE = ("check", "report")  # need no namespaces


def main(arguments):
    options = _parser().parse_args(arguments)
    commands = {"doctor": doctor, "test": test, "matrix": matrix, "mutants": mutants,
                "check": check, "report": report, "soak": soak}
    if options.command not in OUTSIDE:
        if not sandbox.inside():
            return sandbox.enter(arguments)
        sandbox.prepare()
    try:
        status = commands[options.command](options)
        store.prune()
        return status
    except KeyboardInterrupt:
        return 255
    except ValueError as error:
        say(f"jepsen: {error}")
        return 254


def _parser():
    parser = argparse.ArgumentParser(
        prog="jepsen/run", description="Failure injection against real processes, judged by a "
        "ledger model of its own. Output: jepsen/store/.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="probe every injector")
    test_parser = commands.add_parser("test", help="one run")
    test_parser.add_argument("-w", "--workload", default="transfer", choices=list(WORKLOADS))
    test_parser.add_argument("-n", "--nemesis", default="none",
                             help="faults, with commas; all; none (the default)")
    test_parser.add_argument("--nodes", type=int, default=3, choices=(3, 5))
    test_parser.add_argument("--window", type=float, default=nemesis.WINDOW_S,
                             help="seconds for which each fault is in force")
    test_parser.add_argument("--mutant", help="run with this mutant")
    _common(test_parser)
    matrix_parser = commands.add_parser("matrix", help="workloads by faults")
    matrix_parser.add_argument("--budget", default="12m", help="12m, 700s ...; full: every cell")
    matrix_parser.add_argument("--second-try", action="store_true", help="a run that proved too "
                               "little, or in which all was right but late, is done once more")
    matrix_parser.add_argument("--skip-missing", action="store_true",
                               help="leave out cells with faults that this machine does not allow")
    _common(matrix_parser)
    mutants_parser = commands.add_parser("mutants", help="the suite must go red on each")
    mutants_parser.add_argument("names", nargs="*")
    mutants_parser.add_argument("--fast", action="store_true", help="only those that CI runs")
    mutants_parser.add_argument("--null", type=int, default=0, metavar="N",
                                help="also run the unmutated build N times; it must stay green")
    _common(mutants_parser)
    for name, text in (("check", "check stored runs again"), ("report", "write reports again")):
        one = commands.add_parser(name, help=text)
        one.add_argument("directories", nargs="*", default=[os.path.join(paths.STORE, "latest")])
    soak_parser = commands.add_parser("soak", help="random cells until the time is over")
    soak_parser.add_argument("--budget", default="150m")
    _common(soak_parser)
    return parser


def _common(parser):
    parser.add_argument("--time", type=float, default=45, help="seconds of load per run")
    parser.add_argument("--rate", type=float, default=400, help="operations offered per second")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--build", default=paths.BUILD, help="directory of the binaries")


def say(text):
    print(text, flush=True)


def seed_of(options):
    return options.seed if options.seed is not None else random.SystemRandom().randrange(1, 1 << 20)


def budget_seconds(text):
    """"12m", "90s", "2h" in seconds; None for "full"."""
    if text == "full":
        return None
    found = re.fullmatch(r"([0-9]+)([smh])", text)
    if not found:
        raise ValueError(f"--budget {text}: must look like 12m, 90s, 2h or full")
    return int(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def check_binaries(build):
    """A run without a product says nothing about it, least of all about a mutant."""
    for name in ("payledgerd", "payledger"):
        if not os.access(os.path.join(build, name), os.X_OK):
            raise ValueError(f"--build {build}: there is no {name}; "
                             "scripts/build release makes build/release")


def doctor(options):
    found = asyncio.run(doctors.examine(random.Random(1)))
    for name, (_, kind, detail) in found.items():
        say(f"{name:11} {kind}\n            {detail}")
    return close([passed for passed, _, _ in found.values()])


def test(options):
    faults = runner.known_faults([n for n in options.nemesis.split(",") if n != "none"])
    mutant = mutant_files.load([options.mutant])[0] if options.mutant else None
    build = options.build
    if mutant:
        mutant_files.build([mutant], say)
        build = mutant.build(build)
    check_binaries(build)
    run = runner.Options(options.workload, faults, options.nodes, options.time, options.rate,
                         seed_of(options), build, mutant, verbose=True, window_s=options.window)
    say(run.command())
    directory, results = runner.run(run)
    show(directory, results)
    return close([results["valid"] is True])


def matrix(options):
    check_binaries(options.build)
    options.budget_s = budget_seconds(options.budget)
    seed = seed_of(options)
    full = options.budget_s is None
    command = f"jepsen/run matrix --budget {options.budget} --time {options.time:g} " \
              f"--rate {options.rate:g} --seed {seed}"
    course = matrices.Course(options, "Workloads by faults", command, say, full)
    return close_many(course.run(matrices.matrix_cells(full, seed)), full, course.skipped)


def soak(options):
    check_binaries(options.build)
    options.budget_s = budget_seconds(options.budget)
    seed = seed_of(options)
    command = f"jepsen/run soak --budget {options.budget} --seed {seed}"
    say(command)
    course = matrices.Course(options, "Soak", command, say)
    return close_many(course.run(matrices.soak_cells(seed)))


def mutants(options):
    chosen = [m for m in mutant_files.load(options.names) if m.fast or not options.fast]
    if options.null or any(m.instrument == "jepsen" and not m.preset for m in chosen):
        check_binaries(options.build)
    unbuilt = mutant_files.build(chosen, say)
    rows = []
    for mutant in chosen:
        if mutant.preset in unbuilt:
            rows.append({"name": mutant.name, "what": mutant.what, "how": mutant.how,
                         "instrument": mutant.instrument, "must": mutant.must,
                         "budget_s": mutant.budget_s, "killed": False, "by": [],
                         "seconds": None, "href": None})
        else:
            rows.append(mutant_files.hunt(mutant, options.build, say))
    green = [_null_run(options, chosen, number) for number in range(options.null)]
    base = os.path.join(paths.STORE, "mutants")
    os.makedirs(base, exist_ok=True)
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    path = os.path.join(base, f"{stamp}.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"title": "Mutants", "command": "jepsen/run mutants", "mutants": rows,
                   "null": {"runs": len(green), "green": sum(green)}}, file, indent=1)
    overview.write_mutants(path, path[:-5] + ".html")
    say(f"report: {os.path.relpath(path[:-5] + '.html')}")
    return close([mutant_files.caught(row) for row in rows] + green)


def _null_run(options, chosen, number):
    """The unmutated build under the runs of the mutants, in turn."""
    live = [m.run for m in chosen if m.run] or [{"workload": "transfer", "faults": ["kill"]}]
    run = live[number % len(live)]
    seed = seed_of(options) + number
    directory, results = runner.run(runner.Options(
        run["workload"], runner.known_faults(run.get("faults", [])), run.get("nodes", 3),
        run.get("time_s", 30), run.get("rate", 400), seed, options.build, name="null"))
    say(f"null {number + 1}: seed {seed}: {results['valid']}: {os.path.relpath(directory)}")
    if results["valid"] is not True:
        show(directory, results)
    return results["valid"] is True


def check(options):
    """Runs by their directory, or all of a matrix by its JSON file."""
    passed, status = [], 0
    for path in options.directories:
        if not os.path.isdir(path):
            status = max(status, close_many(*matrices.check_again(path, say)))
            continue
        begin = time.monotonic()
        results = reports.write_run(os.path.realpath(path))
        show(path, results)
        say(f"checked in {time.monotonic() - begin:.1f} s")
        passed.append(results["valid"] is True)
    return max(status, close(passed)) if passed else status


def report(options):
    """Runs by their directory, the matrix and the mutants by their JSON file."""
    for path in options.directories:
        if os.path.isdir(path):
            reports.write_run(os.path.realpath(path))
            say(os.path.join(os.path.relpath(path), "index.html"))
        else:
            with open(path, encoding="utf-8") as file:
                is_matrix = "runs" in json.load(file)
            write = overview.write_matrix if is_matrix else overview.write_mutants
            write(path, os.path.splitext(path)[0] + ".html")
            say(os.path.splitext(path)[0] + ".html")
    return 0


def show(directory, results):
    for name, result in results["checkers"].items():
        if result["valid"] is not True:
            say(f"{name}: {'INVALID' if result['valid'] is False else 'unknown'}")
            for error in result["errors"][:3]:
                say(f"    {error['text']}")
            for doubt in result["doubts"][:5]:
                say(f"    {doubt}")
    if results.get("problem"):
        say(results["problem"])
    word = {True: "valid", False: "INVALID"}.get(results["valid"], "unknown")
    say(f"{word}: {os.path.relpath(directory)}/index.html")


def close(passed, skipped=0):
    """The closing line, and the exit status. Unknown is not passed."""
    good = sum(passed)
    say(f"jepsen: {good} passed, {len(passed) - good} failed, {skipped} skipped")
    return 0 if passed and good == len(passed) else 1


def close_many(sums, full=False, skipped=0):
    """What all runs have to reach together counts like one more of them."""
    passed = [row["valid"] is True for row in sums.rows]
    return close(passed + ([not sums.shortfalls(full)] if passed else []), skipped)

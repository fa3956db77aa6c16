"""The commands of jepsen/run."""

import argparse
import os
import random
import sys
import time

from . import paths, runner, sandbox
from .workloads import ALL as WORKLOADS


def main(arguments):
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command in ("check", "report"):
        return globals()[options.command](options)
    if not sandbox.inside():
        return sandbox.enter(arguments)
    sandbox.prepare()
    try:
        return globals()[options.command](options)
    except KeyboardInterrupt:
        return 255


def _parser():
    parser = argparse.ArgumentParser(prog="jepsen/run", description="Failure injection against real "
                                     "processes, judged by a ledger model of its own.")
    commands = parser.add_subparsers(dest="command", required=True)
    test = commands.add_parser("test", help="one run")
    test.add_argument("-w", "--workload", default="transfer", choices=list(WORKLOADS))
    test.add_argument("-n", "--nemesis", default="", help="faults, with commas; all; none")
    test.add_argument("--time", type=float, default=45, help="seconds of load")
    _common(test)
    return parser


def _common(parser):
    parser.add_argument("--nodes", type=int, default=3, choices=(3, 5))
    parser.add_argument("--rate", type=float, default=400, help="operations offered per second")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--build", default=paths.BUILD)


def _seed(options):
    return options.seed if options.seed is not None else random.SystemRandom().randrange(1, 1 << 31)


def test(options):
    faults = runner.known_faults([n for n in options.nemesis.split(",") if n and n != "none"])
    run = runner.Options(options.workload, faults, options.nodes, options.time, options.rate,
                         _seed(options), options.build, verbose=True)
    print(run.command(), flush=True)
    directory, results = runner.run(run)
    show(directory, results)
    return close([results["valid"] is True])


def show(directory, results):
    for name, result in results["checkers"].items():
        if result["valid"] is not True:
            print(f"{name}: {'INVALID' if result['valid'] is False else 'unknown'}")
            for error in result["errors"][:3]:
                print(f"    {error['text']}")
            for doubt in result["doubts"][:5]:
                print(f"    {doubt}")
    if results.get("problem"):
        print(results["problem"])
    word = {True: "valid", False: "INVALID"}.get(results["valid"], "unknown")
    print(f"{word}: {os.path.relpath(directory)}")


def close(passed):
    """The closing line, and the exit status."""
    good = sum(passed)
    print(f"jepsen: {good} passed, {len(passed) - good} failed, 0 skipped")
    return 0 if good == len(passed) and passed else 1

"""The command line of bench/run."""

import argparse
import contextlib
import dataclasses
import json
import os
import shlex
import sys

from . import keeper, payledger, plan, publish, report, rounds, scenarios, workspace
from .context import Context

STORE = os.path.join(payledger.ROOT, "bench", "store")


def parser():
    made = argparse.ArgumentParser(
        prog="bench/run", description="Compares payledger with PostgreSQL and etcd on this "
        "machine, and measures the targets of docs/performance.md.")
    made.add_argument("what", nargs="?", default="compare",
                      choices=("compare", "targets", "report", "publish"),
                      help="compare (the default); targets [NAME ...]; report: the tables of the "
                      "stored results; publish: the same into docs/performance.md and docs/figures")
    made.add_argument("names", nargs="*", help="of targets; all of them without a name")
    made.add_argument("--size", choices=tuple(plan.SIZES), default="full",
                      help="quick: minutes, one round, less of everything; medium: shorter rounds")
    made.add_argument("--quick", action="store_const", const="quick", dest="size")
    made.add_argument("--minutes", type=float, help="what does not fit into them is left out")
    made.add_argument("--list", action="store_true", help="the names of the targets")
    made.add_argument("--rounds", type=int)
    made.add_argument("--seconds", type=int, help="measured time of a round")
    made.add_argument("--payments", type=int, help="stored by the targets growth and recovery")
    made.add_argument("--idle", type=int, help="connections of the target connections")
    made.add_argument("--trace", type=int, help="seconds of the target half_rate's trace")
    made.add_argument("--systems", default=",".join(plan.SYSTEMS), help="which of them")
    made.add_argument("--build", default=os.path.join(payledger.ROOT, "build", "release"))
    made.add_argument("--dir", default="/tmp", help="on the disk that is to be measured")
    made.add_argument("--store", default=STORE, help="where results are kept as JSON")
    return made


def store_path(options, kind):
    return os.path.join(options.store, kind + ".json")


def save(options, content):
    os.makedirs(options.store, exist_ok=True)
    path = store_path(options, content["kind"])
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
    os.replace(path + ".new", path)


def load(options, kind):
    """What was stored; None where nothing was."""
    with contextlib.suppress(FileNotFoundError):
        with open(store_path(options, kind), encoding="utf-8") as file:
            return json.load(file)
    return None


def settings_of(options):
    settings = plan.SIZES[options.size]()
    systems = tuple(options.systems.split(","))
    unknown = [name for name in systems if name not in plan.SYSTEMS]
    if unknown:
        raise workspace.Failed(f"--systems: there is no {unknown[0]}")
    given = {"rounds": options.rounds, "seconds": options.seconds, "idle": options.idle,
             "payments": options.payments, "trace_s": options.trace}
    return dataclasses.replace(settings, systems=systems,
                               **{name: value for name, value in given.items() if value})


def compare(options, command):
    settings = settings_of(options)
    space = workspace.Workspace(options.dir)
    try:
        done = rounds.compare(space, options.build, settings, command,
                              rounds.Deadline(options.minutes),
                              lambda content: save(options, content))
    finally:
        space.close()
    print(report.text(done))
    print(f"stored in {store_path(options, 'compare')}; bench/run publish makes tables and figures")
    return 0


def targets(options, command):
    if options.list:
        for scenario in scenarios.ALL:
            print(f"{scenario.name:14} {scenario.what}: {scenario.target}")
        return 0
    settings = settings_of(options)
    chosen = scenarios.chosen(options.names)
    space = workspace.Workspace(options.dir)
    context = Context(space, options.build, settings, rounds.Deadline(options.minutes))
    try:
        done = scenarios.run(context, chosen, command, load(options, "targets"),
                             load(options, "compare"), lambda content: save(options, content))
    finally:
        context.close()
        space.close()
    print(scenarios.text(done))
    print(f"stored in {store_path(options, 'targets')}")
    return 0


def run(options, command):
    try:
        if options.what == "compare":
            return compare(options, command)
        if options.what == "targets":
            return targets(options, command)
        found = {kind: load(options, kind) for kind in ("compare", "targets")}
        if not any(found.values()):
            raise workspace.Failed(f"nothing is stored in {options.store} yet")
        if options.what == "publish":
            return publish.publish(found)
        for text in publish.texts(found).values():
            print(text)
        return 0
    except workspace.Wrong as error:
        print(f"bench/run: THE BOOK IS WRONG: {error}", file=sys.stderr)
        return 1
    except workspace.STEP_FAILURES as error:
        print(f"bench/run: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench/run: stopped; nothing is left behind", file=sys.stderr)
        return 130


def main(arguments):
    options = parser().parse_args(arguments)
    command = shlex.join(["bench/run", *arguments])
    options.build = os.path.abspath(options.build)
    return keeper.kept(lambda: run(options, command), options.dir)

"""Runs the comparison: all systems on one machine, one of them at a time, in turn."""

import contextlib
import dataclasses
import os
import shutil
import sys
import time

from . import figures, machine, payledger, plan, workspace
from .etcd import Etcd
from .postgres import Postgres

SETTLE_S = 0.5
FILL_S_MAX = 3600


def say(text):
    print(text, file=sys.stderr, flush=True)


def make(name, space, build):
    if name == "payledger":
        return payledger.Payledger(space, build)
    return Postgres(space) if name == "postgres" else Etcd(space, build)


class Deadline:
    """When a run has to be done; with None it takes as long as it takes."""

    def __init__(self, minutes=None):
        self.end = None if minutes is None else time.monotonic() + 60 * minutes

    def fits(self, seconds):
        return self.end is None or time.monotonic() + seconds <= self.end

    def left_s(self, at_most):
        return at_most if self.end is None else max(0, min(at_most, self.end - time.monotonic()))


def start(space, build, names, systems):
    """Starts systems, all paused, into {name: system}."""
    for name in names:
        say(f"starting {name}")
        systems[name] = make(name, space, build)
        systems[name].start()
        systems[name].pause()


def close(systems):
    for system in systems.values():
        system.close()
    systems.clear()


@contextlib.contextmanager
def turn(system):
    """Only this one runs inside."""
    system.resume()
    try:
        yield system
    finally:
        system.pause()


def measure(space, system, load, count_stored=False):
    """One round; the disk and whoever else is busy are looked at just before."""
    os.sync()
    busy = machine.busy_share(SETTLE_S)
    flush_us = machine.flush_latency(space.dir)
    with turn(system):
        system.open(load.accounts)
        stored = system.stored() if count_stored else None
        result = system.run(load)
    for bulky in ("series", "settings", "started_at"):
        result.pop(bulky, None)
    if not result["right"]:
        raise workspace.Wrong(f"{system.name}: after {load}")
    return {"system": system.name, "load": load.key(), "seconds": load.seconds,
            "flush_us": flush_us, "busy_share": round(busy, 3), "stored": stored,
            "result": result}


def programs(build):
    """What says its version."""
    postgres = shutil.which("postgres") or next(iter(sorted(
        os.path.join("/usr/lib/postgresql", version, "bin", "postgres")
        for version in (os.listdir("/usr/lib/postgresql")
                        if os.path.isdir("/usr/lib/postgresql") else ()))), "postgres")
    return {"payledger": [os.path.join(build, "payledger"), "--version"],
            "postgres": [postgres, "--version"], "etcd": ["etcd", "--version"]}


def new_report(kind, space, build, command):
    return {"kind": kind, "command": command, "started": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                                       time.gmtime()),
            "machine": machine.describe(space.dir, programs(build)), "rounds": [],
            "left_out": []}


def compare(space, build, settings, command, deadline, save):
    """The whole comparison; save(report) is called after each round."""
    report = new_report("compare", space, build, command)
    report["settings"] = dataclasses.asdict(settings)
    say(f"size {settings.size}: about {settings.estimate_s() / 60:.0f} minutes")
    systems = {}
    try:
        start(space, build, settings.systems, systems)
        report["system_settings"] = {name: one.settings() for name, one in systems.items()}
        for group in plan.groups(settings):
            _group(space, build, systems, group, settings, deadline, report, save)
    finally:
        close(systems)
    return report


def _group(space, build, systems, group, settings, deadline, report, save):
    first = group[0]
    sweeps = dict.fromkeys(name for point in group for name in point.sweeps)
    what = f"{', '.join(sweeps)} ({max_accounts(group):,} accounts, {first.fill:,} payments stored)"
    if first.fresh:
        names = [name for name in systems if name in first.loads]
        close(systems)
        start(space, build, names, systems)
    try:
        if not _fill(systems, first, deadline):
            _leave_out(report, f"{what}: the time was over")
            return
    except workspace.STEP_FAILURES as failure:
        _leave_out(report, f"{what}, which could not be stored: {failure}")
        return
    round_s = settings.seconds + settings.warmup + plan.ROUND_MORE_S
    once_s = sum(len(point.loads) for point in group) * round_s
    for number in range(settings.rounds):
        if not deadline.fits(once_s):
            _leave_out(report, f"{what}, from round {number + 1} on: the time was over")
            return
        for point in group:
            for name in plan.order(point.loads, number):
                try:
                    _round(space, systems[name], point, number, report)
                except workspace.STEP_FAILURES as failure:
                    _leave_out(report, f"a round of {name}, which failed: {failure}")
                    systems.pop(name).close()
                    start(space, build, [name], systems)
                save(report)


def max_accounts(group):
    return max(load.accounts for point in group for load in point.loads.values())


def _leave_out(report, text):
    say(f"left out: {text}")
    if text not in report["left_out"]:
        report["left_out"].append(text)


def _fill(systems, point, deadline):
    """False where the time was over before all that was to be stored was."""
    for name, load in point.loads.items() if point.fill else ():
        with turn(systems[name]) as system:
            begin = time.monotonic()
            stored = system.fill(point.fill, load.accounts, deadline.left_s(FILL_S_MAX))
            say(f"{name}: {stored:,} payments stored ({time.monotonic() - begin:.0f} s)")
            if stored < point.fill:
                return False
    return True


def _round(space, system, point, number, report):
    try:
        row = measure(space, system, point.loads[system.name], "stored" in point.sweeps)
    except workspace.Unsupported as reason:
        _leave_out(report, str(reason))
        return
    row.update(round=number, sweeps=list(point.sweeps), filled=point.fill)
    report["rounds"].append(row)
    result = row["result"]
    load = row["load"]
    say(f"round {number + 1} {system.name:9} {load['clients']:4} x {load['in_flight']:<2} clients, "
        f"{load['payments']:4} payments, {load['accounts']:7} accounts, {load['distribution']:7} "
        f"{figures.count_text(result['payments_per_s']):>9}/s  p50 "
        f"{figures.ms_text(result['latency_us']['p50'])} ms  p99 "
        f"{figures.ms_text(result['latency_us']['p99'])} ms  (flush p50 "
        f"{figures.ms_text(row['flush_us']['p50'])} ms, others {row['busy_share'] * 100:.0f} %)")

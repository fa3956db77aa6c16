"""Runs the comparison: all systems on one machine, one of them at a time, in turn."""

import contextlib
import os
import shutil
import sys
import time

from . import figures, machine, payledger, plan, workspace
from .etcd import Etcd
from .postgres import Postgres

SETTLE_S = 0.5


def say(text):
    print(text, file=sys.stderr, flush=True)


def make(name, space, build):
    if name == "payledger":
        return payledger.Payledger(space, build)
    return Postgres(space) if name == "postgres" else Etcd(space, build)


@contextlib.contextmanager
def started(space, build, names):
    """{name: system}, all running and all but the one in turn paused; stopped at the end."""
    systems = {}
    try:
        for name in names:
            say(f"starting {name}")
            systems[name] = make(name, space, build)
            systems[name].start()
            systems[name].pause()
        yield systems
    finally:
        for system in systems.values():
            system.close()


@contextlib.contextmanager
def turn(system):
    """Only this one runs inside."""
    system.resume()
    try:
        yield system
    finally:
        system.pause()


def measure(space, system, load):
    """One round; the disk and whoever else is busy are looked at just before."""
    os.sync()
    busy = machine.busy_share(SETTLE_S)
    flush_us = machine.flush_latency(space.dir)
    with turn(system):
        system.open(load.accounts)
        result = system.run(load)
    for bulky in ("series", "settings"):
        result.pop(bulky, None)
    if not result["right"]:
        raise workspace.Failed(f"{system.name}: the book is wrong after {load}")
    return {"system": system.name, "load": load.key(), "seconds": load.seconds,
            "flush_us": flush_us, "busy_share": round(busy, 3), "result": result}


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


def compare(space, build, settings, command, save):
    """The whole comparison; save(report) is called after each round."""
    report = new_report("compare", space, build, command)
    report["settings"] = {"rounds": settings.rounds, "seconds": settings.seconds,
                          "warmup": settings.warmup}
    minutes = settings.estimate_s() / 60
    say(f"about {minutes:.0f} minutes, and what it takes to store {settings.stored} payments")
    with started(space, build, settings.systems) as systems:
        report["system_settings"] = {name: one.settings() for name, one in systems.items()}
        for group in plan.groups(settings):
            for point in group:
                _fill(systems, point)
            for number in range(settings.rounds):
                for point in group:
                    for name in plan.order(point.loads, number):
                        _round(space, systems[name], point, number, report)
                        save(report)
    return report


def _fill(systems, point):
    if point.fill == 0:
        return
    for name, load in point.loads.items():
        with turn(systems[name]) as system:
            begin = time.monotonic()
            stored = system.fill(point.fill, load.accounts)
            say(f"{name}: {stored:,} payments stored ({time.monotonic() - begin:.0f} s)")


def _round(space, system, point, number, report):
    try:
        row = measure(space, system, point.loads[system.name])
    except workspace.Unsupported as reason:
        say(f"round {number + 1} {system.name}: left out: {reason}")
        if str(reason) not in report["left_out"]:
            report["left_out"].append(str(reason))
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

"""Processes: no core file, no assertion or sanitizer report, no exit that no fault explains, and no
counter of the product that only a defect can raise."""

import os
import re

from .finding import Findings

SIGKILL = 9

# What a fault may do to a process of its targets: ("signal", n) or ("status", n).
EXPLAINED = {
    "stop": {("status", 0)},
    "kill": {("signal", SIGKILL)},
    "power-cut": {("signal", SIGKILL), ("status", 74)},
    "disk-full": {("status", 74)},
    "io-error": {("status", 74)},
    "slow-disk": {("status", 74)},  # the watchdog of a write that takes 10 s
    "bit-flip": {("status", 65), ("status", 74), ("status", 76)},
}
LINGERING = ("bit-flip", "power-cut")  # what they left is found at a later start

TEXTS = re.compile(
    rb"Assertion [`'].*failed|AddressSanitizer|ThreadSanitizer|LeakSanitizer|MemorySanitizer|"
    rb"UndefinedBehaviorSanitizer|runtime error:|stack smashing detected|double free|"
    rb"free\(\): invalid|malloc\(\): |corrupted size|Segmentation fault|fatal_difference")
COUNTERS = ("outcome_differences", "entries_void")
LOG_BYTES_MAX = 256 << 20


def check(run):
    findings = Findings()
    for time, value in run.exits:
        _exit(run, findings, time, value)
    files = 0
    for node, path in run.node_files():
        name = os.path.basename(path)
        if name == "core" or name.startswith("core."):
            findings.error(f"{node} left a core file: {path}", expected="none", seen=path)
        elif name.endswith((".log", ".err", ".out", ".txt")) or "san." in name:
            files += 1
            _log(findings, node, path)
    _counters(run, findings)
    for time, text in run.problems:
        findings.doubt(f"the harness at {time / 1e9:.3f} s: {text}")
    return findings.result(exits=len(run.exits), starts=len(run.starts), logs=files)


def _exit(run, findings, time, value):
    ended = ("signal", value["signal"]) if value.get("signal") is not None else (
        "status", value.get("status"))
    if value.get("cause") is not None and ended in EXPLAINED.get(value["cause"], ()):
        return
    for window in run.windows:
        begin, end = window.ends(run.end)
        lasting = window.fault in LINGERING
        if value["node"] in window.targets and begin <= time and (lasting or time <= end) \
                and ended in EXPLAINED.get(window.fault, ()):
            return
    findings.error(f"{value['node']} ended with {ended[0]} {ended[1]} at {time / 1e9:.3f} s, and "
                   "no fault explains it", expected="running", seen=f"{ended[0]} {ended[1]}")


def _log(findings, node, path):
    with open(path, "rb") as file:
        text = file.read(LOG_BYTES_MAX)
    found = TEXTS.search(text)
    if found:
        begin = text.rfind(b"\n", 0, found.start()) + 1
        line = text[begin:begin + 400].split(b"\n")[0].decode("utf-8", "replace")
        findings.error(f"{node}: {line}", expected="nothing of that kind in the log", seen=path)


def _counters(run, findings):
    reported = set()
    for time, value in run.statuses:
        for name in COUNTERS:
            count = (value.get("counters") or {}).get(name, 0)
            if count and (value["node"], name) not in reported:
                reported.add((value["node"], name))
                findings.error(f"{value['node']} counts {count} {name} at {time / 1e9:.3f} s",
                               expected=0, seen=count)

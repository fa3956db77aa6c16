"""What the figures were measured on: hardware, kernel, versions, the disk, and other load."""

import os
import platform
import subprocess
import time

from . import figures

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("base", "ledger", "consensus", "gateway", "node", "client", "bench")
FLUSHES = 100
BLOCK_BYTES = 4096
IDLE_WATCH_S = 1.0
# More than this share of all cores used by others while nothing of the run works is other load.
BUSY_SHARE_MAX = 0.1
IDENTITY = ("cpu", "cores", "kernel", "system", "versions", "commit", "packages")


def flush_latency(folder):
    """How long fdatasync takes after 4 KiB were appended, in microseconds."""
    path = os.path.join(folder, "flush-probe")
    samples = []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        for _ in range(FLUSHES):
            block = os.urandom(BLOCK_BYTES)
            begin = time.perf_counter()
            os.write(fd, block)
            os.fdatasync(fd)
            samples.append(int((time.perf_counter() - begin) * 1e6))
    finally:
        os.close(fd)
        os.unlink(path)
    return figures.latency(samples)


def busy_share(seconds=IDLE_WATCH_S):
    """The share of all cores' time that somebody used."""
    before = _cpu_ticks()
    time.sleep(seconds)
    after = _cpu_ticks()
    total = sum(after) - sum(before)
    idle = after[3] + after[4] - before[3] - before[4]
    return (total - idle) / total if total else 0.0


def _cpu_ticks():
    with open("/proc/stat", encoding="ascii") as file:
        return [int(word) for word in file.readline().split()[1:9]]


def describe(folder, programs):
    """programs: {name: command that prints its version}. IDENTITY: what makes it another one."""
    return {"cpu": _cpu_model(), "cores": os.cpu_count(), "memory_mib": _memory_mib(),
            "kernel": platform.release(), "system": _system(),
            "disk": _file_system(folder), "load_average": list(os.getloadavg()),
            "busy_share": busy_share(), "versions": {name: _version(command)
                                                     for name, command in programs.items()},
            "commit": _commit(),
            "packages": {name: _package(name) for name in ("libraft0", "libuv1", "liblmdb0",
                                                           "libssl3", "libssl3t64")}}


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_mib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)


def _system():
    with open("/etc/os-release", encoding="utf-8") as file:
        names = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    return names.get("PRETTY_NAME", "").strip('"')


def _file_system(folder):
    done = subprocess.run(["df", "--output=fstype,source,avail", "-BG", folder],
                          capture_output=True, text=True, check=False)
    return " ".join(done.stdout.splitlines()[-1].split()) if done.returncode == 0 else "unknown"


def _version(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return None
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else None


def same(one, other):
    """Whether figures of two runs may stand side by side."""
    return all(one.get(name) == other.get(name) for name in IDENTITY)


def _commit():
    """The last one that changed what is measured; None outside of a repository."""
    git = ["git", "-C", os.path.dirname(os.path.dirname(HERE))]
    texts = [subprocess.run([*git, *words, "--", *SOURCES], capture_output=True, text=True,
                            check=False).stdout.strip()
             for words in (["log", "-1", "--abbrev=10", "--format=%h"], ["status", "--porcelain"])]
    return texts[0] + (" and changes" if texts[1] else "") if texts[0] else None


def _package(name):
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True,
                          text=True, check=False)
    return done.stdout or None

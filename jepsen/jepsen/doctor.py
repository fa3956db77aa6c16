"""Probes every injector, and says which faults are real here, which substituted, which missing."""

import os
import subprocess
import time

from . import faults, flips, net, sandbox, tools
from .clock import Clock
from .disk import Disk

SKEW_MS = 3_600_000
CLOCKS = "import time; print(time.time(), time.monotonic())"
WRITE = "import os, sys; f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); " \
        "os.write(f, b'x' * 8192); os.fsync(f)"
IN_USER_SPACE = "substituted (a switch in user space: no netem needed)"
FUSE_DISK = "substituted (a FUSE file under a loop device: no device-mapper needed)"


def expect(condition, what):
    if not condition:
        raise RuntimeError(what)


async def partition(box):
    network = box.network
    network.cut(1, 2)
    seen = await network.probe()
    network.heal()
    expect([pair for pair, took in seen.items() if took is None] == [(1, 2)], f"passed: {seen}")
    seen = await network.probe()
    expect(all(seen.values()), f"after healing: {seen}")
    return IN_USER_SPACE, "one direction of one link cut, five others pass, all pass afterwards"


async def packet(box):
    network = box.network
    before = network.counts()
    network.quality(1, 2, delay_ms=60)
    network.quality(1, 3, loss=50, duplicate=50, reorder=50)
    for _ in range(15):
        seen = await network.probe()
        expect(seen[1, 2] is not None and seen[1, 2] >= 0.06, f"delay: {seen}")
    network.heal()
    rises = {name: value - before[name] for name, value in network.counts().items()}
    for name in ("lost", "duplicated", "delayed", "reordered"):
        expect(rises[name] > 0, f"nothing was {name}")
    return IN_USER_SPACE, f"60 ms delayed to {seen[1, 2] * 1000:.0f} ms; {rises}"


async def kill(box):
    child = subprocess.Popen(["sleep", "60"])
    child.kill()
    expect(child.wait(timeout=5) == -9, "the process did not end by signal 9")
    return "real", "ended by signal 9"


async def pause(box):
    child = subprocess.Popen(["sleep", "60"])
    try:
        os.kill(child.pid, 19)
        time.sleep(0.05)
        with open(f"/proc/{child.pid}/stat", encoding="utf-8") as file:
            expect(") T " in file.read(), "the process is not in state T")
    finally:
        child.kill()
        child.wait()
    return "real", "state T"


async def power_cut(box):
    disk = box.disk
    disk.canary_synced()
    disk.canary_unsynced()
    disk.canary_volatile()
    figures = disk.child.figures("cut 0")
    disk.revive()
    there, gone, direct = disk.canaries()
    expect(there, "what was flushed is gone")
    expect(gone and direct == "old" and figures["lost"] > 0, "what was not flushed is still there")
    return FUSE_DISK, f"{figures['lost']} blocks lost; the flushed file is there, the other gone"


async def disk_full(box):
    path = os.path.join(box.disk.mountpoint, "balloon")
    fd = os.open(path, os.O_CREAT | os.O_WRONLY)
    try:
        os.posix_fallocate(fd, 0, 10 << 30)
        expect(False, "10 GiB fit")
    except OSError as error:
        expect(error.errno == 28, str(error))
    finally:
        os.close(fd)
        os.unlink(path)
    return "real", "ENOSPC on a small file system"


async def io_error(box):
    disk = box.disk
    disk.child.order("fail 1")
    try:
        disk.flush_ms()
        expect(False, "a flushed write succeeded")
    except OSError as error:
        text = error.strerror
    disk.child.order("fail 0")
    disk.orderly()
    return FUSE_DISK, text


async def slow_disk(box):
    disk = box.disk
    normal = disk.flush_ms()
    disk.child.order("delay 20000")
    slow = disk.flush_ms()
    disk.child.order("delay 0")
    expect(slow >= 20 and slow >= 5 * normal, f"{normal:.1f} then {slow:.1f} ms")
    return FUSE_DISK, f"a flushed write took {normal:.1f} then {slow:.1f} ms"


async def bit_flip(box):
    path = os.path.join(box.disk.mountpoint, "data.mdb")
    with open(path, "wb") as file:
        file.write(os.urandom(65536))
    done = flips.flip(box.rng, path, 4)
    expect(len(done) == 4 and all(flip.stands() for flip in done), "not read back")
    for flip in done:
        flip.undo()
    expect(not any(flip.stands() for flip in done), "not undone")
    return "real", ", ".join(map(str, done))


async def clock(box):
    page = Clock(os.path.join(box.directory, "clock"))
    preload, variables = page.environment()
    page.shift(SKEW_MS)
    monotonic = time.monotonic()
    done = subprocess.run(["/usr/bin/python3", "-c", CLOCKS], capture_output=True, text=True,
                          timeout=20, env={"LD_PRELOAD": preload, **variables}, check=True)
    wall, mono = map(float, done.stdout.split())
    shifted = page.read()[1]
    page.close()
    expect(abs(wall - time.time() - SKEW_MS / 1000) < 20, f"the wall clock shows {wall}")
    expect(0 <= mono - monotonic < 20, "the monotonic clock moved")
    return ("substituted (preloaded; the kernel's clock is not touched)",
            f"an hour ahead, {shifted} readings; monotonic untouched")


async def no_flush(box):
    disk = box.disk
    path = os.path.join(disk.mountpoint, "unflushed")
    subprocess.run(["/usr/bin/python3", "-c", WRITE, path], timeout=20, check=True,
                   env={"LD_PRELOAD": tools.preload("noflush")})
    disk.child.figures("cut 0")
    disk.revive()
    expect(not os.path.exists(path), "what was written without a flush survived")
    return "real", "mutant: fsync without effect, the file is gone after a cut"


PROBES = {"partition": partition, "packet": packet, "kill": kill, "pause": pause,
          "power-cut": power_cut, "disk-full": disk_full, "io-error": io_error,
          "slow-disk": slow_disk, "bit-flip": bit_flip, "clock": clock, "(no flush)": no_flush}


class Box:
    """What the probes need, made at first use: one that fails takes only its own faults away."""

    def __init__(self, rng):
        self.rng = rng
        self.directory = os.path.join(sandbox.scratch(), "doctor")
        self._network = self._disk = None
        os.makedirs(self.directory)

    @property
    def network(self):
        if self._network is None:
            self._network = net.Network(3, 1)
        return self._network

    @property
    def disk(self):
        if self._disk is None:
            self._disk = Disk(os.path.join(self.directory, "disk"),
                              os.path.join(self.directory, "mnt"), 64, 1)
        return self._disk

    def close(self):
        if self._network:
            self._network.close()
        if self._disk:
            self._disk.close()


async def examine(rng):
    """{fault: (passed, kind, detail)}"""
    box, found = Box(rng), {}
    try:
        for name, probe in PROBES.items():
            try:
                found[name] = (True, *await probe(box))
            except Exception as error:  # noqa: BLE001: any failure means that the fault is missing
                found[name] = (False, "MISSING", f"{type(error).__name__}: {error}")
    finally:
        box.close()
    missing = set(faults.ALL) - set(found)
    assert not missing, f"no probe for {missing}"
    return found

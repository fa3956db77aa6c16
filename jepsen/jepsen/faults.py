"""The faults: what each does, and how its effect is measured.

A fault lives for one window: `aim` chooses its targets, `start` and `stop` do the deed and return
what
the history is to say of it (effective, proof). After `stop` nothing of it is left.
"""

import asyncio
import contextlib
import errno
import os
import shutil
import time

from . import flips

PLANS = {
    "partition": ("leader", "halves", "one-way-in", "bridge", "one-way-out", "one", "one-link",
                  "all"),
    "packet": ("storm", "loss", "delay", "duplicate", "reorder"),
    "kill": ("leader", "all", "one", "majority", "minority"),
    "pause": ("leader", "majority", "one", "minority", "all"),
    "power-cut": ("all", "leader", "majority", "one", "minority"),
    "disk-full": ("one", "leader"),
    "io-error": ("leader", "one"),
    "slow-disk": ("leader", "one", "minority"),
    "bit-flip": ("log", "ledger"),
    "clock": ("leader", "one", "minority", "majority", "all"),
}
# Which faults of others come in the midst of one, where all are wanted together: never two that
# take
# the same process or disk away.
COMPANIONS = {
    "partition": ("pause", "kill", "power-cut", "packet", "clock", "io-error"),
    "packet": ("kill", "partition", "power-cut", "pause", "disk-full"),
    "kill": ("packet",),
    "pause": ("packet",),
    "power-cut": ("packet",),
    "disk-full": ("packet", "partition"),
    "io-error": ("packet",),
    "slow-disk": ("partition", "packet", "kill", "pause"),
    "bit-flip": ("packet",),
    "clock": ("partition", "kill", "power-cut", "packet"),
}
NEEDS_DISKS = ("power-cut", "disk-full", "io-error", "slow-disk")
NEEDS_CLOCKS = ("clock",)


def choose(cluster, rng, plan):
    """The nodes that a plan means, as things stand."""
    nodes = list(cluster.nodes)
    rng.shuffle(nodes)
    leader, _ = cluster.leader()
    nodes.sort(key=lambda node: node.name != leader)  # the leader first, where there is one
    if plan == "all":
        return nodes
    if plan == "leader":
        return nodes[:1]
    if plan == "follower":
        return [nodes[1 + rng.randrange(len(nodes) - 1)]]
    if rng.random() < 0.4:
        rng.shuffle(nodes)
    count = {"one": 1, "minority": len(nodes) // 2, "majority": cluster.majority_count()}[plan]
    return nodes[:count]


class Fault:
    name = ""
    demotes = True  # whether its targets can take no part meanwhile

    def __init__(self, cluster, rng, plan):
        self.cluster = cluster
        self.rng = rng
        self.plan = plan
        self.targets = []
        self.majority = True

    def aim(self):
        """Chooses the targets; returns fields for the history."""
        self.targets = choose(self.cluster, self.rng, self.plan)
        return self.aimed()

    def aimed(self):
        leader, _ = self.cluster.leader()
        left = len(self.cluster.nodes) - (len(self.targets) if self.demotes else 0)
        return {"targets": [node.name for node in self.targets],
                "majority": left >= self.cluster.majority_count(),
                **self.aimed_at(leader, left >= self.cluster.majority_count())}

    def aim_within(self, other):
        """As a companion of another fault in force: its targets, and a majority as it has one."""
        limit = len(self.cluster.nodes) // 2
        self.targets = other.targets[:limit] if self.demotes else other.targets
        return {"targets": [node.name for node in self.targets], "majority": other.majority,
                "leader_targeted": False}

    def aimed_at(self, leader, majority):
        """Whether another leader is to be expected while the fault lasts."""
        return {"leader_targeted": majority and leader in [node.name for node in self.targets]}

    async def start(self):
        raise NotImplementedError

    async def stop(self):
        raise NotImplementedError

    def excuse(self, on):
        """Tells the supervisor that the targets may end by themselves."""
        for node in self.targets:
            if on:
                self.cluster.faults_on[node.name] = self.name
            else:
                self.cluster.faults_on.pop(node.name, None)


class Partition(Fault):
    name = "partition"

    def aim(self):
        nodes = list(self.cluster.nodes)
        self.rng.shuffle(nodes)
        leader, _ = self.cluster.leader()
        nodes.sort(key=lambda node: node.name != leader)
        first, rest = nodes[0], nodes[1:]
        self.deaf = {node: set() for node in nodes}  # node -> nodes it does not hear
        if self.plan == "all":
            self.targets = nodes
            for node in nodes:
                self.deaf[node] = set(nodes) - {node}
        elif self.plan in ("leader", "one", "halves"):
            if self.plan != "leader":
                self.rng.shuffle(nodes)
            count = len(nodes) // 2 if self.plan == "halves" else 1
            self.targets = nodes[:count]
            for one in self.targets:
                for other in nodes[count:]:
                    self.deaf[one].add(other)
                    self.deaf[other].add(one)
        elif self.plan == "bridge":
            self._ring(nodes)
        elif self.plan == "one-way-in":
            self.targets = [first]
            self.deaf[first] = set(rest)
        elif self.plan == "one-way-out":
            self.targets = [first]
            for other in rest:
                self.deaf[other] = {first}
        else:
            self.targets = [first]
            self.deaf[rest[0]] = {first}
        majority = self._majority(nodes)
        isolates = self.plan not in ("one-link", "bridge")  # these leave the leader its majority
        return {**self.aimed(), "majority": majority,
                **self.aimed_at(leader, majority and isolates),
                "cut": self._cut_names()}

    def aim_within(self, other):
        value = super().aim_within(other)
        others = [node for node in self.cluster.nodes if node not in self.targets]
        self.deaf = {node: set(others) for node in self.targets}
        self.deaf.update({node: set(self.targets) for node in others})
        return {**value, "cut": self._cut_names()}

    def _cut_names(self):
        return {node.name: sorted(other.name for other in heard)
                for node, heard in self.deaf.items() if heard}

    def _ring(self, nodes):
        """Each hears its neighbours in a circle; of three nodes the ends of a line are deaf."""
        count = len(nodes)
        self.targets = nodes
        for at, node in enumerate(nodes):
            for step in range(2, count - 1):
                self.deaf[node].add(nodes[(at + step) % count])
        if count == 3:
            self.targets = nodes[:2]
            self.deaf[nodes[0]] = {nodes[1]}
            self.deaf[nodes[1]] = {nodes[0]}

    def _majority(self, nodes):
        """Whether one node is connected both ways with a majority, itself included."""
        for node in nodes:
            linked = [other for other in nodes if other is node or (
                other not in self.deaf[node] and node not in self.deaf[other])]
            if len(linked) >= self.cluster.majority_count():
                return True
        return False

    async def start(self):
        network = self.cluster.network
        self.before = network.counts()
        for node, unheard in self.deaf.items():
            for other in unheard:
                network.cut(other.number, node.number)
        seen = await network.probe()
        # Where packets are lost by another fault, a link that passes nothing proves nothing.
        wrong = [f"n{s}->n{t}" for (s, t), took in seen.items()
                 if (took is None) != self._is_cut(s, t)
                 and (took is not None or not network.qualities)]
        return {"effective": not wrong,
                "proof": "datagrams passed exactly the links that are not cut" if not wrong
                else f"wrong on {', '.join(wrong)}"}

    def _is_cut(self, source, target):
        return any(node.number == target and source in {other.number for other in unheard}
                   for node, unheard in self.deaf.items())

    async def stop(self):
        network = self.cluster.network
        dropped = network.counts()["cut"] - self.before["cut"]
        network.mend_cuts()
        seen = await network.probe()
        whole = all(took is not None for took in seen.values()) or bool(network.qualities)
        return {"effective": dropped > 0 and whole,
                "proof": f"{dropped} packets dropped at the cut; afterwards "
                + ("every link passes" if whole else "not every link passes")}


class Packet(Fault):
    name = "packet"
    demotes = False
    RISE_MIN = 5  # in the midst of an election few packets are sent
    SETTINGS = {
        "loss": {"loss": 15},
        "delay": {"delay_ms": 40, "jitter_ms": 15},
        "duplicate": {"duplicate": 40},
        "reorder": {"delay_ms": 2, "jitter_ms": 2, "reorder": 30},
        "storm": {"loss": 5, "delay_ms": 15, "jitter_ms": 10, "duplicate": 15, "reorder": 15},
    }
    COUNTERS = {"loss": ("lost",), "delay": ("delayed",), "duplicate": ("duplicated",),
                "reorder": ("reordered",), "storm": ("lost", "delayed", "duplicated", "reordered")}

    def aim(self):
        self.targets = list(self.cluster.nodes)
        return self.aimed()

    def aim_within(self, other):
        return {**self.aim(), "majority": other.majority}

    async def start(self):
        self.before = self.cluster.network.counts()
        for source in self.targets:
            for target in self.targets:
                if source is not target:
                    self.cluster.network.quality(source.number, target.number,
                                                 **self.SETTINGS[self.plan])
        return {}

    async def stop(self):
        after = self.cluster.network.counts()
        self.cluster.network.mend_quality()
        rises = {name: after[name] - self.before[name] for name in self.COUNTERS[self.plan]}
        return {"effective": all(rise >= self.RISE_MIN for rise in rises.values()),
                "proof": "packets between nodes: " + ", ".join(
                    f"{rise} {name}" for name, rise in rises.items())}


class Kill(Fault):
    name = "kill"

    async def start(self):
        pids = {node.name: node.pid for node in self.targets}
        for node in self.targets:
            self.cluster.kill(node, "kill")
        gone = [await self.cluster.gone(node) for node in self.targets]
        return {"effective": all(gone) and any(pids.values()),
                "proof": f"ended by signal 9: {pids}"}

    async def stop(self):
        before = {node: node.starts for node in self.targets}
        for node in self.targets:
            self.cluster.release(node)
        deadline = time.monotonic() + 2
        while any(node.starts == before[node] for node in self.targets) \
                and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        pids = {node.name: node.pid for node in self.targets}
        return {"effective": all(node.starts > before[node] for node in self.targets),
                "proof": f"ended by signal 9 and started anew: {pids}"}


class Pause(Fault):
    name = "pause"

    async def start(self):
        for node in self.targets:
            if node.alive:
                self.cluster.pause(node)
        await asyncio.sleep(0.05)
        return {"effective": self._stopped(), "proof": "the processes are in state T"}

    def _stopped(self):
        return all(self.cluster.state(node) == "T" for node in self.targets)

    async def stop(self):
        stopped = self._stopped()
        for node in self.targets:
            self.cluster.resume(node)
        await asyncio.sleep(0.05)
        on = all(self.cluster.state(node) in ("S", "R", "D") for node in self.targets)
        return {"effective": stopped and on,
                "proof": "the processes were in state T to the end, and go on" if stopped and on
                else "the processes were not stopped all the time, or do not go on"}


class PowerCut(Fault):
    name = "power-cut"

    async def start(self):
        self.excuse(True)
        keep = self.rng.choice((0, 0, 50, 80))
        within_flush = self.rng.random() < 0.5
        proofs = await asyncio.gather(*(self._cut(node, keep, within_flush)
                                        for node in self.targets))
        return {"effective": all(good for good, _ in proofs),
                "proof": f"keep {keep} %: " + "; ".join(text for _, text in proofs)}

    async def _cut(self, node, keep, within_flush):
        disk = node.disk
        await asyncio.to_thread(disk.canary_unsynced)
        before = None
        if within_flush:
            # In the middle of the node's own work: the k-th flush from now never returns.
            disk.child.order(f"cut-at {self.rng.randrange(1, 30)} {keep}")
            deadline = time.monotonic() + 0.5
            while not disk.child.figures("stats")["cut"] and time.monotonic() < deadline:
                await asyncio.sleep(0.001)
        elif node.alive:
            self.cluster.pause(node)
            await asyncio.to_thread(disk.canary_volatile)
            before = "new"
        figures = disk.child.figures(f"cut {keep}")
        self.cluster.kill(node, "power-cut")
        await self.cluster.gone(node)
        await asyncio.to_thread(disk.revive)
        there, gone, direct = disk.canaries()
        good = there and gone
        if before and keep == 0:
            good = good and direct == "old" and figures["lost"] > 0
        disk.forget_canaries()
        await asyncio.to_thread(disk.canary_synced)
        return good, (f"{node.name} lost {figures['lost']} blocks, kept {figures['kept']}, tore "
                      f"{figures['torn']}; flushed canary {'there' if there else 'GONE'}, "
                      f"unflushed {'gone' if gone else 'THERE'}")

    async def stop(self):
        for node in self.targets:
            self.cluster.release(node)
        self.excuse(False)
        return {}


class DiskFull(Fault):
    name = "disk-full"
    STEP = bytes(4096)

    async def start(self):
        self.excuse(True)
        self.refused = 0
        self.free = None
        self.done = asyncio.Event()
        self.paths = [os.path.join(node.disk.mountpoint, "balloon") for node in self.targets]
        self.files = [os.open(path, os.O_WRONLY | os.O_CREAT, 0o600) for path in self.paths]
        for node, fd in zip(self.targets, self.files):
            with contextlib.suppress(OSError):
                await asyncio.to_thread(os.posix_fallocate, fd, 0,
                                        max(0, node.disk.free_bytes() - (1 << 20)))
        self.task = asyncio.ensure_future(self._fill())
        await asyncio.sleep(0.3)
        return {"effective": self.refused > 0, "proof": self._proof()}

    def _proof(self):
        return f"no space {self.refused} times for the balloon; free now: {self.free} bytes"

    async def _fill(self):
        """What the node frees is taken at once, in small steps."""
        ends = [os.fstat(fd).st_size for fd in self.files]
        while not self.done.is_set():
            for at, fd in enumerate(self.files):
                for _ in range(64):
                    try:
                        os.posix_fallocate(fd, ends[at], len(self.STEP))
                        ends[at] += len(self.STEP)
                    except OSError as error:
                        self.refused += error.errno == errno.ENOSPC
                        break
            self.free = [node.disk.free_bytes() for node in self.targets]
            await asyncio.sleep(0.01)

    async def stop(self):
        self.done.set()
        await self.task
        for path, fd in zip(self.paths, self.files):
            os.close(fd)
            os.unlink(path)
        self.excuse(False)
        for node in self.targets:
            if node.ended_for_good == 74:
                self.cluster.release(node)
        return {"effective": self.refused > 10, "proof": self._proof()}


class IoError(Fault):
    name = "io-error"

    async def start(self):
        self.excuse(True)
        self.before = {node: node.disk.child.figures("stats")["failed"] for node in self.targets}
        for node in self.targets:
            node.disk.child.order("fail 1")
        return {}

    async def stop(self):
        failed = {node.name: node.disk.child.figures("stats")["failed"] - self.before[node]
                  for node in self.targets}
        ended = [node.name for node in self.targets if not node.alive]
        for node in self.targets:
            # The file system gave itself up: like a machine, the node starts on a disk mounted
            # anew.
            self.cluster.kill(node, "kill")
            await self.cluster.gone(node)
            node.disk.child.order("fail 0")
            await asyncio.to_thread(node.disk.orderly)
            self.cluster.release(node)
        self.excuse(False)
        return {"effective": all(failed.values()),
                "proof": f"writes and flushes answered EIO: {failed}; had ended: {ended}"}


class SlowDisk(Fault):
    name = "slow-disk"
    demotes = False
    DELAY_US = 10_000
    FACTOR = 5

    async def start(self):
        self.excuse(True)
        self.normal = [await asyncio.to_thread(node.disk.flush_ms) for node in self.targets]
        for node in self.targets:
            node.disk.child.order(f"delay {self.DELAY_US}")
        self.slow = [await asyncio.to_thread(node.disk.flush_ms) for node in self.targets]
        good = all(s >= self.FACTOR * n or s >= 2 * self.DELAY_US / 1000
                   for n, s in zip(self.normal, self.slow))
        return {"effective": good, "proof": "a flushed write took " + ", ".join(
            f"{n:.1f} then {s:.1f} ms" for n, s in zip(self.normal, self.slow))}

    async def stop(self):
        for node in self.targets:
            node.disk.child.order("delay 0")
        self.excuse(False)
        return {}


SHOWN = 4  # flips that a proof names


class BitFlip(Fault):
    name = "bit-flip"
    BITS = {"log": 4, "ledger": 64}

    def aim(self):
        self.targets = choose(self.cluster, self.rng, "one")
        return self.aimed()

    async def start(self):
        self.excuse(True)
        node = self.targets[0]
        self.cluster.kill(node, "kill")
        await self.cluster.gone(node)
        self.copy = node.data + ".copy"
        await _copy(node.data, self.copy)
        files = [path for path in flips.kinds_of_files(node.data)[self.plan]
                 if flips.holds_something(path)]
        self.flips = []
        if files:
            self.flips = await asyncio.to_thread(flips.flip, self.rng, self.rng.choice(files),
                                                 self.BITS[self.plan])
        stands = bool(self.flips) and all(flip.stands() for flip in self.flips)
        self.text = "read back: " + ", ".join(map(str, self.flips[:SHOWN]))
        self.mark = self.cluster.log_size(node)
        self.cluster.release(node)
        return {"effective": stands, "proof": self.text}

    async def stop(self):
        node = self.targets[0]
        status, runs = node.ended_for_good, node.alive
        self.cluster.kill(node, "kill")
        await self.cluster.gone(node)
        if status is not None and not self.cluster.served_since(node, self.mark):
            # It refused before it took part in anything, so what it was before is still true.
            shutil.rmtree(node.data)
            await _copy(self.copy, node.data)
            end = f"it refused to start with status {status}, and got its files back"
        else:
            # It may have voted since: only the flipped bytes may be mended.
            for flip in self.flips:
                flip.undo()
            end = "it ran with it" if runs else f"it ran, and ended with status {status}"
        shutil.rmtree(self.copy)
        self.cluster.release(node)
        self.excuse(False)
        return {"proof": f"{self.text}; {end}"}


async def _copy(source, target):
    done = await asyncio.create_subprocess_exec("cp", "-a", "--sparse=always", source, target)
    if await done.wait() != 0:
        raise RuntimeError(f"cp {source} {target} failed")


class ClockJump(Fault):
    name = "clock"
    demotes = False
    OFFSETS_MS = (-3_600_000, -60_000, -2_000, -300, 300, 2_000, 60_000, 3_600_000)

    async def start(self):
        self.offset_ms = self.rng.choice(self.OFFSETS_MS)
        self.before = [node.clock.read()[1] for node in self.targets]
        for node in self.targets:
            node.clock.shift(self.offset_ms)
        return {"effective": True, "proof": f"offset {self.offset_ms} ms"}

    async def stop(self):
        shifted = [node.clock.read()[1] - before
                   for node, before in zip(self.targets, self.before)]
        seen = self._seen()
        for node in self.targets:
            node.clock.shift(0)
        return {"effective": all(shifted),
                "proof": f"offset {self.offset_ms} ms; readings of the clock that were moved: "
                f"{shifted}; seen by peers: {seen}"}

    def _seen(self):
        """What the nodes say of each other's clocks, in ms."""
        return {name: {row["id"]: round(row["clock_offset_ns"] / 1e6)
                       for row in status["nodes"] if row.get("clock_offset_ns") is not None}
                for name, status in self.cluster.last_status.items() if status}


ALL = {kind.name: kind for kind in (Partition, Packet, Kill, Pause, PowerCut, DiskFull, IoError,
                                    SlowDisk, BitFlip, ClockJump)}

"""The network: a namespace per node, the harness as one more member, and the switch between
them."""

import asyncio
import ctypes
import os
import socket
import subprocess
import threading
import time

from .tools import Child

CLONE_NEWNET = 0x40000000
PROBE_PORT = 7999
PROBE_WAIT_S = 0.25
PROBES = 3
GOOD = {"loss": 0, "delay_ms": 0, "jitter_ms": 0, "duplicate": 0, "reorder": 0}


def address(number):
    return f"10.99.0.{number}"


class Network:
    """Members 1..nodes are the nodes; nodes + 1 is the harness itself."""

    def __init__(self, nodes, seed):
        self.nodes = nodes
        self.cuts = set()  # (source, target)
        self.qualities = {}  # (source, target) -> figures
        self.members = nodes + 1
        namespaces = []
        for number in range(1, nodes + 1):
            subprocess.run(["ip", "netns", "add", f"n{number}"], check=True)
            namespaces.append(f"/run/netns/n{number}")
        namespaces.append(f"/proc/{os.getpid()}/ns/net")
        self.namespaces = namespaces
        self.switch = Child("jnet", seed, *namespaces)
        for number in range(1, self.members + 1):
            inside = [] if number == self.members else ["-n", f"n{number}"]
            for arguments in (["addr", "add", f"{address(number)}/24", "dev", "eth0"],
                              ["link", "set", "lo", "up"],
                              ["link", "set", "eth0", "up"]):
                subprocess.run(["ip", *inside, *arguments], check=True)
        self.sockets = {n: self._socket(n) for n in range(1, nodes + 1)}

    def _socket(self, number):
        """A datagram socket in the node's namespace, for probes."""
        made = []

        def make():
            libc = ctypes.CDLL(None, use_errno=True)
            fd = os.open(self.namespaces[number - 1], os.O_RDONLY)
            if libc.setns(fd, CLONE_NEWNET) == 0:
                probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                probe.bind((address(number), PROBE_PORT))
                probe.setblocking(False)
                made.append(probe)
            os.close(fd)
        thread = threading.Thread(target=make)  # setns changes only the thread that calls it
        thread.start()
        thread.join()
        return made[0]

    # A link's cut and its quality are two things: a fault of one kind ends without the other.

    def cut(self, source, target):
        self.cuts.add((source, target))
        self._set(source, target)

    def mend_cuts(self):
        self._renew(self.cuts)

    def quality(self, source, target, **figures):
        """loss, duplicate, reorder (percent), delay_ms, jitter_ms"""
        self.qualities[source, target] = figures
        self._set(source, target)

    def mend_quality(self):
        self._renew(self.qualities)

    def heal(self):
        self.mend_cuts()
        self.mend_quality()

    def _renew(self, state):
        pairs = list(state)
        state.clear()
        for source, target in pairs:
            self._set(source, target)

    def _set(self, source, target):
        cut = int((source, target) in self.cuts)
        has = {**GOOD, **self.qualities.get((source, target), {})}
        self.switch.order(f"link {source} {target} {cut} {has['loss']} "
                          f"{int(has['delay_ms'] * 1000)} {int(has['jitter_ms'] * 1000)} "
                          f"{has['duplicate']} {has['reorder']}")

    def counts(self):
        """Sums over all links between nodes."""
        sums = {}
        for source in range(1, self.nodes + 1):
            for target in range(1, self.nodes + 1):
                if source != target:
                    for name, value in self.switch.figures(f"count {source} {target}").items():
                        sums[name] = sums.get(name, 0) + value
        return sums

    async def probe(self):
        """{(source, target): seconds or None}: which directed links pass datagrams, and how
        fast."""
        for probe in self.sockets.values():
            _drain(probe)
        token = os.urandom(8)
        begin = time.monotonic()
        for source, probe in self.sockets.items():
            for target in self.sockets:
                if source != target:
                    for _ in range(PROBES):
                        probe.sendto(token + bytes([source]), (address(target), PROBE_PORT))
        seen = {(s, t): None for s in self.sockets for t in self.sockets if s != t}
        while time.monotonic() < begin + PROBE_WAIT_S:
            await asyncio.sleep(0.005)
            now = time.monotonic()
            for target, probe in self.sockets.items():
                for data in _drain(probe):
                    pair = (data[8], target)
                    if data[:8] == token and seen[pair] is None:
                        seen[pair] = now - begin
        return seen

    def close(self):
        for probe in self.sockets.values():
            probe.close()
        self.switch.close()
        for number in range(1, self.nodes + 1):
            subprocess.run(["ip", "netns", "del", f"n{number}"], check=False)


def _drain(probe):
    found = []
    while True:
        try:
            found.append(probe.recv(64))
        except BlockingIOError:
            return found

"""The nodes: their files, processes, supervisor and status.

Everything of a node that is worth keeping goes to the run's directory; its data lies in the scratch
directory, on a disk of its own where faults of disks are wanted.
"""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time

from . import net
from .client import ERRORS, Link, Lost
from .clock import Clock
from .disk import Disk

PEER_PORT, CLIENT_PORT = 7100, 7200
RESTART_S = 1.0
STATUS_EVERY_S = 0.2
DIGEST_EVERY = 5  # statuses
CORE_BYTES_MAX = 512 << 20
DISK_MB = 512
DISK_RESERVE_MB = 16
STATUS_FIELDS = ("id", "role", "term", "seq", "index", "digest", "reachable", "clock_offset_ns")
RESTARTED_STATUS = 74
SERVING = b"serves clients at"  # the log line of a node that takes part


class Node:
    def __init__(self, number, directory, log_directory):
        self.number = number
        self.name = f"n{number}"
        self.directory = directory
        self.log_directory = log_directory
        self.process = None
        self.pid = None
        self.held = True  # the supervisor does not start it
        self.wanted = asyncio.Event()  # not held
        self.cause = None  # why it ends, where somebody wants that
        self.paused = False
        self.ended_for_good = None  # a status that a restart does not mend
        self.starts = 0
        self.disk = None
        self.clock = None
        self.task = None

    @property
    def alive(self):
        return self.pid is not None

    @property
    def data(self):
        return os.path.join(self.directory, "mnt" if self.disk else ".", "data")


class Cluster:
    """options: build, nodes, seed, disks (bool), clocks (bool), environment {name: value},
    preloads"""

    def __init__(self, scratch, store, history, options):
        self.scratch = scratch
        self.store = store
        self.history = history
        self.options = options
        self.build = os.path.join(scratch, "bin")
        self.config = os.path.join(scratch, "cluster.conf")
        self.network = None
        self.nodes = []
        self.faults_on = {}  # node name -> faults that may end its process by themselves
        self.last_status = {}  # node name -> its last status, None where it gave none
        self.closing = False
        self.tasks = []

    # ---- files ---------------------------------------------------------------------------------

    def prepare(self):
        count, seed = self.options["nodes"], self.options["seed"]
        # Copies: a build that goes on meanwhile changes nothing.
        os.makedirs(self.build)
        for name in ("payledgerd", "payledger"):
            shutil.copy2(os.path.join(self.options["build"], name), self.build)
        self.network = net.Network(count, seed)
        for number in range(1, count + 1):
            node = Node(number, os.path.join(self.scratch, f"n{number}"),
                        os.path.join(self.store, f"n{number}"))
            os.makedirs(node.directory)
            os.makedirs(node.log_directory)
            if self.options.get("disks"):
                node.disk = Disk(os.path.join(node.directory, "disk"),
                                 os.path.join(node.directory, "mnt"), DISK_MB,
                                 seed * 10 + number)
            if self.options.get("clocks"):
                node.clock = Clock(os.path.join(node.directory, "clock"))
            self.nodes.append(node)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(self._config())
        shutil.copy2(self.config, self.store)
        self._program("payledger", "pki", "init", "--dir", os.path.join(self.scratch, "pki"),
                      "--nodes", str(count))
        for node in self.nodes:
            self._program("payledgerd", "format", "--config", self.config, "--node",
                          str(node.number))
            if node.disk:
                node.disk.canary_synced()

    def _config(self):
        data = "n{id}/mnt/data" if self.options.get("disks") else "n{id}/data"
        lines = ['cluster = "jepsen"', "workers = 2", "map_mb = 1024", f'data = "{data}"',
                 "insecure_open = true", "request_timeout_ms = 3000",
                 f"disk_reserve_mb = {DISK_RESERVE_MB}"]
        for node in self.nodes:
            address = net.address(node.number)
            lines.append(f'node {node.number} {{ peer = "{address}:{PEER_PORT}"  '
                         f'client = "{address}:{CLIENT_PORT}" }}')
        lines.append('tls { ca = "pki/ca.pem"  cert = "pki/node{id}.pem"  '
                     'key = "pki/node{id}.key" }')
        # Small limits, so that snapshots and copies of the state are common.
        lines.append("raft { heartbeat_ms = 25  election_timeout_ms = 800  snapshot_mb = 1  "
                     "snapshot_trailing = 64 }")
        return "\n".join(lines) + "\n"

    def _program(self, name, *arguments):
        done = subprocess.run([os.path.join(self.build, name), *arguments], capture_output=True,
                              text=True, timeout=60, check=False, cwd=self.scratch)
        if done.returncode != 0:
            raise RuntimeError(f"{name} {arguments}: status {done.returncode}\n{done.stdout}"
                               f"{done.stderr}")

    def url(self, node):
        return f"ws://{net.address(node.number)}:{CLIENT_PORT}/v1"

    def urls(self):
        return {node.name: self.url(node) for node in self.nodes}

    def by_name(self, name):
        return next(node for node in self.nodes if node.name == name)

    def majority_count(self):
        return len(self.nodes) // 2 + 1

    # ---- processes -----------------------------------------------------------------------------

    def start(self):
        for node in self.nodes:
            node.held = False
            node.wanted.set()
            node.task = asyncio.ensure_future(self._supervise(node))
            self.tasks.append(node.task)
            self.tasks.append(asyncio.ensure_future(self._watch(node)))

    async def _supervise(self, node):
        while not self.closing:
            await node.wanted.wait()
            await self._spawn(node)
            status = await node.process.wait()
            pid, node.pid = node.pid, None
            node.paused = False
            ended = {"status": status if status >= 0 else None,
                     "signal": -status if status < 0 else None}
            cause = node.cause or self._excuse(node, status)
            self.history.cluster("node-exit", {"node": node.name, "pid": pid, **ended,
                                               "cause": cause})
            node.cause = None
            if status >= 0 and status != RESTARTED_STATUS and not node.held:
                node.ended_for_good = status
                node.held = True
                node.wanted.clear()
            elif not node.held:
                await asyncio.sleep(RESTART_S)

    def _excuse(self, node, status):
        """The fault that lets this node end by itself with an exit status, or None."""
        return self.faults_on.get(node.name) if status >= 0 else None

    async def _spawn(self, node):
        preloads = list(self.options.get("preloads", ()))
        variables = dict(self.options.get("environment", {}))
        if node.clock:
            preload, more = node.clock.environment()
            preloads.append(preload)
            variables.update(more)
        if preloads:
            variables["LD_PRELOAD"] = ":".join(preloads)
        node.starts += 1
        with open(self.log_path(node), "ab") as log:
            log.write(f"--- start {node.starts} of {node.name}\n".encode())
            log.flush()
            node.process = await asyncio.create_subprocess_exec(
                "nsenter", f"--net=/run/netns/{node.name}", "setpriv", "--pdeathsig", "KILL",
                "env", *(f"{k}={v}" for k, v in variables.items()),
                os.path.join(self.build, "payledgerd"), "start", "--config", self.config,
                "--node", str(node.number), stdin=asyncio.subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=node.log_directory, start_new_session=True, preexec_fn=_limits)
        node.pid = node.process.pid
        self.history.cluster("node-start", {"node": node.name, "pid": node.pid})

    def hold(self, node):
        """From now on the supervisor leaves the node down."""
        node.held = True
        node.wanted.clear()

    def release(self, node):
        node.held = False
        node.ended_for_good = None
        node.wanted.set()

    def kill(self, node, cause):
        """kill -9; it stays down until `release`."""
        self.hold(node)
        if node.alive:
            node.cause = cause
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.pid, signal.SIGKILL)

    async def gone(self, node, seconds=5):
        """Waits until the process has ended; returns whether it has."""
        deadline = time.monotonic() + seconds
        while node.alive and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        return not node.alive

    def pause(self, node):
        node.paused = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(node.pid, signal.SIGSTOP)

    def resume(self, node):
        node.paused = False
        if node.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.pid, signal.SIGCONT)

    def state(self, node):
        """The letter of /proc/PID/stat, or None."""
        try:
            with open(f"/proc/{node.pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0]
        except OSError:
            return None

    def log_path(self, node):
        return os.path.join(node.log_directory, "node.log")

    def log_size(self, node):
        return os.path.getsize(self.log_path(node))

    def served_since(self, node, mark):
        """Whether the node got so far as to take part, after this position in its log."""
        with open(self.log_path(node), "rb") as log:
            log.seek(mark)
            return SERVING in log.read()

    # ---- status --------------------------------------------------------------------------------

    async def _watch(self, node):
        """Asks the node for its status, again and again, into the history."""
        link, turn = None, 0
        while not self.closing:
            begin = time.monotonic()
            try:
                if link is None:
                    link = await Link.open(self.url(node), 0.5)
                reply = await link.call("cluster.status", {}, 0.5)
                self._take_status(node, reply)
                turn += 1
                if turn % DIGEST_EVERY == 0:
                    reply = await link.call("ledger.digest", {"stale": True}, 0.5)
                    if "result" in reply:
                        self.history.cluster("digest", {
                            "node": node.name, "seq": reply["result"]["seq"],
                            "digest": reply["result"]["digest"]})
            except (Lost, *ERRORS):
                self.last_status[node.name] = None
                self.history.cluster("status", {"node": node.name, "ok": False})
                if link is not None:
                    await link.close()
                    link = None
            await asyncio.sleep(max(0.02, STATUS_EVERY_S - (time.monotonic() - begin)))
        if link is not None:
            await link.close()

    def _take_status(self, node, reply):
        result = reply.get("result")
        if result is None:
            self.last_status[node.name] = None
            self.history.cluster("status", {"node": node.name, "ok": False})
            return
        rows = []
        for row in result["nodes"]:
            row = {name: row[name] for name in STATUS_FIELDS if row.get(name) is not None}
            rows.append({**row, "id": f"n{row['id']}"})
        leader = result["leader"]
        value = {"node": node.name, "ok": True, "term": result["term"],
                 "leader": None if leader is None else f"n{leader}", "nodes": rows,
                 "ready": result.get("ready"), "counters": result["counters"]}
        self.last_status[node.name] = value
        self.history.cluster("status", value)

    def leader(self):
        """(name, term) of the newest leader that says so itself; (None, highest term)."""
        best, term = None, 0
        for name, status in self.last_status.items():
            if status is None:
                continue
            if status["leader"] == name and status["term"] >= term:
                best = name
            term = max(term, status["term"])
        return best, term

    @property
    def lasting(self):
        """The nodes that did not refuse to go on for ever, as one whose files are damaged does."""
        return [node for node in self.nodes if node.ended_for_good is None]

    def own_row(self, node):
        status = self.last_status.get(node.name)
        if status is None:
            return None
        return next((row for row in status["nodes"] if row["id"] == node.name), None)

    async def wait_ready(self, seconds):
        """Waits until one leads and every lasting node is ready; returns whether that came."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            statuses = [self.last_status.get(node.name) for node in self.lasting]
            if statuses and all(s and s["ready"] for s in statuses) \
                    and len({s["leader"] for s in statuses}) == 1 and statuses[0]["leader"]:
                return True
            await asyncio.sleep(0.05)
        return False

    def equal(self):
        """Whether all lasting nodes show the same seq and digest now."""
        rows = [self.own_row(node) for node in self.lasting]
        return all(rows) and len({(row.get("seq"), row.get("digest")) for row in rows}) == 1

    # ---- end -----------------------------------------------------------------------------------

    async def stop(self):
        """SIGTERM for those that run: an orderly end is judged too."""
        for node in self.nodes:
            self.hold(node)
            self.resume(node)
            if node.alive:
                node.cause = "stop"
                with contextlib.suppress(ProcessLookupError):
                    os.kill(node.pid, signal.SIGTERM)
        for node in self.nodes:
            if not await self.gone(node, 8):
                self.history.cluster("problem", f"{node.name} did not end within 8 s of SIGTERM")
                self.kill(node, "kill")
                await self.gone(node)

    async def close(self):
        self.closing = True
        for node in self.nodes:
            self.kill(node, "kill")
        for node in self.nodes:
            await self.gone(node)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for node in self.nodes:
            if node.disk:
                node.disk.close()
            if node.clock:
                node.clock.close()
        if self.network:
            self.network.close()
        self._keep_program()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _keep_program(self):
        """Beside a core file, the program that left it."""
        if any(name.startswith("core") for node in self.nodes
               for name in os.listdir(node.log_directory)):
            shutil.copy2(os.path.join(self.build, "payledgerd"), self.store)


def _limits():
    resource.setrlimit(resource.RLIMIT_CORE, (CORE_BYTES_MAX, CORE_BYTES_MAX))

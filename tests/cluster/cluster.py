"""A cluster of real payledgerd processes on loopback, in a directory of its own under /tmp.

Nodes run in sessions of their own and die with the test (PDEATHSIG), whatever happens to it; the
directory goes with them. What a node says is in DIR/nodeN.log.
"""
import asyncio
import atexit
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

# Limits of time are multiplied by this: for sanitizer builds and loaded machines.
SLOW = float(os.environ.get("PAYLEDGER_TEST_SLOW", "1"))
LOG_TAIL_LINES = 30
# Below the ephemeral range, so that no outgoing connection takes a port while its node is down.
PORT_MIN, PORT_MAX = 20000, 32000

# What must never stand in a node's log.
BAD_LINE = re.compile(r"^.*(assertion|sanitizer|runtime error:).*$", re.MULTILINE | re.IGNORECASE)

_clusters = []


def slow(seconds):
    """A time limit, stretched where the machine or the build is known to be slow."""
    return seconds * SLOW


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on; all different."""
    held = []
    try:
        while len(held) < count:
            probe = socket.socket()
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", random.randint(PORT_MIN, PORT_MAX)))
                held.append(probe)
                continue
            probe.close()
        return [probe.getsockname()[1] for probe in held]
    finally:
        for probe in held:
            probe.close()


def stop_everything():
    for cluster in list(_clusters):
        cluster.close()


atexit.register(stop_everything)


async def wait_until(what, seconds, probe, pause_s=0.05):
    """Calls probe() (a coroutine function) until it gives something true; returns that."""
    deadline = time.monotonic() + slow(seconds)
    last = None
    while time.monotonic() < deadline:
        try:
            value = await probe()
            if value:
                return value
        except (OSError, http.client.HTTPException, AssertionError, ValueError) as error:
            last = error
        await asyncio.sleep(pause_s)
    raise AssertionError(f"waited {slow(seconds):.1f} s for {what}" +
                         (f"; last: {type(last).__name__}: {last}" if last else ""))


class Node:
    """One payledgerd: its addresses, its process, its log."""

    def __init__(self, number, peer_port, client_port, log_path):
        self.number = number
        self.peer_port = peer_port
        self.client_port = client_port
        self.log_path = log_path
        self.process = None
        self.expected_end = False
        self.paused = False

    def alive(self):
        return self.process is not None and self.process.poll() is None


class Cluster:
    """Options: nodes, tls (clients speak TLS too), raft and top: further "key = value" lines of
    those sections of cluster.conf, node_lines: {number: lines in the node's section}."""

    def __init__(self, build, nodes=3, tls=False, raft="", top="", node_lines=None, name="test",
                 base="/tmp"):
        self.build = build
        self.tls = tls
        self.raft = raft
        self.top = top
        self.name = name
        self.node_lines = node_lines or {}
        self.dir = tempfile.mkdtemp(prefix="payledger-cluster-", dir=base)
        self.config = os.path.join(self.dir, "cluster.conf")
        self.pki = os.path.join(self.dir, "pki")
        self._ssl = None
        self._pki_made = False
        _clusters.append(self)
        ports = free_ports(2 * nodes)
        self.nodes = {}
        for number in range(1, nodes + 1):
            peer_port, client_port = ports[2 * number - 2:2 * number]
            self.nodes[number] = Node(number, peer_port, client_port,
                                      os.path.join(self.dir, f"node{number}.log"))

    # ---- files ---------------------------------------------------------------------------------

    def config_text(self):
        lines = [f'cluster = "{self.name}"', "workers = 2", "map_mb = 2048",
                 'data = "data/node{id}"', self.top]
        for node in self.nodes.values():
            lines.append(f"node {node.number} {{")
            lines.append(f'    peer = "127.0.0.1:{node.peer_port}"')
            lines.append(f'    client = "127.0.0.1:{node.client_port}"')
            lines.append(self.node_lines.get(node.number, ""))
            lines.append("}")
        lines.append('tls { ca = "pki/ca.pem"  cert = "pki/node{id}.pem"  key = "pki/node{id}.key"')
        lines.append(f"    clients = {'true' if self.tls else 'false'} }}")
        lines.append("raft {")
        if "election_timeout_ms" not in self.raft:
            lines.append(f"    heartbeat_ms = 25  election_timeout_ms = {int(slow(800))}")
        lines.append(f"    {self.raft}")
        lines.append("}")
        return "\n".join(line for line in lines if line.strip()) + "\n"

    def write_config(self, text=None, path=None):
        path = path or self.config
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.config_text() if text is None else text)
        return path

    def data_dir(self, number):
        return os.path.join(self.dir, "data", f"node{number}")

    def make_pki(self):
        if not self._pki_made:
            self.tool("pki", "init", "--dir", self.pki, "--nodes", str(len(self.nodes)))
            self._pki_made = True

    def format(self, *numbers):
        """Makes certificates, configuration and empty data directories (of all nodes)."""
        self.make_pki()
        self.write_config()
        for number in numbers or self.nodes:
            self.daemon("format", "--config", self.config, "--node", str(number), check=True)

    # ---- programs that end ---------------------------------------------------------------------

    def program(self, name, *arguments, check=False, timeout_s=30, env=None, stdin=None):
        done = subprocess.run([os.path.join(self.build, name), *arguments], capture_output=True,
                              text=True, timeout=slow(timeout_s), cwd=self.dir, input=stdin,
                              env={**os.environ, **(env or {})}, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"{name} {' '.join(arguments)}: status {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done

    def tool(self, *arguments, check=True, **options):
        """Runs payledger; returns the finished process."""
        return self.program("payledger", *arguments, check=check, **options)

    def daemon(self, *arguments, check=False, **options):
        """Runs payledgerd where it is expected to end by itself."""
        return self.program("payledgerd", *arguments, check=check, **options)

    # ---- nodes ---------------------------------------------------------------------------------

    def start(self, *numbers, prefix=(), env=None, config=None):
        """Starts nodes (all that do not run). prefix: a command that execs what follows it."""
        for number in numbers or self.nodes:
            node = self.nodes[number]
            if node.alive():
                continue
            with open(node.log_path, "a", encoding="utf-8") as log:
                log.write(f"--- start of node {number}\n")
                log.flush()
                node.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", *prefix,
                     os.path.join(self.build, "payledgerd"), "start", "--config",
                     config or self.config, "--node", str(number)],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self.dir,
                    start_new_session=True, env={**os.environ, **(env or {})})
            node.expected_end = False
            node.paused = False

    def signal(self, number, which):
        node = self.nodes[number]
        if node.alive():
            os.killpg(node.process.pid, which)

    def kill(self, *numbers):
        """kill -9, all of them before waiting for any."""
        for number in numbers:
            self.nodes[number].expected_end = True
            self.signal(number, signal.SIGKILL)
        for number in numbers:
            if self.nodes[number].process is not None:
                self.nodes[number].process.wait()

    async def terminate(self, number, seconds=5):
        """SIGTERM; returns (exit status, seconds it took)."""
        node = self.nodes[number]
        node.expected_end = True
        begin = time.monotonic()
        self.signal(number, signal.SIGTERM)
        status = await self.wait_exit(number, seconds)
        return status, time.monotonic() - begin

    async def wait_exit(self, number, seconds):
        node = self.nodes[number]
        node.expected_end = True

        async def ended():
            return node.process.poll() is not None
        await wait_until(f"node {number} to end", seconds, ended, 0.01)
        return node.process.returncode

    def pause(self, number):
        self.nodes[number].paused = True
        self.signal(number, signal.SIGSTOP)

    def resume(self, number):
        self.nodes[number].paused = False
        self.signal(number, signal.SIGCONT)

    def running(self):
        return [n.number for n in self.nodes.values() if n.alive() and not n.paused]

    def check_no_crash(self):
        for node in self.nodes.values():
            ended = node.process is not None and node.process.poll() is not None
            if ended and not node.expected_end:
                raise AssertionError(f"node {node.number} ended by itself with status "
                                     f"{node.process.returncode}")
            if os.path.exists(node.log_path):
                with open(node.log_path, encoding="utf-8", errors="replace") as log:
                    bad = BAD_LINE.search(log.read())
                if bad:
                    raise AssertionError(f"node {node.number}: {bad.group(0)}")

    def log_text(self, number):
        with open(self.nodes[number].log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def tails(self):
        parts = []
        for node in self.nodes.values():
            if os.path.exists(node.log_path):
                lines = self.log_text(node.number).splitlines()[-LOG_TAIL_LINES:]
                state = "runs" if node.alive() else \
                    f"ended with {node.process.returncode}" if node.process else "never started"
                parts.append(f"    ---- node {node.number} ({state}) ----")
                parts += ["    | " + line[:300] for line in lines]
        return "\n".join(parts)

    def close(self):
        for node in self.nodes.values():
            if node.process is not None:
                # The group, not the process: what it started ends too, also when it is gone itself.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(node.process.pid, signal.SIGKILL)
                node.process.wait()
        if os.environ.get("PAYLEDGER_TEST_KEEP"):
            print(f"    kept: {self.dir}")
        else:
            shutil.rmtree(self.dir, ignore_errors=True)
        if self in _clusters:
            _clusters.remove(self)

    # ---- asking --------------------------------------------------------------------------------

    def url(self, number):
        scheme = "wss" if self.tls else "ws"
        return f"{scheme}://127.0.0.1:{self.nodes[number].client_port}/v1"

    def ssl_context(self):
        if not self.tls:
            return None
        if self._ssl is None:
            self._ssl = ssl.create_default_context(cafile=os.path.join(self.pki, "ca.pem"))
        return self._ssl

    def connection(self, number, timeout_s=3):
        port = self.nodes[number].client_port
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=slow(timeout_s),
                                               context=self.ssl_context())
        return http.client.HTTPConnection("127.0.0.1", port, timeout=slow(timeout_s))

    def http(self, number, verb, path, body=None, headers=None, timeout_s=3):
        """One HTTP request; returns (status, headers, body bytes). Blocks."""
        connection = self.connection(number, timeout_s)
        try:
            connection.request(verb, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def post(self, number, method, params=None, timeout_s=8):
        """A JSON-RPC request over POST /v1; returns the reply object. Blocks."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        status, _, text = self.http(number, "POST", "/v1", json.dumps(body),
                                    {"Content-Type": "application/json"}, timeout_s)
        assert status == 200, f"POST /v1 {method}: HTTP {status} {text[:200]!r}"
        return json.loads(text)

    async def status(self, number):
        """cluster.status of one node."""
        reply = await asyncio.to_thread(self.post, number, "cluster.status", None, 2)
        assert "result" in reply, reply
        return reply["result"]

    async def metrics(self, number):
        """/metrics of one node as {name: number}."""
        _, _, text = await asyncio.to_thread(self.http, number, "GET", "/metrics")
        values = {}
        for line in text.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name.split("{")[0]] = float(value)
        return values

    async def metric_sum(self, name, numbers=None):
        """A counter over all nodes that run."""
        total = 0
        for number in numbers or self.running():
            values = await self.metrics(number)
            assert name in values, f"/metrics of node {number} has no {name}"
            total += values[name]
        return total

    async def leader(self):
        """The number of the node that leads and knows it, or None."""
        for number in self.running():
            try:
                status = await self.status(number)
            except (OSError, http.client.HTTPException):
                continue
            if status["leader"] == number:
                return number
        return None

    async def follower(self):
        """The number of a running node that does not lead, once there is a leader."""
        leader = await self.wait_leader()
        return next(number for number in self.running() if number != leader)

    async def wait_leader(self, seconds=15, but=None):
        """Waits until a node leads and every running node can be paid through; returns it."""
        async def settled():
            leader = await self.leader()
            if leader is None or leader == but:
                return None
            for number in self.running():
                code, _, _ = await asyncio.to_thread(self.http, number, "GET", "/readyz")
                if code != 200:
                    return None
            return leader
        return await wait_until("a leader that all nodes know", seconds, settled)

    async def wait_equal(self, seconds=20):
        """Waits until all running nodes have applied the same; returns (seq, digest)."""
        async def equal():
            seen = {}
            for number in self.running():
                reply = await asyncio.to_thread(self.post, number, "ledger.digest", {"stale": True})
                seen[number] = (reply["result"]["seq"], reply["result"]["digest"])
            if len({seq for seq, _ in seen.values()}) != 1:
                raise AssertionError(f"sequences differ: {seen}")
            return seen
        seen = await wait_until("equal sequences on all nodes", seconds, equal, 0.1)
        assert len(set(seen.values())) == 1, f"digests differ at the same sequence: {seen}"
        return next(iter(seen.values()))

"""etcd, three nodes on loopback, driven by bench/etcd_load.c: a payment is a transaction that
compares the payment's id (absent) and the versions of two accounts, and puts three keys."""

import json
import os
import resource
import shutil
import signal
import time

from . import payledger, workload, workspace

NODES = 3
WAIT_S = 60
QUOTA_BYTES = 8 << 30
LOAD_WRONG = 3  # the exit status of etcd_load when the book is not right
CONNECTIONS_MAX = 4  # the fastest of 1 to 64 on two cores


class Etcd:
    name = "etcd"
    title = "etcd"

    def __init__(self, space, build):
        self.space = space
        self.load = os.path.join(build, "bench", "etcd_load")
        self.etcd = shutil.which("etcd")
        self.etcdctl = shutil.which("etcdctl")
        if self.etcd is None or self.etcdctl is None or not os.path.exists(self.load):
            raise workspace.Failed("etcd or bench/etcd_load is missing: scripts/install-deps "
                                   "--bench, then scripts/build release")
        ports = payledger.clusters.free_ports(2 * NODES)
        self.client_ports, self.peer_ports = ports[:NODES], ports[NODES:]
        self.servers = []
        self.accounts = 0
        self.payments = 0
        self.paused = False

    # ---- life --------------------------------------------------------------------------------

    def start(self):
        peers = ",".join(f"n{i}=http://127.0.0.1:{port}"
                         for i, port in enumerate(self.peer_ports))
        for i in range(NODES):
            client = f"http://127.0.0.1:{self.client_ports[i]}"
            peer = f"http://127.0.0.1:{self.peer_ports[i]}"
            self.servers.append(self.space.spawn(
                f"etcd{i}", self.etcd, "--name", f"n{i}", "--data-dir",
                self.space.folder(f"etcd{i}"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer,
                "--initial-advertise-peer-urls", peer, "--initial-cluster", peers,
                "--initial-cluster-state", "new", "--log-level", "warn",
                "--quota-backend-bytes", str(QUOTA_BYTES), env={"ETCDCTL_API": "3"}))
        self.leader()

    def endpoints(self):
        return ",".join(f"127.0.0.1:{port}" for port in self.client_ports)

    def leader(self):
        """Waits for one; returns its client port: the fastest to send to."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            out = self.space.call(self.etcdctl, "--endpoints", self.endpoints(), "endpoint",
                                  "status", "-w", "json", env={"ETCDCTL_API": "3"}, check=False)
            for row in json.loads(out) if out.strip().startswith("[") else []:
                status = row["Status"]
                if status.get("leader") and status["leader"] == status["header"]["member_id"]:
                    return int(row["Endpoint"].rsplit(":", 1)[1])
            for i, server in enumerate(self.servers):
                if server.poll() is not None:
                    raise workspace.Failed("etcd ended: " + self.space.log_tail(f"etcd{i}"))
            time.sleep(0.2)
        raise workspace.Failed(f"etcd: no leader within {WAIT_S} s")

    def roots(self):
        return [server.pid for server in self.servers if server.poll() is None]

    def pause(self):
        self.paused = True
        workspace.pause(self.roots())

    def resume(self):
        if self.paused:
            workspace.resume(self.roots())
            self.paused = False
            self.leader()

    def close(self):
        for number, server in enumerate(self.servers):
            self.space.stop(server, signal.SIGKILL)
            shutil.rmtree(self.space.path(f"etcd{number}"), ignore_errors=True)
        self.servers = []

    def settings(self):
        return {"quota-backend-bytes": QUOTA_BYTES}

    # ---- load --------------------------------------------------------------------------------

    def stored(self):
        return self.payments

    def open(self, accounts):
        if self.accounts >= accounts:
            return
        self.space.call(self.load, "--port", str(self.leader()), "--accounts", str(accounts),
                        "--first", str(self.accounts), "--open", "--clients", "16")
        self.accounts = accounts

    def run(self, load):
        if load.payments != 1 or load.rate:
            raise workspace.Failed("etcd: one payment per transaction, closed loop")
        self.open(load.accounts)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = workspace.cpu_seconds(self.roots())
        begin = time.monotonic()
        out = self.space.call(
            self.load, "--port", str(self.leader()), "--clients", str(load.clients),
            "--connections", str(min(load.clients, CONNECTIONS_MAX)), "--accounts",
            str(load.accounts), "--distribution", load.distribution, "--exponent",
            str(int(workload.ZIPF_EXPONENT * 100)), "--seconds", str(load.seconds), "--warmup",
            str(load.warmup), timeout_s=load.seconds + load.warmup + 120, wrong=LOAD_WRONG)
        took_s = time.monotonic() - begin
        cpu = workspace.cpu_seconds(self.roots()) - cpu
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        report = json.loads(out)
        self.payments += report["all_posted"]
        load_s = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
        return workload.result(
            report["posted"] / report["seconds"],
            {"p50": report["p50_us"], "p90": report["p90_us"], "p99": report["p99_us"],
             "p99_9": report["p99.9_us"], "max": report["max_us"]},
            right=report["right"], posted=report["posted"], conflicts=report["conflicts"],
            load_cores=load_s / took_s, cores=cpu / took_s,
            memory_bytes=workspace.memory_bytes(self.roots()))

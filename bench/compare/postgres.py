"""PostgreSQL with two synchronous standbys, any one of which must have flushed a commit, driven by
pgbench with prepared statements."""

import glob
import os
import resource
import shutil
import signal
import time

from . import figures, payledger, workload, workspace

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, "schema.sql")
CHECK = os.path.join(HERE, "schema_check.sql")
WAIT_S = 60
DATABASE = "bench"
PRIMARY, STANDBYS = "primary", ("standby1", "standby2")
PGBENCH_THREADS = 2
# pgbench's time begins before its clients connect; what is left of it at the end is not measured.
CONNECTIONS_PER_S = 100
ATTEMPTS_MAX = 3
FILL_CLIENTS = 1  # the fastest: calls by sets wait for each other's accounts
FILL_CALLS_MAX = 500

# What differs from Debian's defaults. The first two are those of durability and are also the
# defaults; the others are in PostgreSQL's favour: memory, no pause of a checkpoint in a round, and
# no patience lost while the others are measured.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "wal_buffers": "16MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "checkpoint_completion_target": "0.9",
    "max_connections": "260",
    "wal_sender_timeout": "0",
    "wal_receiver_timeout": "0",
    "huge_pages": "try",
    "random_page_cost": "1.1",
    "jit": "off",
    "logging_collector": "off",
}
SYNCHRONOUS = "ANY 1 (standby1, standby2)"

PICK = {
    "uniform": r"random(1, :accounts)",
    "zipf": r"random_zipfian(1, :accounts, :exponent)",
}


def script(load):
    """What each client of pgbench repeats. A hot account (number 1) pays and is paid in turn."""
    if load.payments > 1:
        return batch_script(load)
    if load.distribution == "hot":
        accounts = ["\\set other random(2, :accounts)", "\\set pays random(0, 1)",
                    "\\set debit case when :pays = 1 then 1 else :other end",
                    "\\set credit case when :pays = 1 then :other else 1 end"]
    else:
        pick = PICK[load.distribution]
        # Where both are the same, the next one.
        accounts = [f"\\set debit {pick}", f"\\set credit {pick}",
                    "\\set credit case when :credit = :debit then 1 + :credit % :accounts "
                    "else :credit end"]
    if load.ids == "random":
        name = "gen_random_uuid()"
        numbers = []
    else:
        name = "ordered_id(:high, :low)"
        # Version 7 and variant 2; the client's number and a counter make it the client's own.
        numbers = ["\\set n :n + 1",
                   "\\set high (:epoch_ms + :n / 10) * 65536 + 28672 + :client_id % 4096",
                   "\\set low (-9223372036854775807 - 1) + :client_id * 1099511627776 + :n"]
    return "\n".join([*accounts, *numbers,
                      f"SELECT pay({name}, :debit, :credit, {workload.AMOUNT_MINOR});", ""])


def batch_script(load):
    """One call of pay_many. The arrays are made by the server: that costs it less than reading them
    as text."""
    debit, credit = "a", "1 + (a - 1 + d) % :accounts"
    if load.distribution == "hot":
        debit = "CASE WHEN d % 2 = 0 THEN 1 ELSE b END"
        credit = "CASE WHEN d % 2 = 0 THEN b ELSE 1 END"
    name = "gen_random_uuid()"
    if load.ids == "v7":
        name = "ordered_id((:epoch_ms::bigint + :n) * 65536 + 28672 + :client_id, " \
               "(-9223372036854775807 - 1) + i)"
    return (f"\\set n :n + 1\nSELECT pay_many(array_agg({name}), array_agg({debit}),"
            f" array_agg({credit}), array_agg({workload.AMOUNT_MINOR}::bigint)) FROM (SELECT i,"
            " 1 + floor(random() * :accounts)::integer AS a,"
            " 2 + floor(random() * (:accounts - 1))::integer AS b,"
            " 1 + floor(random() * (:accounts - 1))::integer AS d"
            f" FROM generate_series(1, {load.payments}) AS i) AS r;\n")


def read_log(lines):
    """[(end in us since 1970, latency in us)] of the transactions in pgbench's log."""
    ended = []
    for line in lines:
        words = line.split()
        # client, number, latency in us, script, seconds, microseconds
        if len(words) >= 6 and words[2].isdigit():
            ended.append((int(words[4]) * 1_000_000 + int(words[5]), int(words[2])))
    return ended


def measured(ended, warmup_s, seconds):
    """The latencies of those that ended in the window: it begins so long after the first one began,
    by when all clients are connected. None where pgbench ended before it did."""
    begin = min((when - took for when, took in ended), default=0) + warmup_s * 1_000_000
    end = begin + seconds * 1_000_000
    if max((when for when, _ in ended), default=0) < end:
        return None
    return [took for when, took in ended if begin <= when < end]


class Postgres:
    name = "postgres"
    title = "PostgreSQL"

    def __init__(self, space):
        self.space = space
        self.user = workspace.unprivileged_user()
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise workspace.Failed("PostgreSQL is missing: scripts/install-deps --bench")
        self.bin = os.path.dirname(found[-1])
        self.ports = dict(zip((PRIMARY, *STANDBYS), payledger.clusters.free_ports(3)))
        self.servers = {}
        self.accounts = 0
        self.paused = False
        self.folder = space.folder("postgres", self.user)

    def program(self, name):
        return os.path.join(self.bin, name)

    # ---- life --------------------------------------------------------------------------------

    def start(self):
        data = os.path.join(self.folder, PRIMARY)
        self.space.call(self.program("initdb"), "-D", data, "-U", "bench", "-A", "trust", "-E",
                        "UTF8", "--locale=C", user=self.user)
        self._configure(PRIMARY)
        self._serve(PRIMARY)
        self.query("CREATE DATABASE " + DATABASE, database="postgres")
        for name in STANDBYS:
            self.space.call(self.program("pg_basebackup"), "-D", os.path.join(self.folder, name),
                            "-h", "127.0.0.1", "-p", str(self.ports[PRIMARY]), "-U", "bench",
                            "-c", "fast", "-X", "stream", user=self.user)
            self._configure(name)
            self._serve(name)
        self._wait("two standbys", lambda: self.query(
            "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "2")
        self.query(f"ALTER SYSTEM SET synchronous_standby_names = '{SYNCHRONOUS}'")
        self.query("SELECT pg_reload_conf()")
        self._wait("synchronous standbys", lambda: self.query(
            "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") == "2")
        for path in (SCHEMA, CHECK):
            with open(path, encoding="utf-8") as file:
                self.query(file.read())

    def _configure(self, name):
        lines = [f"{key} = '{value}'" for key, value in SETTINGS.items()]
        lines += [f"port = {self.ports[name]}", "listen_addresses = '127.0.0.1'",
                  "unix_socket_directories = ''"]
        if name != PRIMARY:
            lines.append(f"primary_conninfo = 'host=127.0.0.1 port={self.ports[PRIMARY]} "
                         f"user=bench application_name={name}'")
            self._write(name, "standby.signal", "")
        self._write(name, "bench.conf", "\n".join(lines) + "\n")
        if name == PRIMARY:
            with open(os.path.join(self.folder, name, "postgresql.conf"), "a",
                      encoding="utf-8") as file:
                file.write("include 'bench.conf'\n")

    def _write(self, name, file_name, text):
        path = os.path.join(self.folder, name, file_name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _serve(self, name):
        self.servers[name] = self.space.spawn(
            "postgres-" + name, self.program("postgres"), "-D", os.path.join(self.folder, name),
            user=self.user, cwd=self.folder)
        self._wait(name, lambda: self.space.call(
            self.program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.ports[name]), "-q",
            check=False) is not None and self._answers(name))

    def _answers(self, name):
        if self.servers[name].poll() is not None:
            raise workspace.Failed("PostgreSQL ended: " + self.space.log_tail("postgres-" + name))
        try:
            return self.query("SELECT 1", database="postgres", name=name) == "1"
        except workspace.Failed:
            return False

    def _wait(self, what, probe):
        deadline = time.monotonic() + WAIT_S
        while not probe():
            if time.monotonic() > deadline:
                raise workspace.Failed(f"PostgreSQL: no {what} within {WAIT_S} s")
            time.sleep(0.1)

    def roots(self):
        return [server.pid for server in self.servers.values() if server.poll() is None]

    def pause(self):
        self.paused = True
        workspace.pause(self.roots())

    def resume(self):
        if self.paused:
            workspace.resume(self.roots())
            self.paused = False
            # One commit through a standby: the replication flows again.
            self.query("SELECT txid_current()")

    def close(self):
        for server in reversed(list(self.servers.values())):
            self.space.stop(server, signal.SIGQUIT)
        self.servers.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self):
        return {**SETTINGS, "synchronous_standby_names": SYNCHRONOUS}

    # ---- asking ------------------------------------------------------------------------------

    def query(self, text, database=DATABASE, name=PRIMARY, timeout_s=1800):
        return self.space.call(
            self.program("psql"), "-h", "127.0.0.1", "-p", str(self.ports[name]), "-U", "bench",
            "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database, "-f", "-",
            stdin=text + ";\n", timeout_s=timeout_s).strip()

    def stored(self):
        return int(self.query("SELECT count(*) FROM payment"))

    def open(self, accounts):
        if self.accounts >= accounts:
            return
        self.query(f"INSERT INTO account (id) SELECT generate_series({self.accounts + 1}, "
                   f"{accounts}); VACUUM ANALYZE account")
        self.accounts = accounts

    def fill(self, payments, accounts, seconds_max):
        """As payledger's."""
        self.open(accounts)
        end = time.monotonic() + seconds_max
        stored = self.stored()
        load = workload.Workload(clients=FILL_CLIENTS, payments=1000, accounts=accounts)
        while stored < payments and time.monotonic() < end:
            calls = min(FILL_CALLS_MAX, -(-(payments - stored) // (1000 * FILL_CLIENTS)))
            self._pgbench(load, ["-t", str(calls)], 1800)
            stored = self.stored()
        self.query("VACUUM ANALYZE account; ANALYZE payment")
        return stored

    # ---- load --------------------------------------------------------------------------------

    def _pgbench(self, load, limits, timeout_s):
        """Runs it; its logs are in the directory pgbench."""
        shutil.rmtree(self.space.path("pgbench"), ignore_errors=True)
        folder = self.space.folder("pgbench", self.user)
        path = os.path.join(folder, "script.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(script(load))
        os.chmod(path, 0o644)
        variables = {"accounts": load.accounts, "exponent": workload.ZIPF_EXPONENT, "n": 0,
                     "epoch_ms": int(time.time() * 1000)}
        defined = [word for name, value in variables.items() for word in
                   ("-D", f"{name}={value}")]
        return self.space.call(
            self.program("pgbench"), "-n", "-M", "prepared", "-c", str(load.clients), "-j",
            str(min(PGBENCH_THREADS, load.clients)), *limits, *defined, "-f", path, "-l",
            "--log-prefix", os.path.join(folder, "log"), "-h", "127.0.0.1", "-p",
            str(self.ports[PRIMARY]), "-U", "bench", DATABASE, user=self.user,
            timeout_s=timeout_s)

    def _window(self, load):
        """How many transactions there were, and the latencies of those in the window."""
        count = 0
        more_s = 1 + load.clients // CONNECTIONS_PER_S
        for _ in range(ATTEMPTS_MAX):
            whole_s = load.warmup + load.seconds + more_s
            self._pgbench(load, ["-T", str(whole_s)], whole_s + 120)
            ended = []
            for path in glob.glob(self.space.path("pgbench", "log.*")):
                with open(path, encoding="ascii") as file:
                    ended += read_log(file)
            count += len(ended)
            samples = measured(ended, load.warmup, load.seconds)
            if samples is not None:
                return count, samples
            more_s *= 4
        raise workspace.Unsupported(f"PostgreSQL: {load.clients} clients were not served in time")

    def run(self, load):
        if load.rate:
            raise workspace.Failed("the open loop is measured with payledger only")
        self.open(load.accounts)
        before = self.query(TOTALS)
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = workspace.cpu_seconds(self.roots())
        begin = time.monotonic()
        ended, samples = self._window(load)
        took_s = time.monotonic() - begin
        cpu = workspace.cpu_seconds(self.roots()) - cpu
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        after = self.query(TOTALS)
        load_s = used.ru_utime + used.ru_stime - own.ru_utime - own.ru_stime
        return workload.result(
            len(samples) * load.payments / load.seconds, figures.latency(samples),
            right=right(before, after, ended * load.payments),
            posted=len(samples) * load.payments, load_cores=load_s / took_s,
            cores=cpu / took_s, memory_bytes=workspace.memory_bytes(self.roots()))


TOTALS = ("SELECT (SELECT sum(debits_posted) FROM account),"
          " (SELECT sum(credits_posted) FROM account),"
          " (SELECT coalesce(sum(amount), 0) FROM payment WHERE NOT refused)")


def right(before, after, acknowledged):
    """Debits equal credits, and what was acknowledged moved: at most the calls that were under way
    at the end are beyond it."""
    first = [int(word or 0) for word in before.split("|")]
    last = [int(word or 0) for word in after.split("|")]
    moved = (last[0] - first[0]) // workload.AMOUNT_MINOR
    return last[0] == last[1] == last[2] and moved >= acknowledged



"""Starting and stopping: exit statuses, data directories, configuration errors, the lock."""
import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess

from book import Book, Stream, check_stream, posted
from client import payment
from cluster import free_ports, slow, wait_until
from harness import TREE, case

USAGE, DATA, DISK, CONFIG = 64, 65, 74, 78


def check_status(done, wanted, *words):
    assert done.returncode in (wanted if isinstance(wanted, tuple) else (wanted,)), \
        f"status {done.returncode}, wanted {wanted}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stderr, f"{word!r} is not in the message: {done.stderr}"


@case()
async def usage_is_64(run):
    cluster = run.cluster()
    cluster.format()
    for arguments in ([], ["fly"], ["start"], ["start", "--config"], ["start", "--node", "1"],
                      ["format", "--config", cluster.config],
                      ["start", "--config", cluster.config, "--node", "x"],
                      ["start", "--config", cluster.config, "--node", "01"],
                      ["start", "--config", cluster.config, "--node", "1", "--frobnicate"],
                      ["start", "--config", cluster.config, "--node", "1", "extra"]):
        done = cluster.daemon(*arguments)
        check_status(done, USAGE)
        assert done.stderr.strip(), f"{arguments}: no message"
    check_status(cluster.daemon("start", "--config", cluster.config, "--node", "9"),
                 (USAGE, CONFIG), "9")


@case()
async def help_and_version_are_0(run):
    cluster = run.cluster()
    for name in ("payledgerd", "payledger"):
        done = cluster.program(name, "--help")
        check_status(done, 0)
        assert name in done.stdout, done.stdout
        check_status(cluster.program(name, "--version"), 0)


@case()
async def start_refuses_foreign_data(run):
    cluster = run.cluster()
    cluster.make_pki()
    cluster.write_config()
    start = ("start", "--config", cluster.config, "--node")
    check_status(cluster.daemon(*start, "1"), DATA)  # absent
    os.makedirs(cluster.data_dir(1))
    check_status(cluster.daemon(*start, "1"), DATA)  # empty
    cluster.format()
    check_status(cluster.daemon("format", "--config", cluster.config, "--node", "1"), DATA)

    renamed = cluster.write_config(cluster.config_text().replace('cluster = "test"',
                                                                 'cluster = "other"'),
                                   os.path.join(cluster.dir, "other.conf"))
    check_status(cluster.daemon("start", "--config", renamed, "--node", "1"), DATA)
    os.rename(cluster.data_dir(1), cluster.data_dir(1) + ".aside")
    shutil.copytree(cluster.data_dir(2), cluster.data_dir(1))  # another node's
    check_status(cluster.daemon(*start, "1"), DATA)


@case()
async def start_refuses_damaged_identity(run):
    cluster = run.cluster()
    cluster.format()
    path = os.path.join(cluster.data_dir(1), "identity")
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2] ^= 0x10
        file.seek(0)
        file.write(data)
    check_status(cluster.daemon("start", "--config", cluster.config, "--node", "1"), DATA)


def damage(path, name):
    """Overwrites the middle of every file in a folder whose name begins so; says how many."""
    count = 0
    for file_name in os.listdir(path):
        if file_name.startswith(name):
            with open(os.path.join(path, file_name), "r+b") as file:
                size = os.fstat(file.fileno()).st_size
                file.write(b"\xa5" * min(size, 4096))
            count += 1
    return count


@case(60)
async def lost_parts_and_a_damaged_log_are_65(run):
    """A node whose log or ledger is gone, or its log unreadable, says what and does not start.
    (A damaged ledger is fetched from a peer: test_damage.)"""
    cluster = await run.started()
    client = await run.client(cluster, 1)
    await Book.make(client)
    status, _ = await cluster.terminate(1, 8)
    assert status == 0, status
    whole = cluster.data_dir(1) + ".whole"
    os.rename(cluster.data_dir(1), whole)
    for part, change, words in (
            ("raft", shutil.rmtree, ("/raft", "missing")),
            ("ledger", shutil.rmtree, ("/ledger", "missing")),
            ("raft", lambda path: [os.unlink(os.path.join(path, name))
                                   for name in os.listdir(path)], ("/raft",)),
            ("raft", lambda path: damage(path, "metadata"), ("/raft",)),
            ("raft", lambda path: damage(path, "0"), ("/raft",))):
        shutil.copytree(whole, cluster.data_dir(1))
        change(os.path.join(cluster.data_dir(1), part))
        done = cluster.daemon("start", "--config", cluster.config, "--node", "1", timeout_s=10)
        check_status(done, DATA, *words)
        run.note(done.stderr.strip().splitlines()[-1])
        shutil.rmtree(cluster.data_dir(1))


@case(40)
async def wiped_node_does_not_start(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    await Book.make(client)
    victim = await cluster.follower()
    cluster.kill(victim)
    shutil.rmtree(cluster.data_dir(victim))
    os.makedirs(cluster.data_dir(victim))
    check_status(cluster.daemon("start", "--config", cluster.config, "--node", str(victim)), DATA)


@case(60)
async def formatted_again_it_is_refused_by_its_peers(run):
    """A wiped node has forgotten its votes: under its old id it must never take part again."""
    cluster = await run.started()
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    book = await Book.make(client)
    account = await book.customer(client, 500)
    victim = next(n for n in cluster.nodes if n != leader)
    cluster.kill(victim)
    shutil.rmtree(cluster.data_dir(victim))
    check_status(cluster.daemon("format", "--config", cluster.config, "--node", str(victim)), 0)
    before = await cluster.metric_sum("payledger_peer_refused_total")
    cluster.start(victim)
    cluster.nodes[victim].expected_end = True  # it may give up by itself

    async def refused():
        return await cluster.metric_sum("payledger_peer_refused_total", others) > before
    others = [n for n in cluster.nodes if n != victim]
    await wait_until("the wiped node to be refused", 10, refused)
    await client.call("payment.create", payment(book.bank, account, 1))
    rows = {row["id"]: row for row in (await cluster.status(leader))["nodes"]}
    assert not rows[victim]["reachable"], rows[victim]
    if cluster.nodes[victim].alive():
        code, _, _ = cluster.http(victim, "GET", "/readyz")
        assert code == 503, f"/readyz of the wiped node: {code}"


BAD_LINES = [
    # What is replaced in the good file, by what, and the text that the message must name.
    ("workers = 2", "workers = 0", "0"),
    ("workers = 2", "workers = 100000", "100000"),
    ("workers = 2", "workers = 02", "02"),
    ("workers = 2", "workers = -1", "-1"),
    ("workers = 2", "workers = two", "two"),
    ("workers = 2", "workers = 2 workers = 3", "workers"),
    ("workers = 2", "wrokers = 2", "wrokers"),
    ("node 2 {", "node 02 {", "02"),
    ("node 2 {", "node 0 {", "0"),
    ("node 2 {", "node 100000 {", "100000"),
    ("node 2 {", "node 1 {", "1"),
    ("node 2 {", "node two {", "two"),
    ('data = "data/node{id}"', "data = data/node{id}", "data"),
    ('cluster = "test"', 'cluster = ""', "cluster"),
    ('peer = "127.0.0.1:{peer}"', 'peer = "127.0.0.1"', "127.0.0.1"),
    ('peer = "127.0.0.1:{peer}"', 'peer = "127.0.0.1:70000"', "70000"),
    ('peer = "127.0.0.1:{peer}"', 'peer = "127.0.0.1:0"', "127.0.0.1:0"),
    ("heartbeat_ms = 25", "heartbeat_ms = 25ms", "25ms"),
    ("heartbeat_ms = 25", "heartbeat_ms = 0", "0"),
    ("clients = false", "clients = maybe", "maybe"),
]


@case(40)
async def configuration_errors_name_file_line_and_value(run):
    cluster = run.cluster()
    cluster.format()
    good = cluster.config_text()
    path = os.path.join(cluster.dir, "bad.conf")
    problems = []
    for old, new, value in BAD_LINES:
        port = str(cluster.nodes[2].peer_port)
        old, new = old.replace("{peer}", port), new.replace("{peer}", port)
        assert old in good, old
        cluster.write_config(good.replace(old, new, 1), path)
        line = 1 + good[:good.index(old)].count("\n")
        done = cluster.daemon("start", "--config", path, "--node", "1")
        found = re.search(r"bad\.conf:(\d+):(.*)", done.stderr)
        if done.returncode != CONFIG or not found or int(found.group(1)) != line or \
                value not in found.group(2):
            problems.append(f"{new} (line {line}): status {done.returncode}, {done.stderr.strip()}")
    assert not problems, "\n".join(problems)


@case()
async def missing_keys_and_files_are_78(run):
    cluster = run.cluster()
    cluster.format()
    good = cluster.config_text()
    path = os.path.join(cluster.dir, "bad.conf")
    for key in ("cluster", "data"):
        text = "\n".join(line for line in good.split("\n") if not line.startswith(f"{key} ="))
        cluster.write_config(text, path)
        check_status(cluster.daemon("start", "--config", path, "--node", "1"), CONFIG, "bad.conf",
                     key)
    gone = os.path.join(cluster.dir, "gone.conf")
    check_status(cluster.daemon("start", "--config", gone, "--node", "1"), CONFIG, "gone.conf")
    cluster.write_config(good.replace("pki/node{id}.pem", "pki/gone{id}.pem"), path)
    check_status(cluster.daemon("start", "--config", path, "--node", "1"), CONFIG, "gone1.pem")
    cluster.write_config(good.replace("pki/node{id}.key", "pki/node2.key"), path)
    check_status(cluster.daemon("start", "--config", path, "--node", "1"), CONFIG, "node2.key")


@case()
async def another_nodes_certificate_is_78(run):
    cluster = run.cluster()
    cluster.format()
    text = cluster.config_text().replace("pki/node{id}.", "pki/node2.")
    path = cluster.write_config(text, os.path.join(cluster.dir, "other.conf"))
    check_status(cluster.daemon("start", "--config", path, "--node", "1"), CONFIG, "node2.pem",
                 "certificate of node 2", "this is node 1")


@case(40)
async def an_open_private_key_is_warned_of(run):
    cluster = run.cluster()
    cluster.format()
    os.chmod(os.path.join(cluster.pki, "node1.key"), 0o640)
    cluster.start()
    await cluster.wait_leader()
    assert "node1.key: the private key is open to group or others" in cluster.log_text(1)
    assert "private key" not in cluster.log_text(2)


@case(60)
async def without_a_majority_the_log_says_who_is_missing(run):
    cluster = await run.started()
    rest = await cluster.leader()
    gone = [number for number in cluster.nodes if number != rest]
    cluster.kill(*gone)

    async def said():
        names = ", ".join(str(number) for number in gone)
        return re.search(rf"warn.* no leader for \d+ s: unreachable peers: {names}\n",
                         cluster.log_text(rest))
    await wait_until("the log to name them", 20, said)
    rows = {row["id"]: row for row in (await cluster.status(rest))["nodes"]}
    for number in gone:
        assert rows[number]["client"] == f"127.0.0.1:{cluster.nodes[number].client_port}", rows
    cluster.start(*gone)

    async def over():
        return "without a leader" in cluster.log_text(rest)
    await wait_until("the log to say that a node leads", 20, over)


@case()
async def client_port_beyond_loopback_needs_insecure_open(run):
    """Until keys exist every connection may do everything."""
    cluster = run.cluster()
    cluster.format()
    old = f'client = "127.0.0.1:{cluster.nodes[1].client_port}"'
    text = cluster.config_text().replace(old, old.replace("127.0.0.1", "0.0.0.0"))
    path = cluster.write_config(text, os.path.join(cluster.dir, "open.conf"))
    check_status(cluster.daemon("start", "--config", path, "--node", "1"), CONFIG, "insecure_open")


@case(40)
async def second_instance_is_refused(run):
    cluster = await run.started()
    before = cluster.nodes[1].process.pid
    done = cluster.daemon("start", "--config", cluster.config, "--node", "1")
    check_status(done, DATA, str(before))
    assert cluster.nodes[1].alive()
    client = await run.client(cluster, 1)
    await Book.make(client)


@case(60)
async def sigterm_stops_within_5_s(run):
    """Also in the middle of payments, as leader and as follower; nothing is lost by it."""
    cluster = await run.started()
    client = await run.client(cluster, await cluster.leader())
    book = await Book.make(client)
    accounts = [await book.customer(client, overdraft="unlimited") for _ in range(4)]
    await client.close()
    stream = Stream(cluster, book, accounts)
    stream.start()
    await stream.flowing(100)
    leader = await cluster.leader()
    for number in (leader, next(n for n in cluster.nodes if n != leader)):
        term = stream.newest_term
        begin = asyncio.get_running_loop().time()
        status, seconds = await cluster.terminate(number, 8)
        assert status == 0, f"node {number} ended with {status}"
        assert seconds <= slow(5), f"node {number} took {seconds:.2f} s to stop"
        if number == leader:
            await stream.term_above(term)
            run.note(f"leader stopped in {seconds:.2f} s, the next one paid "
                     f"{asyncio.get_running_loop().time() - begin:.2f} s after the signal")
        cluster.start(number)
        await cluster.wait_leader()
        await stream.spread()
        await stream.flowing(100)
    await stream.stop()
    await check_stream(cluster, await run.client(cluster, 1), stream)


@case(60)
async def restart_finds_everything(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    account = await book.customer(client, 12345)
    before = await cluster.wait_equal()
    for number in cluster.nodes:
        status, _ = await cluster.terminate(number, 8)
        assert status == 0, status
    cluster.start()
    await cluster.wait_leader()
    client = await run.client(cluster, 2)
    assert await posted(client, account) == 12345
    assert await cluster.wait_equal() == before


@case()
async def a_port_in_use_is_a_clear_error(run):
    for kind in ("client_port", "peer_port"):
        cluster = run.cluster()
        cluster.format()
        port = getattr(cluster.nodes[1], kind)
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", port))
            holder.listen()
            done = cluster.daemon("start", "--config", cluster.config, "--node", "1", timeout_s=10)
        check_status(done, CONFIG)
        assert str(port) in done.stderr, done.stderr


class Script:
    """scripts/cluster on a directory of its own, with ports that are free just now."""

    def __init__(self, run, path):
        self.run = run
        self.dir = path
        self.ports = None
        while self.ports is None:
            client, peer = free_ports(2)
            if all(self.free(port + i) for port in (client, peer) for i in range(3)):
                self.ports = {"--client-port": client, "--peer-port": peer}

    @staticmethod
    def free(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    async def __call__(self, verb, *arguments, ports=None, status=0):
        words = [str(word) for option in (ports or {}).items() for word in option]
        done = await asyncio.to_thread(
            subprocess.run, [os.path.join(TREE, "scripts", "cluster"), verb, "--dir", self.dir,
                             "--build", self.run.build, *words, *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=slow(60), check=False)
        assert done.returncode == status, (verb, arguments, done)
        return done

    def payments(self, number=1):
        """The number of payments that node 1 knows of."""
        done = subprocess.run([self.run.binary("payledger"), "call", "ledger.info", "--node",
                               f"127.0.0.1:{self.ports['--client-port'] + number - 1}"],
                              capture_output=True, text=True, check=True)
        return int(re.search(r'"payments":(\d+)', done.stdout).group(1))

    def process(self, name):
        with open(os.path.join(self.dir, name), encoding="ascii") as file:
            return int(file.read())


@case(150)
async def the_script_finds_what_it_started(run):
    """It pays once; a node whose supervisor was killed is neither lost nor doubled."""
    scratch = run.cluster()  # for its directory
    script = Script(run, os.path.join(scratch.dir, "script"))
    try:
        await script("up", ports=script.ports)
        paid = script.payments()
        assert paid > 1000, paid
        assert "nothing is paid" in (await script("up")).stdout
        assert script.payments() == paid
        for option in script.ports:
            done = await script("up", ports={option: 9999}, status=1)
            assert f"{option} 9999" in done.stderr, done.stderr

        orphan = script.process("node1/lock")
        os.kill(script.process("run/node1.pid"), signal.SIGKILL)

        async def ended():
            return not os.path.exists(f"/proc/{orphan}")
        await wait_until("the node to end with its supervisor", 6, ended)
        await script("up", ports=script.ports)
        assert script.payments() == paid

        # One that nobody supervises: started by hand.
        await script("down")
        config = os.path.join(script.dir, "cluster.conf")
        subprocess.Popen(["setpriv", "--pdeathsig", "KILL", run.binary("payledgerd"), "start",
                          "--config", config, "--node", "2"], stderr=subprocess.DEVNULL)

        async def runs():
            return os.path.exists(f"/proc/{script.process('node2/lock')}")
        await wait_until("node 2 to run", 10, runs)
        assert "without its supervisor" in (await script("status")).stdout
        assert "stopped 1 nodes" in (await script("down")).stdout
        assert "stopped 0 nodes" in (await script("down")).stdout
        await script("up")
        assert script.payments() == paid
        await script("up", "--demo")
        assert script.payments() > paid
    finally:
        await script("down")


@case(60)
async def a_first_start_that_fails_leaves_no_options_behind(run):
    scratch = run.cluster()
    script = Script(run, os.path.join(scratch.dir, "script"))
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", script.ports["--client-port"] + 1))
        holder.listen()
        done = await script("up", ports=script.ports, status=1)
        assert "node 2 does not run" in done.stderr, done.stderr
        assert os.listdir(script.dir) == ["run"], os.listdir(script.dir)
    try:
        await script("up", ports=script.ports)
    finally:
        await script("down")


@case()
async def scripts_know_their_options(run):
    for name in ("build", "cluster", "install-deps", "test"):
        path = os.path.join(TREE, "scripts", name)
        done = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and f"scripts/{name}" in done.stdout, (name, done)
        done = subprocess.run([path, "--frobnicate"], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "--frobnicate" in done.stderr, (name, done)

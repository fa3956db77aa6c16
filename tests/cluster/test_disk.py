"""A node whose disk fails stops with status 74 and a clear message; the others go on."""
import asyncio
import contextlib
import os
import re
import shutil
import subprocess

from book import Book, check_cluster
from client import RpcError, payment
from cluster import slow, wait_until
from harness import HERE, Skip, case, require_program

DISK_STATUS = 74
DISK_MIB = 420  # above the reserve of 256 MiB, below which a leader refuses payments
MEBIBYTE = 1024 * 1024
MESSAGE = re.compile(r"error.*(no space|space left|input/output|disk|i/o|write|sync)", re.I)


def own_disk(cluster, number):
    """A command that runs what follows it on a small disk of its own (tmpfs in a mount namespace),
    freshly formatted. The disk goes with the process."""
    if os.geteuid() != 0:
        raise Skip("a file system of its own can be mounted by root only")
    require_program("unshare", "util-linux")
    path = cluster.data_dir(number)
    os.makedirs(path, exist_ok=True)
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", path],
                           capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        raise Skip(f"no mount namespaces here: {probe.stderr.strip()}")
    script = (f"mount -t tmpfs -o size={DISK_MIB}m none {path} && "
              f"{cluster.build}/payledgerd format --config {cluster.config} --node {number} && "
              'exec "$@"')
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh"]


class Balloon:
    """A file on a node's own disk that takes the space away."""

    def __init__(self, cluster, number):
        pid = cluster.nodes[number].process.pid
        self.dir = f"/proc/{pid}/root{cluster.data_dir(number)}"
        self.path = os.path.join(self.dir, "balloon")

    def free_bytes(self):
        about = os.statvfs(self.dir)
        return about.f_bavail * about.f_frsize

    def leave(self, free_bytes):
        """Grows until only so much is free; down to the last page."""
        # Full is what was wanted, and the node may end of it at any moment, and its disk with it.
        with contextlib.suppress(OSError), open(self.path, "ab", buffering=0) as file:
            while self.free_bytes() > free_bytes:
                file.write(b"\0" * max(1, min(MEBIBYTE, self.free_bytes() - free_bytes)))

    def burst(self):
        os.unlink(self.path)


async def with_small_disk(run):
    """A cluster of which one node has a small disk of its own; returns (cluster, its number)."""
    cluster = run.cluster()
    victim = max(cluster.nodes)
    cluster.format(*(number for number in cluster.nodes if number != victim))
    prefix = own_disk(cluster, victim)
    cluster.start(*(number for number in cluster.nodes if number != victim))
    cluster.start(victim, prefix=prefix)
    await cluster.wait_leader()
    return cluster, victim


async def not_leading(cluster, victim):
    """Makes another node lead without restarting the victim, which would lose its disk."""
    while await cluster.wait_leader() == victim:
        cluster.pause(victim)
        await cluster.wait_leader()
        cluster.resume(victim)


async def leading(cluster, victim):
    """Makes the victim lead without restarting it: the others are restarted instead."""
    for _ in range(20):
        leader = await cluster.wait_leader()
        if leader == victim:
            return
        # Killed, not stopped: then chance decides who follows, and it is the victim in the end.
        cluster.kill(leader)
        await cluster.wait_leader()
        cluster.start(leader)
    raise AssertionError(f"node {victim} was never elected")


async def heavy(client, book, account, count=200):
    """A batch of payments with much metadata; its results."""
    items = [payment(book.bank, account, 1, metadata={"pad": os.urandom(1900).hex()})
             for _ in range(count)]
    return await client.reply("payment.batch", {"mode": "independent", "items": items}, 20)


async def check_ended(cluster, victim, seconds):
    status = await cluster.wait_exit(victim, seconds)
    assert status == DISK_STATUS, f"status {status}, wanted {DISK_STATUS}"
    assert MESSAGE.search(cluster.log_text(victim)), "the log does not say why"


async def check_others_go_on(run, cluster, victim, book, account):
    before = None
    for number in cluster.nodes:
        if number != victim:
            client = await run.client(cluster, number)
            await client.call("payment.create", payment(book.bank, account, 1))
            before = (await client.call("account.get", {"id": account}))["posted"]
    assert int(before) >= len(cluster.nodes) - 1
    await check_cluster(cluster)


@case(150)
async def a_full_disk_stops_a_follower(run):
    cluster, victim = await with_small_disk(run)
    await not_leading(cluster, victim)
    client = await run.client(cluster, await cluster.leader())
    book = await Book.make(client)
    account = await book.customer(client)
    await heavy(client, book, account)
    await cluster.wait_equal()
    balloon = Balloon(cluster, victim)
    balloon.leave(0)
    for _ in range(100):
        reply = await heavy(client, book, account)
        assert "result" in reply, f"the others were disturbed: {reply}"
        if not cluster.nodes[victim].alive():
            break
        balloon.leave(0)  # what a snapshot has freed meanwhile
    await check_ended(cluster, victim, 15)
    await check_others_go_on(run, cluster, victim, book, account)


@case(150)
async def a_leader_short_of_space_refuses(run):
    """storage_full comes early, is not recorded, and ends when there is space again."""
    cluster, victim = await with_small_disk(run)
    others = [number for number in cluster.nodes if number != victim]
    await leading(cluster, victim)
    client = await run.client(cluster, others[0])
    book = await Book.make(client)
    account = await book.customer(client)
    balloon = Balloon(cluster, victim)
    balloon.leave(100 * MEBIBYTE)

    async def refused():
        reply = await client.reply("payment.create", payment(book.bank, account, 1))
        return RpcError(reply["error"]) if "error" in reply else None
    error = await wait_until("payments to be refused", 10, refused)
    assert error.code == "storage_full" and error.number == -32014, error
    assert error.retryable is True and error.recorded is False, error
    # Reads go on.
    await client.call("account.get", {"id": account})
    balloon.burst()

    async def accepted():
        reply = await client.reply("payment.create", payment(book.bank, account, 1))
        return "result" in reply
    await wait_until("payments to be accepted again", 15, accepted)
    await check_cluster(cluster)


def faulty_disk(run, cluster):
    """Builds the shim that makes writes fail; returns (environment, path of the switch)."""
    compiler = require_program("gcc", "gcc")
    with open(run.binary("payledgerd"), "rb") as file:
        if b"__asan_init" in (image := file.read()) or b"__tsan_init" in image:
            raise Skip("a sanitizer build takes no preloaded library before its own")
    shim = os.path.join(cluster.dir, "faulty_disk.so")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim,
                    os.path.join(HERE, "faulty_disk.c"), "-ldl"], check=True)
    switch = os.path.join(cluster.dir, "fault")
    return {"LD_PRELOAD": shim, "PAYLEDGER_TEST_FAULT": switch}, switch


async def write_error(run, kind, leads):
    cluster = run.cluster()
    env, switch = faulty_disk(run, cluster)
    cluster.format()
    victim = max(cluster.nodes)
    cluster.start(*(number for number in cluster.nodes if number != victim))
    cluster.start(victim, env=env)
    await (leading if leads else not_leading)(cluster, victim)
    client = await run.client(cluster, next(n for n in cluster.nodes if n != victim))
    book = await Book.make(client)
    account = await book.customer(client)
    await cluster.wait_equal()
    with open(switch, "w", encoding="ascii") as file:
        file.write(kind)
    # Something to write; if the node leads, its fate may well be unknown.
    begin = asyncio.get_running_loop().time()
    while cluster.nodes[victim].alive() and asyncio.get_running_loop().time() < begin + slow(15):
        await client.reply("payment.create", payment(book.bank, account, 1), 20)
        await asyncio.sleep(0.05)
    await check_ended(cluster, victim, 15)
    await cluster.wait_leader()
    await check_others_go_on(run, cluster, victim, book, account)
    # Once the disk is well, a supervisor starts it again and it catches up.
    os.unlink(switch)
    cluster.start(victim)
    await cluster.wait_leader()
    await check_cluster(cluster)


@case(90)
async def a_write_error_of_the_log_stops_a_follower(run):
    await write_error(run, "r", leads=False)


@case(120)
async def a_write_error_of_the_log_stops_the_leader(run):
    await write_error(run, "r", leads=True)


@case(90)
async def a_write_error_of_the_ledger_stops_the_node(run):
    await write_error(run, "l", leads=False)


@case(60)
async def a_truncated_log_is_noticed(run):
    """Below what the ledger has applied the log's tail is missing: such a node must not vote."""
    cluster = await run.started()
    victim = await cluster.follower()
    client = await run.client(cluster, await cluster.leader())
    book = await Book.make(client)
    account = await book.customer(client)
    await heavy(client, book, account)
    copy = cluster.data_dir(victim) + ".old"
    await cluster.wait_equal()
    status, _ = await cluster.terminate(victim, 8)
    assert status == 0, status
    shutil.copytree(os.path.join(cluster.data_dir(victim), "raft"), copy)
    cluster.start(victim)
    await cluster.wait_leader()
    await heavy(client, book, account)
    await cluster.wait_equal()
    status, _ = await cluster.terminate(victim, 8)  # commits the ledger
    assert status == 0, status
    shutil.rmtree(os.path.join(cluster.data_dir(victim), "raft"))
    os.rename(copy, os.path.join(cluster.data_dir(victim), "raft"))
    done = cluster.daemon("start", "--config", cluster.config, "--node", str(victim), timeout_s=15)
    assert done.returncode == 65, f"status {done.returncode}: {done.stderr}"
    await check_others_go_on(run, cluster, victim, book, account)

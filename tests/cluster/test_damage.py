"""Bits that flip in the ledger's file: a node notices at its next start, before it votes or
answers, or while it runs, and fetches the state from a peer; alone it stops."""
import asyncio
import os
import random
import shutil

from book import Book, check_cluster, posted
from client import payment
from cluster import wait_until
from harness import case

DATA_STATUS = 65
DAMAGED = "the ledger's file is damaged"
MENDED = "the copy is sound"
PAYMENTS = 200
PAGE_BYTES = 4096


def ledger_file(cluster, number):
    return os.path.join(cluster.data_dir(number), "ledger", "data.mdb")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def flip_text(path, text):
    """Flips a bit in each place where the text stands: at least one of them is in use."""
    data = bytearray(read(path))
    place = data.find(text)
    assert place >= 0, f"{text} is not in {path}"
    while place >= 0:
        data[place] ^= 1
        place = data.find(text, place + 1)
    with open(path, "r+b") as file:  # in place: the node may have it mapped
        file.write(data)


def flip_anywhere(path, count):
    data = bytearray(read(path))
    places = [place for place, byte in enumerate(data) if byte != 0]
    for place in random.sample(places, count):
        data[place] ^= 1 << random.randrange(8)
    with open(path, "wb") as file:
        file.write(data)


async def filled(run, **options):
    """A cluster with a book of payments; (cluster, book, account)."""
    cluster = await run.started(**options)
    client = await run.client(cluster, await cluster.leader())
    book = await Book.make(client)
    account = await book.customer(client)
    for _ in range(PAYMENTS):
        await client.call("payment.create", payment(book.bank, account, 1))
    await cluster.wait_equal()
    return cluster, book, account


async def rest(cluster, number):
    """Stops a node, with all that it has in its ledger."""
    status, _ = await cluster.terminate(number, 8)
    assert status == 0, status


async def logged(cluster, number, text, after=0):
    async def there():
        return text in cluster.log_text(number)[after:]
    await wait_until(f"node {number} to say '{text}'", 20, there)


async def answers(run, cluster, number, account, amount):
    """By itself, from its own ledger."""
    client = await run.client(cluster, number)
    assert await posted(client, account, stale=True) == amount


@case(90)
async def a_damaged_row_is_fetched_anew(run):
    cluster, book, account = await filled(run)
    victim = await cluster.follower()
    await rest(cluster, victim)
    flip_text(ledger_file(cluster, victim), account.encode())
    cluster.start(victim)
    await logged(cluster, victim, MENDED)
    log = cluster.log_text(victim)
    assert DAMAGED in log and "table=account" in log, log
    await cluster.wait_leader()
    await check_cluster(cluster)
    await answers(run, cluster, victim, account, PAYMENTS)
    left = set(os.listdir(cluster.data_dir(victim)))
    assert not left & {"needs-state", "ledger.new", "damaged"}, left
    # It is a node like the others again: with it alone and another there is a majority.
    other = next(number for number in cluster.nodes if number != victim)
    cluster.kill(other)
    await cluster.wait_leader()
    client = await run.client(cluster, victim)
    await client.call("payment.create", payment(book.bank, account, 1))


@case(90)
async def a_file_without_its_head_is_fetched_anew(run):
    """LMDB itself does not know the file any more: nothing in it can be read."""
    cluster, _, account = await filled(run)
    victim = await cluster.follower()
    await rest(cluster, victim)
    with open(ledger_file(cluster, victim), "r+b") as file:
        file.write(b"\xa5" * (2 * PAGE_BYTES))
    cluster.start(victim)
    await logged(cluster, victim, MENDED)
    await cluster.wait_leader()
    await check_cluster(cluster)
    await answers(run, cluster, victim, account, PAYMENTS)


@case(120)
async def flips_anywhere_are_noticed_or_harmless(run):
    cluster, _, account = await filled(run)
    for _ in range(run.rounds(3, 20)):
        victim = random.choice(list(cluster.nodes))
        await rest(cluster, victim)
        flip_anywhere(ledger_file(cluster, victim), 64)
        for _ in range(10):
            cluster.start(victim)
            cluster.nodes[victim].expected_end = True  # a crash over damage asks for a restart
            await asyncio.sleep(0.5)
            if cluster.nodes[victim].alive():
                break
        await cluster.wait_leader()
        await check_cluster(cluster)
        await answers(run, cluster, victim, account, PAYMENTS)


@case(90)
async def the_damaged_file_stays_until_there_is_a_copy(run):
    cluster, _, account = await filled(run)
    victim = max(cluster.nodes)
    for number in cluster.nodes:
        await rest(cluster, number)
    path = ledger_file(cluster, victim)
    flip_text(path, account.encode())
    before = read(path)
    cluster.start(victim)
    await logged(cluster, victim, "fetch: copy from node")
    # Neither a restart nor the time makes it take part.
    cluster.kill(victim)
    begin = len(cluster.log_text(victim))
    cluster.start(victim)
    await logged(cluster, victim, "fetch: copy from node", begin)
    assert read(path)[2 * PAGE_BYTES:] == before[2 * PAGE_BYTES:], "the damaged file was changed"
    assert "serves clients at" not in cluster.log_text(victim)[begin:]
    cluster.start(*(number for number in cluster.nodes if number != victim))
    await cluster.wait_leader()
    await check_cluster(cluster)
    await answers(run, cluster, victim, account, PAYMENTS)


@case(60)
async def alone_a_damaged_node_stops(run):
    cluster, _, account = await filled(run, nodes=1)
    await rest(cluster, 1)
    whole = cluster.daemon("check", "--config", cluster.config, "--node", "1")
    assert whole.returncode == 0 and "is whole" in whole.stdout, whole
    flip_text(ledger_file(cluster, 1), account.encode())
    before = read(ledger_file(cluster, 1))
    for _ in range(2):
        done = cluster.daemon("start", "--config", cluster.config, "--node", "1", timeout_s=15)
        assert done.returncode == DATA_STATUS, f"status {done.returncode}: {done.stderr}"
        assert DAMAGED in done.stderr and "no peer" in done.stderr, done.stderr
    told = cluster.daemon("check", "--config", cluster.config, "--node", "1")
    assert told.returncode == DATA_STATUS and "table=account" in told.stderr, told
    assert read(ledger_file(cluster, 1))[2 * PAGE_BYTES:] == before[2 * PAGE_BYTES:]


@case(90)
async def a_log_that_lost_its_tail_is_noticed_all_the_same(run):
    """The damaged ledger is given up, but what it said about the log is not forgotten."""
    cluster, book, account = await filled(run)
    victim = await cluster.follower()
    await rest(cluster, victim)
    raft = os.path.join(cluster.data_dir(victim), "raft")
    shutil.copytree(raft, raft + ".old")
    cluster.start(victim)
    await cluster.wait_leader()
    client = await run.client(cluster, await cluster.leader())
    for _ in range(20):
        await client.call("payment.create", payment(book.bank, account, 1))
    await cluster.wait_equal()
    await rest(cluster, victim)
    shutil.rmtree(raft)
    os.rename(raft + ".old", raft)
    flip_text(ledger_file(cluster, victim), account.encode())
    cluster.start(victim)
    assert await cluster.wait_exit(victim, 20) == DATA_STATUS
    log = cluster.log_text(victim)
    assert DAMAGED in log and MENDED in log and "the log lost its tail" in log, log


@case(90)
async def while_it_runs_what_the_log_must_have_is_not_forgotten(run):
    """One disk damages both: what came since the start must be in the log all the same."""
    cluster, book, account = await filled(run)
    victim = await cluster.follower()
    raft = os.path.join(cluster.data_dir(victim), "raft")
    shutil.copytree(raft, raft + ".old")
    client = await run.client(cluster, await cluster.leader())
    for _ in range(20):
        await client.call("payment.create", payment(book.bank, account, 1))
    await cluster.wait_equal()
    os.rename(raft, raft + ".new")  # the node writes there on; its next start finds the old one
    os.rename(raft + ".old", raft)
    flip_text(ledger_file(cluster, victim), account.encode())
    assert await cluster.wait_exit(victim, 40) == DATA_STATUS
    log = cluster.log_text(victim)
    assert DAMAGED in log and MENDED in log and "the log lost its tail" in log, log

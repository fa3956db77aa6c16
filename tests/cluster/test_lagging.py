"""A follower that was away while the log moved beyond what raft keeps: state transfer."""
import asyncio
import contextlib
import random
import time

from book import Book, Pulse, check_cluster, posted
from client import payment
from cluster import free_ports, wait_until
from harness import case
from proxy import Proxy

# So little log is kept that a few thousand payments leave a follower behind.
SMALL_LOG = "snapshot_mb = 1  snapshot_trailing = 64"
BATCH_ITEMS = 400


class Weight:
    """Makes the log and the state grow: batches of payments with much metadata."""

    def __init__(self, book, account):
        self.book = book
        self.account = account
        self.made = 0

    async def add(self, client, batches):
        for _ in range(batches):
            items = [payment(self.book.bank, self.account, 1,
                             metadata={"pad": "%030x" % random.getrandbits(120) * 100})
                     for _ in range(BATCH_ITEMS)]
            result = await client.call("payment.batch", {"mode": "independent", "items": items}, 60)
            assert all("result" in row for row in result["results"]), result["results"][0]
            self.made += BATCH_ITEMS


async def caught_up(cluster, number, seconds):
    """Waits until the node has applied what the leader has; returns the seconds it took."""
    begin = time.monotonic()

    async def equal():
        leader = await cluster.leader()
        wanted = (await cluster.metrics(leader))["payledger_seq"]
        values = await cluster.metrics(number)
        return values["payledger_seq"] >= wanted
    await wait_until(f"node {number} to catch up", seconds, equal, 0.1)
    took = time.monotonic() - begin
    await cluster.wait_leader()  # it may have the state before it knows who leads
    return took


async def prepared(run, batches, **options):
    """A cluster with one node down and the log moved beyond what is kept for it.

    Returns (cluster, leader, the node that is down, client of the leader, Weight)."""
    cluster = await run.started(raft=SMALL_LOG, **options)
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    book = await Book.make(client)
    weight = Weight(book, await book.customer(client))
    await weight.add(client, 1)
    down = next(number for number in cluster.nodes if number != leader)
    await cluster.wait_equal()
    before = await cluster.metric_sum("payledger_snapshots_taken_total", [leader])
    cluster.kill(down)
    await weight.add(client, batches)

    async def taken():
        return await cluster.metric_sum("payledger_snapshots_taken_total", [leader]) > before + 1
    await wait_until("the leader to take snapshots", 20, taken)
    return cluster, leader, down, client, weight


@case(150)
async def comes_back_while_payments_continue(run):
    cluster, leader, down, client, weight = await prepared(run, run.rounds(15, 100))
    async with Pulse(cluster, leader, weight.book.bank, weight.account, 0.01) as pulse:
        await asyncio.sleep(3)
        begin = time.monotonic()
        cluster.start(down)
        took = await caught_up(cluster, down, 60)
        end = time.monotonic()
        await asyncio.sleep(3)
    installed = (await cluster.metrics(down))["payledger_snapshots_installed_total"]
    assert installed >= 1, "it came back without a copy of the state: the test showed nothing"
    served = await cluster.metric_sum("payledger_copies_served_total")
    assert served >= 1, served
    run.note(f"caught up {took:.1f} s after its start; leader's p99 in ms: "
             f"{pulse.percentile(99, 0, begin):.1f} before, "
             f"{pulse.percentile(99, begin, end):.1f} during, "
             f"{pulse.percentile(99, end):.1f} after")
    pulse.check(3.0)
    made = weight.made + len(pulse.latencies)
    for number in cluster.nodes:
        reader = await run.client(cluster, number)
        assert abs(await posted(reader, weight.account) - made) <= 1, f"node {number}"
    await check_cluster(cluster)
    # What it has now is its own: it can lead with it.
    cluster.kill(leader)
    await cluster.wait_leader()
    reader = await run.client(cluster, down)
    await reader.call("payment.create", payment(weight.book.bank, weight.account, 1))
    cluster.start(leader)
    await cluster.wait_leader()
    await check_cluster(cluster)


@case(120)
async def a_follower_gives_the_state_before_the_leader_does(run):
    """Whichever node it asks first: every payment waits for the leader."""
    cluster, leader, down, _, _ = await prepared(run, 5)
    cluster.start(down)
    await caught_up(cluster, down, 60)
    assert await cluster.leader() == leader
    assert await cluster.metric_sum("payledger_copies_served_total", [leader]) == 0
    assert await cluster.metric_sum("payledger_copies_served_total") == 1
    await check_cluster(cluster)
    # The one that served it kept its log until the copy was checked.
    other = next(number for number in cluster.nodes if number not in (leader, down))

    def said_at(number, text):
        return next((line.split()[0] for line in cluster.log_text(number).splitlines()
                     if text in line), "never")
    assert said_at(down, "the copy is sound") <= \
        said_at(other, f"node {down} has no more need of this copy") < "never"


@case(120)
async def the_leader_gives_the_state_where_nobody_else_can(run):
    """The fetching node's way to the other follower is gone, all other ways are there."""
    cluster, leader, down, _, _ = await prepared(run, 5)
    other = next(number for number in cluster.nodes if number not in (leader, down))
    text = cluster.config_text().replace(f"127.0.0.1:{cluster.nodes[other].peer_port}",
                                         f"127.0.0.1:{free_ports(1)[0]}")
    config = cluster.write_config(text, cluster.config + ".down")
    cluster.start(down, config=config)
    await caught_up(cluster, down, 60)
    assert f"node {leader} leads: the others are asked first" in cluster.log_text(down)
    assert await cluster.metric_sum("payledger_copies_served_total", [leader]) == 1
    await check_cluster(cluster)


@contextlib.asynccontextmanager
async def slow_links(cluster):
    """Proxies in front of all nodes' peer ports."""
    proxies = {}
    try:
        for number, (listen, target) in cluster.proxied.items():
            proxies[number] = Proxy(listen, target)
            await proxies[number].start()
        yield proxies
    finally:
        for proxy in proxies.values():
            await proxy.close()


async def half_way(proxies, size, count):
    """Waits until about so many of the copy's bytes have passed."""
    begin = sum(proxy.forwarded for proxy in proxies.values())

    async def passed():
        return sum(proxy.forwarded for proxy in proxies.values()) - begin >= size
    await wait_until(f"{size} bytes of a copy (round {count})", 30, passed, 0.01)


async def with_proxies(run):
    """A cluster whose peers reach each other through proxies; not yet started."""
    cluster = run.cluster(raft=SMALL_LOG)
    targets = free_ports(len(cluster.nodes))
    cluster.proxied = {}
    for node, target in zip(cluster.nodes.values(), targets):
        cluster.proxied[node.number] = (node.peer_port, target)
        cluster.node_lines[node.number] = f'    peer_listen = "127.0.0.1:{target}"'
    return cluster


@case(240)
async def a_cut_transfer_starts_again(run):
    """kill -9 of the node that fetches, in the middle of it, several times; then it may finish."""
    cluster = await with_proxies(run)
    async with slow_links(cluster) as proxies:
        cluster.format()
        cluster.start()
        leader = await cluster.wait_leader()
        client = await run.client(cluster, leader)
        book = await Book.make(client)
        weight = Weight(book, await book.customer(client))
        down = next(number for number in cluster.nodes if number != leader)
        await weight.add(client, 1)
        cluster.kill(down)
        await weight.add(client, 15)
        others = {number: proxy for number, proxy in proxies.items() if number != down}
        for proxy in others.values():
            proxy.bytes_per_s = 6_000_000
        for count in range(run.rounds(3, 10)):
            cluster.start(down)
            await half_way(others, 3_000_000, count)
            cluster.kill(down)
            await client.call("payment.create", payment(book.bank, weight.account, 1))
            weight.made += 1
        for proxy in others.values():
            proxy.bytes_per_s = None
        cluster.start(down)
        took = await caught_up(cluster, down, 60)
        assert (await cluster.metrics(down))["payledger_snapshots_installed_total"] >= 1
        run.note(f"finished {took:.1f} s after its last start")
        assert await posted(await run.client(cluster, down), weight.account) == weight.made
        await check_cluster(cluster)


@case(240)
async def a_killed_server_of_a_transfer_is_replaced(run):
    """kill -9 of the node that gives the copy, in the middle of it, then of the other one. While it
    is away the third can only advance with the fetcher's vote: it must resolve all the same."""
    cluster = await with_proxies(run)
    async with slow_links(cluster) as proxies:
        cluster.format()
        cluster.start()
        leader = await cluster.wait_leader()
        client = await run.client(cluster, leader)
        book = await Book.make(client)
        weight = Weight(book, await book.customer(client))
        down = next(number for number in cluster.nodes if number != leader)
        await weight.add(client, 1)
        cluster.kill(down)
        await weight.add(client, 15)
        others = {number: proxy for number, proxy in proxies.items() if number != down}
        for proxy in others.values():
            proxy.bytes_per_s = 6_000_000
        cluster.start(down)
        for count in range(run.rounds(2, 6)):
            begin = {number: proxy.forwarded for number, proxy in others.items()}
            await half_way(others, 3_000_000, count)
            # The one whose proxy carried most is the one that serves.
            server = max(others, key=lambda number: others[number].forwarded - begin[number])
            cluster.kill(server)
            await asyncio.sleep(1.0)
            cluster.start(server)
        for proxy in others.values():
            proxy.bytes_per_s = None
        await cluster.wait_leader(40)
        took = await caught_up(cluster, down, 60)
        run.note(f"caught up {took:.1f} s after the last of the servers was back")
        assert (await cluster.metrics(down))["payledger_snapshots_installed_total"] >= 1
        reader = await run.client(cluster, down)
        assert await posted(reader, weight.account) == weight.made
        await check_cluster(cluster)

"""kill -9 of the leader, twenty times in a row, amid pipelined payments through all nodes."""
import time

from book import Book, Stream, check_stream
from cluster import slow
from harness import case

KILLS = 20
RECOVERY_S_MAX = 3.0


@case(400)
async def twenty_in_a_row(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    accounts = [await book.customer(client, overdraft="unlimited") for _ in range(8)]
    await client.close()
    stream = Stream(cluster, book, accounts)
    stream.start()
    times, hits = [], 0
    for _ in range(run.rounds(KILLS, 3 * KILLS)):
        await stream.flowing(150)
        leader = await cluster.wait_leader()
        await stream.flowing(50)
        term, retries = stream.newest_term, stream.retries
        begin = time.monotonic()
        cluster.kill(leader)
        times.append(await stream.term_above(term) - begin)
        hits += stream.retries > retries
        cluster.start(leader)
        await cluster.wait_leader()
        await stream.spread()
    await stream.stop()
    times.sort()
    run.note(f"{len(stream.done)} payments, {stream.retries} retries, {len(times)} kills; paid "
             f"again after {times[0]:.2f} s at least, {times[len(times) // 2]:.2f} s median, "
             f"{times[-1]:.2f} s at most")
    assert hits > len(times) // 2, f"only {hits} kills hit a payment: the test showed nothing"
    await check_stream(cluster, await run.client(cluster, 1), stream)
    assert times[-1] <= slow(RECOVERY_S_MAX), f"payments flowed again only after {times[-1]:.2f} s"


@case(120)
async def a_follower_killed_is_not_noticed(run):
    """No election, no refusal: payments through the others go on."""
    cluster = await run.started()
    leader = await cluster.leader()
    client = await run.client(cluster, leader)
    book = await Book.make(client)
    accounts = [await book.customer(client, overdraft="unlimited") for _ in range(4)]
    await client.close()
    term = (await cluster.status(leader))["term"]
    stream = Stream(cluster, book, accounts)
    stream.start()
    follower = next(number for number in cluster.nodes if number != leader)
    for _ in range(run.rounds(3, 10)):
        await stream.flowing(150)
        cluster.kill(follower)
        await stream.flowing(150)
        cluster.start(follower)
        await cluster.wait_leader()
        await stream.spread()
    await stream.stop()
    assert (await cluster.status(leader))["term"] == term, "there was an election"
    await check_stream(cluster, await run.client(cluster, follower), stream)

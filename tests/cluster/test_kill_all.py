"""kill -9 of all nodes at once in the middle of payments: nothing acknowledged is lost."""
import asyncio
import random
import time

from book import Book, Stream, check_stream
from harness import case


@case(300)
async def all_at_once(run):
    cluster = await run.started()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    accounts = [await book.customer(client, overdraft="unlimited") for _ in range(8)]
    await client.close()
    stream = Stream(cluster, book, accounts)
    stream.start()
    times = []
    for _ in range(run.rounds(5, 20)):
        await stream.flowing(200)
        await asyncio.sleep(random.uniform(0, 0.3))
        term = stream.newest_term
        cluster.kill(*cluster.nodes)
        begin = time.monotonic()
        cluster.start()
        times.append(await stream.term_above(term, 30) - begin)
        await cluster.wait_leader()
        await stream.spread()
    await stream.stop()
    run.note(f"{len(stream.done)} payments, {stream.retries} retries; paid again after "
             f"{max(times):.2f} s at most, {sum(times) / len(times):.2f} s on average")
    await check_stream(cluster, await run.client(cluster, 1), stream)


@case(120)
async def before_anything_was_written(run):
    """A cluster that is killed while it elects its first leader starts all the same."""
    cluster = run.cluster()
    cluster.format()
    for _ in range(run.rounds(5, 20)):
        cluster.start()
        await asyncio.sleep(random.uniform(0, 1.2))
        cluster.kill(*cluster.nodes)
    cluster.start()
    await cluster.wait_leader()
    client = await run.client(cluster, 2)
    await Book.make(client)

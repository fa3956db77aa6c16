"""A TCP proxy between nodes that can be slowed down: how a state transfer is caught half-way.

`peer` in cluster.conf names the proxy, `peer_listen` the node behind it.
"""
import asyncio
import contextlib

CHUNK_BYTES = 16 * 1024


class Proxy:
    """Forwards to one port. bytes_per_s: None for as fast as it goes."""

    def __init__(self, listen_port, target_port):
        self.listen_port = listen_port
        self.target_port = target_port
        self.bytes_per_s = None
        self.forwarded = 0
        self.server = None
        self.tasks = set()

    async def start(self):
        self.server = await asyncio.start_server(self._accept, "127.0.0.1", self.listen_port)

    async def _accept(self, reader, writer):
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1",
                                                                       self.target_port)
        except OSError:
            writer.transport.abort()
            return
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.ensure_future(self._pump(source, sink))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _pump(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(CHUNK_BYTES):
                self.forwarded += len(data)
                if self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def close(self):
        self.server.close()
        await self.server.wait_closed()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

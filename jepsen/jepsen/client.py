"""Clients: one WebSocket connection per process, one operation at a time.

The threads of the pool are bound to nodes. A thread without a connection takes no operations, so
that
the offered load goes to the nodes that take it; a thread whose node hangs is stuck for the time
limit.
"""

import asyncio
import collections
import contextlib
import itertools
import json

import websockets
import websockets.exceptions

from . import history as histories

ERRORS = (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException, EOFError)
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
RECONNECT_S = 0.15
PREFERENCE_WAIT_S = 2.0  # so long an operation waits for a thread on the node that it wants


class Lost(Exception):
    """No answer: code is one of history.CLIENT_ERRORS."""

    def __init__(self, code):
        self.code = code
        super().__init__(code)


class Link:
    """One connection; one request at a time."""

    def __init__(self, socket):
        self.socket = socket
        self.numbers = itertools.count(1)

    @classmethod
    async def open(cls, url, timeout_s=2):
        socket = await asyncio.wait_for(websockets.connect(
            url, subprotocols=["payledger.v1"], compression=None, max_size=MESSAGE_BYTES_MAX,
            ping_interval=None, close_timeout=0.2, open_timeout=timeout_s), timeout_s + 1)
        return cls(socket)

    @property
    def usable(self):
        return self.socket.open

    async def call(self, method, params, timeout_s):
        """The reply object. Raises Lost."""
        number = next(self.numbers)
        text = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        try:
            return await asyncio.wait_for(self._exchange(number, text), timeout_s)
        except asyncio.TimeoutError as error:
            raise Lost("timeout") from error
        except ERRORS as error:
            raise Lost("closed") from error

    async def _exchange(self, number, text):
        await self.socket.send(text)
        while True:
            reply = json.loads(await self.socket.recv())
            if reply.get("id") == number:
                return reply

    async def close(self):
        """At once: whoever is on the other side may be gone or stopped."""
        with contextlib.suppress(*ERRORS):
            transport = self.socket.transport
            if transport is not None:
                transport.abort()
            await asyncio.wait_for(self.socket.wait_closed(), 1)


class Ask:
    """One operation that a workload wants: f and value as in the history. `done` gets its record,
    or
    None where it was never sent."""

    __slots__ = ("f", "value", "node", "session", "done", "queued_at")

    def __init__(self, f, value, node=None, session=None, done=None):
        self.f = f
        self.value = value
        self.node = node
        self.session = session
        self.done = done
        self.queued_at = 0.0

    def finish(self, record):
        if self.done is not None:
            self.done(self, record)


class Pool:
    def __init__(self, history, urls, threads_per_node, timeout_s):
        """urls: {node name: url}"""
        self.history = history
        self.urls = urls
        self.names = list(urls)
        self.timeout_s = timeout_s
        self.concurrency = threads_per_node * len(urls)
        self.threads = histories.Threads(self.concurrency)
        self.phase = "setup"
        self.waiting = collections.deque()  # Asks for any node
        self.waiting_at = {name: collections.deque() for name in urls}
        self.work = asyncio.Condition()
        self.busy = 0
        self.sent = self.shed = 0
        self.tasks = []

    def start(self):
        for thread in range(self.concurrency):
            node = self.names[thread % len(self.names)]
            self.tasks.append(asyncio.ensure_future(self._thread(thread, node)))

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    @property
    def backlog(self):
        return len(self.waiting) + sum(map(len, self.waiting_at.values()))

    async def offer(self, ask):
        ask.queued_at = asyncio.get_running_loop().time()
        (self.waiting if ask.node is None else self.waiting_at[ask.node]).append(ask)
        async with self.work:
            # Only a thread of that node may take it, so all have to look.
            self.work.notify(1 if ask.node is None else self.concurrency)

    def drop_stale(self):
        """Gives up what waited too long for its node."""
        limit = asyncio.get_running_loop().time() - PREFERENCE_WAIT_S
        for queue in self.waiting_at.values():
            while queue and queue[0].queued_at < limit:
                self.shed += 1
                queue.popleft().finish(None)

    def drop_all(self):
        for queue in (self.waiting, *self.waiting_at.values()):
            while queue:
                self.shed += 1
                queue.popleft().finish(None)

    async def idle(self, seconds):
        """Waits until nothing is waiting or in flight; returns whether that came."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self.backlog or self.busy:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.02)
        return True

    async def _take(self, node):
        async with self.work:
            while True:
                for queue in (self.waiting_at[node], self.waiting):
                    if queue:
                        self.busy += 1
                        return queue.popleft()
                await self.work.wait()

    async def _thread(self, thread, node):
        link = None
        try:
            while True:
                if link is None:
                    link = await self._connect(node)
                    continue
                ask = await self._take(node)
                try:
                    if not link.usable:
                        await link.close()
                        link = None
                        (self.waiting if ask.node is None
                         else self.waiting_at[node]).appendleft(ask)
                        async with self.work:
                            self.work.notify(self.concurrency)
                        continue
                    if not await self._execute(thread, node, link, ask):
                        await link.close()
                        link = None
                finally:
                    self.busy -= 1
        finally:
            if link is not None:
                await link.close()

    async def _connect(self, node):
        try:
            return await Link.open(self.urls[node])
        except ERRORS:
            await asyncio.sleep(RECONNECT_S)
            return None

    async def _execute(self, thread, node, link, ask):
        """One operation; returns whether the connection is still good."""
        process = self.threads.process(thread)
        method = histories.KINDS[ask.f][0]
        fields = {"node": node, "phase": self.phase}
        if ask.session is not None:
            fields["session"] = ask.session
        self.history.invoke(process, ask.f, ask.value, **fields)
        self.sent += 1
        good = True
        try:
            reply = await link.call(method, ask.value, self.timeout_s)
            if "result" in reply:
                record = self.history.complete(process, result=reply["result"])
            else:
                record = self.history.complete(process, error=reply["error"]["data"])
        except Lost as lost:
            record = self.history.complete(process, error={"code": lost.code})
            good = False
        if record["type"] == "info":
            self.threads.crashed(thread)
            good = False
        ask.finish(record)
        return good

    async def settle(self, asks, seconds, seen=None):
        """Executes all until each is answered ok; returns the Asks that were not. seen(ask,
        record) is
        called with each answer."""
        left = list(asks)
        open_asks = set()
        failed = []
        event = asyncio.Event()

        def done(ask, record):
            open_asks.discard(ask)
            if record is None or record["type"] != "ok":
                failed.append(ask)
            elif seen is not None:
                seen(ask, record)
            event.set()
        deadline = asyncio.get_running_loop().time() + seconds
        left.reverse()
        limit = 2 * self.concurrency
        while left or open_asks or failed:
            if asyncio.get_running_loop().time() > deadline:
                self.drop_all()
                break
            if failed and not left and not open_asks:
                await asyncio.sleep(0.1)
            if failed and not open_asks:
                left, failed = failed[::-1], []
            while left and len(open_asks) < limit:
                ask = left.pop()
                ask.done = done
                open_asks.add(ask)
                await self.offer(ask)
            event.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(event.wait(), 0.2)
        return left + list(open_asks) + failed

"""Clients of the protocol: a pipelining JSON-RPC client over WebSocket, and a payer that does not
rest before the fate of a payment is certain."""
import asyncio
import contextlib
import itertools
import json
import uuid

import websockets
import websockets.exceptions

from cluster import slow

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
CONNECT_ERRORS = (OSError, asyncio.TimeoutError, websockets.exceptions.WebSocketException)


class RpcError(Exception):
    """An error reply. `code` is the product's own name, `number` JSON-RPC's class."""

    def __init__(self, error):
        self.error = error
        self.number = error["code"]
        self.data = error.get("data") or {}
        self.code = self.data.get("code")
        self.param = self.data.get("param")
        self.retryable = self.data.get("retryable")
        self.recorded = self.data.get("recorded")
        self.text = error["message"]
        super().__init__(f"{self.number} {self.code} param={self.param}: {self.text}")


class Lost(Exception):
    """The connection ended before the reply came: the outcome is not known."""


class Client:
    """One WebSocket connection; any number of requests may wait for their replies."""

    def __init__(self, socket):
        self.socket = socket
        self.waiting = {}
        self.ids = itertools.count(1)
        self.strays = []  # messages that answer no request: errors with id null, reply arrays
        self.reader = asyncio.ensure_future(self._read())

    @classmethod
    async def open(cls, url, ssl=None, subprotocols=("payledger.v1",), timeout_s=5, **options):
        socket = await websockets.connect(
            url, ssl=ssl, subprotocols=list(subprotocols) or None, compression=None,
            max_size=MESSAGE_BYTES_MAX, max_queue=4096, ping_interval=None, close_timeout=2,
            open_timeout=slow(timeout_s), **options)
        return cls(socket)

    async def _read(self):
        try:
            async for text in self.socket:
                reply = json.loads(text)
                future = None
                if isinstance(reply, dict) and reply.get("id") is not None:
                    future = self.waiting.pop(reply["id"], None)
                if future is None:
                    self.strays.append(reply)
                elif not future.done():
                    future.set_result(reply)
        except (websockets.exceptions.WebSocketException, OSError):
            pass
        finally:
            for future in self.waiting.values():
                if not future.done():
                    future.set_exception(Lost("the connection ended"))
            self.waiting.clear()

    @property
    def close_code(self):
        return self.socket.close_code

    async def send(self, method, params=None):
        """Sends a request; returns the future of its whole reply."""
        number = next(self.ids)
        future = asyncio.get_running_loop().create_future()
        self.waiting[number] = future
        # Nobody may be waiting any more when the connection ends.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        try:
            await self.socket.send(json.dumps(body))
        except (websockets.exceptions.WebSocketException, OSError) as error:
            self.waiting.pop(number, None)
            raise Lost(str(error)) from error
        return future

    async def reply(self, method, params=None, timeout_s=10):
        """The whole reply object, be it a result or an error."""
        future = await self.send(method, params)
        return await asyncio.wait_for(future, slow(timeout_s))

    async def call(self, method, params=None, timeout_s=10):
        """The result; an error reply raises RpcError."""
        reply = await self.reply(method, params, timeout_s)
        if "error" in reply:
            raise RpcError(reply["error"])
        return reply["result"]

    async def settled(self, method, params, seconds=30):
        """As call, but what was not executed, or may not have been, goes out again as it is: right
        after a node began to lead, or ended, that says nothing about the request."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + slow(seconds)
        while True:
            try:
                return await self.call(method, params)
            except RpcError as error:
                again = error.code == "unknown" or (error.retryable and error.recorded is False)
                if not again or loop.time() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def refused(self, method, params=None, code=None, **facts):
        """Expects an error reply with this code and these facts (number, param, recorded, ...)."""
        reply = await self.reply(method, params)
        assert "error" in reply, f"{method} was not refused: {reply['result']}"
        error = RpcError(reply["error"])
        assert code is None or error.code == code, f"wanted {code}: {error}"
        for name, wanted in facts.items():
            got = getattr(error, name)
            assert got == wanted, f"{name} is {got!r}, wanted {wanted!r}: {error}"
        return error

    async def text(self, text, timeout_s=5):
        """Sends raw text and returns the next message that answers no pipelined request."""
        before = len(self.strays)
        await self.socket.send(text)
        return await self.stray(before, timeout_s)

    async def stray(self, before, timeout_s=5):
        for _ in range(int(slow(timeout_s) * 100)):
            if len(self.strays) > before:
                return self.strays[before]
            if self.reader.done():
                raise Lost(f"closed with {self.close_code}")
            await asyncio.sleep(0.01)
        raise AssertionError("no answer")

    async def close(self):
        # A peer that was killed or paused must not hold up the test.
        with contextlib.suppress(*CONNECT_ERRORS):
            await asyncio.wait_for(self.socket.close(), slow(3))
        self.reader.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await self.reader


def new_id():
    return str(uuid.uuid4())


def payment(debit, credit, amount, **more):
    """Params of a payment in the short form, with a fresh id unless one is given."""
    return {"id": new_id(), "debit": debit, "credit": credit, "amount": str(amount), **more}


def leg(debit, credit, amount, **more):
    return {"debit": debit, "credit": credit, "amount": str(amount), **more}


def legs_payment(*legs, **more):
    return {"id": new_id(), "legs": list(legs), **more}


def balances(result):
    """{account: posted} of a payment's result."""
    return {row["account"]: int(row["posted"]) for row in result["balances"]}


class Refused(Exception):
    """A payment that is refused for ever; carries the RpcError."""

    def __init__(self, error):
        self.error = error
        super().__init__(str(error))


class Payer:
    """Sends requests until their fate is definite, over whichever node answers.

    A result, or a recorded refusal, is definite. `retryable` without `recorded` was surely not
    executed, `unknown` and a lost connection leave it open: in both cases the same request, with
    the same id, goes out again.
    """

    def __init__(self, cluster, first=None, timeout_s=10):
        self.cluster = cluster
        self.numbers = list(cluster.nodes)
        self.home = self.numbers.index(first) if first else 0
        self.at = self.home
        self.timeout_s = timeout_s
        self.client = None
        self.lock = asyncio.Lock()
        self.lost = 0
        self.unknown = 0
        self.retries = 0

    async def connected(self):
        async with self.lock:
            if self.client is None or self.client.reader.done():
                await self.leave(self.client)
                number = self.numbers[self.at % len(self.numbers)]
                self.client = await Client.open(self.cluster.url(number),
                                                self.cluster.ssl_context(), timeout_s=2)
            return self.client

    async def leave(self, client):
        if client is not None and client is self.client:
            self.client = None
            await client.close()

    def next_node(self):
        self.at += 1

    async def go_home(self):
        """Back to the preferred node; what is on its way is sent again."""
        self.at = self.home
        await self.leave(self.client)

    async def attempt(self, method, params):
        """One try: the reply, or None where the connection failed; then the next node is due."""
        client = None
        try:
            client = await self.connected()
            return await client.reply(method, params, self.timeout_s)
        except (Lost, *CONNECT_ERRORS):
            self.lost += 1
            if client is None or client is self.client:
                self.next_node()
            if client is not None and client is self.client:
                await self.leave(client)
            return None

    async def settle(self, method, params, seconds=60):
        """The result. Raises Refused for a definite refusal."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + slow(seconds)
        pause_s = 0.02
        while loop.time() < deadline:
            reply = await self.attempt(method, params)
            if reply is not None:
                if "result" in reply:
                    return reply["result"]
                error = RpcError(reply["error"])
                if error.code == "unknown":
                    self.unknown += 1
                elif error.recorded is not False or not error.retryable:
                    raise Refused(error)
                elif error.code in ("no_leader", "shutting_down"):
                    self.next_node()
                    await self.leave(self.client)
            self.retries += 1
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.25)
        raise AssertionError(f"no definite answer in {slow(seconds):.0f} s: {method} {params}")

    async def pay(self, params, seconds=60):
        return await self.settle("payment.create", params, seconds)

    async def close(self):
        await self.leave(self.client)

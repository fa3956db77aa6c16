"""A WebSocket client without manners: sends whatever bytes a test wants, and tells what came."""
import asyncio
import base64
import os
import struct

from cluster import slow

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Raw:
    """One connection, plain TCP or TLS. Reads give b"" or None where the other side closed."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, cluster, node=1, port=None, tls=None):
        reader, writer = await asyncio.wait_for(asyncio.open_connection(
            "127.0.0.1", port or cluster.nodes[node].client_port,
            ssl=tls if tls is not None else (cluster.ssl_context() if port is None else None)),
            slow(5))
        return cls(reader, writer)

    @classmethod
    async def upgraded(cls, cluster, node=1):
        """A connection that has done its WebSocket handshake."""
        raw = await cls.connect(cluster, node)
        status, _ = await raw.upgrade()
        assert status == 101, f"the handshake was answered with {status}"
        return raw

    async def upgrade(self, path="/v1", **headers):
        """Sends an upgrade request; a header of None is left out. Returns (status, headers)."""
        fields = {"Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "Upgrade",
                  "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode()}
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        lines = [f"GET {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return await self.head()

    async def send(self, data):
        self.writer.write(data)
        await asyncio.wait_for(self.writer.drain(), slow(20))

    async def head(self, seconds=5):
        """Reads a response's head: (status, {lower-case name: value}); (None, {}) at the end."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), slow(seconds))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None, {}
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(":", 1) for line in lines[1:] if ":" in line)
        return int(lines[0].split()[1]), {k.lower(): v.strip() for k, v in fields.items()}

    def frame(self, opcode, payload=b"", fin=True, mask=True, reserved=0, announced=None):
        """The bytes of a frame; `announced` is the length that its head tells."""
        size = len(payload) if announced is None else announced
        first = (0x80 if fin else 0) | (reserved << 4) | opcode
        flag = 0x80 if mask else 0
        if size < 126:
            head = struct.pack("!BB", first, flag | size)
        elif size < 65536:
            head = struct.pack("!BBH", first, flag | 126, size)
        else:
            head = struct.pack("!BBQ", first, flag | 127, size)
        if not mask:
            return head + payload
        key = os.urandom(4)
        repeated = (key * (len(payload) // 4 + 1))[:len(payload)]
        masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
        return head + key + masked.to_bytes(len(payload), "big")

    async def read_frame(self, seconds=5):
        """(opcode, payload); None where the connection ended."""
        try:
            first, second = await asyncio.wait_for(self.reader.readexactly(2), slow(seconds))
            size = second & 0x7f
            if size == 126:
                size = struct.unpack("!H", await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
            assert not second & 0x80, "a server must not mask"
            payload = await asyncio.wait_for(self.reader.readexactly(size), slow(seconds))
            return first & 0x0f, payload
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close_code(self, seconds=5):
        """Reads on until the connection ends: the code of the close frame, None without one."""
        while True:
            frame = await self.read_frame(seconds)
            if frame is None:
                return None
            if frame[0] == CLOSE:
                return struct.unpack("!H", frame[1][:2])[0] if frame[1] else 1005

    async def ended(self, seconds=5):
        """True once the other side has closed; whatever it still says is dropped."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + slow(seconds)
        try:
            while loop.time() < deadline:
                left = deadline - loop.time()
                if not await asyncio.wait_for(self.reader.read(65536), max(left, 0.01)):
                    return True
        except asyncio.TimeoutError:
            return False
        except (ConnectionError, OSError):
            return True
        return False

    def close(self):
        self.writer.transport.abort()

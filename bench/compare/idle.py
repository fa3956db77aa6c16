"""Idle clients: opens WebSockets to some nodes and answers their pings until it is ended.

    idle.py COUNT PORT...        says "ready" when all are open

They come from several addresses of the loopback network: one has too few ports for many clients, of
which those of the runs before are not free at once.
"""

import os
import selectors
import socket
import sys

OPENING_AT_ONCE = 200
SOURCES = 20
IP_BIND_ADDRESS_NO_PORT = 24  # the port is chosen at connect(), where the destination is known
PING, PONG = 0x89, 0x8A
REQUEST = ("GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def open_one(number, port):
    client = socket.socket()
    client.settimeout(20)
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((f"127.0.0.{2 + number % SOURCES}", 0))
    client.connect(("127.0.0.1", port))
    client.sendall(REQUEST.format(port=port).encode())
    return client


def finish(client):
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = client.recv(1024)
        if not data:
            sys.exit("a node closed a connection: " + answer.decode("latin-1")[:200])
        answer += data
    if b" 101 " not in answer.split(b"\r\n", 1)[0]:
        sys.exit("a node refused: " + answer.decode("latin-1")[:200])
    client.setblocking(False)


def main(count, ports):
    selector = selectors.DefaultSelector()
    opened = 0
    while opened < count:
        numbers = range(opened, min(opened + OPENING_AT_ONCE, count))
        clients = [open_one(number, ports[number % len(ports)]) for number in numbers]
        for client in clients:
            finish(client)
            selector.register(client, selectors.EVENT_READ)
        opened += len(clients)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            data = key.fileobj.recv(4096)
            if not data:
                print("a node closed a connection", flush=True)
                selector.unregister(key.fileobj)
            elif data[0] == PING:
                # Nothing in it; a client's frame is masked.
                key.fileobj.send(bytes([PONG, 0x80]) + os.urandom(4))


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(word) for word in sys.argv[2:]])

"""Other people's clients: python3-websockets, Node's ws, and a page in Chromium."""
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import websockets

from book import Book, posted
from client import CONNECT_ERRORS, payment
from cluster import slow, wait_until
from harness import HERE, Skip, case, require_program

# Runs in the page: opens a socket from the page's own origin and pays.
PAGE_SCRIPT = """
new Promise((resolve, reject) => {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/v1', 'payledger.v1');
    socket.onopen = () => socket.send(JSON.stringify({jsonrpc: '2.0', id: 1,
        method: 'payment.create', params: PARAMS}));
    socket.onmessage = (event) => { socket.close(); resolve(event.data); };
    socket.onerror = () => reject(new Error('the socket failed'));
    setTimeout(() => reject(new Error('no answer')), 10000);
})
"""
FOREIGN_SCRIPT = """
new Promise((resolve) => {
    const socket = new WebSocket('URL', 'payledger.v1');
    socket.onopen = () => resolve('opened');
    socket.onerror = () => resolve('refused');
    setTimeout(() => resolve('no answer'), 10000);
})
"""


@case()
async def python_websockets(run):
    """As plain as the library's own documentation has it, over ws and wss."""
    for cluster in (await run.common(), await run.common(tls=True)):
        url = cluster.url(2)
        async with websockets.connect(url, ssl=cluster.ssl_context()) as socket:
            await socket.send(json.dumps({"jsonrpc": "2.0", "id": "a", "method": "ledger.info"}))
            reply = json.loads(await asyncio.wait_for(socket.recv(), slow(10)))
            assert reply["id"] == "a" and "result" in reply, reply
            await (await socket.ping())
        assert socket.close_code == 1000, socket.close_code


@case(60)
async def node_ws(run):
    node = require_program("node", "nodejs")
    modules = "/usr/share/nodejs"
    if not os.path.isdir(os.path.join(modules, "ws")):
        raise Skip("Node's ws is not installed (Debian package node-ws)")
    for cluster in (await run.common(), await run.common(tls=True)):
        ca = os.path.join(cluster.pki, "ca.pem") if cluster.tls else ""
        done = await asyncio.to_thread(
            subprocess.run, [node, os.path.join(HERE, "interop_ws.js"), cluster.url(3), ca],
            capture_output=True, text=True, timeout=slow(30), check=False,
            env={**os.environ, "NODE_PATH": modules})
        assert done.returncode == 0 and done.stdout.strip() == "ok", done.stdout + done.stderr


class Browser:
    """Headless Chromium, spoken to by its debugging protocol."""

    def __init__(self, program):
        self.program = program
        self.dir = tempfile.mkdtemp(prefix="payledger-browser-", dir="/tmp")
        self.process = None
        self.socket = None
        self.next = 0

    async def open(self):
        self.process = subprocess.Popen(
            [self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={self.dir}",
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True)

        async def listening():
            with open(os.path.join(self.dir, "DevToolsActivePort"), encoding="ascii") as file:
                lines = file.read().split()
            return lines if len(lines) == 2 else None
        port, path = await wait_until("Chromium to start", 30, listening)
        self.socket = await websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None,
                                               compression=None)

    async def command(self, method, params=None, session=None):
        self.next += 1
        body = {"id": self.next, "method": method, "params": params or {}}
        if session:
            body["sessionId"] = session
        await self.socket.send(json.dumps(body))
        while True:
            reply = json.loads(await asyncio.wait_for(self.socket.recv(), slow(20)))
            if reply.get("id") == self.next:
                assert "error" not in reply, reply
                return reply["result"]

    async def page(self, url):
        """Opens a page; returns its session once it has loaded."""
        target = await self.command("Target.createTarget", {"url": url})
        attached = await self.command("Target.attachToTarget",
                                      {"targetId": target["targetId"], "flatten": True})
        session = attached["sessionId"]

        async def loaded():
            return await self.evaluate(session, "document.readyState") == "complete" and \
                await self.evaluate(session, "location.href") != "about:blank"
        await wait_until(f"{url} to load", 20, loaded)
        return session

    async def evaluate(self, session, script):
        result = await self.command("Runtime.evaluate", {
            "expression": script, "awaitPromise": True, "returnByValue": True}, session)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def close(self):
        if self.socket is not None:
            # By itself it takes its many processes with it; the kill below is for one that hangs.
            with contextlib.suppress(*CONNECT_ERRORS):
                await self.command("Browser.close")
            await self.socket.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, 9)
            self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


@case(120)
async def chromium_page(run):
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise Skip("chromium is not installed (Debian package chromium)")
    cluster = await run.common()
    client = await run.client(cluster, 1)
    book = await Book.make(client)
    alice = await book.customer(client)
    own = f"http://127.0.0.1:{cluster.nodes[1].client_port}/"
    browser = Browser(program)
    try:
        await browser.open()
        session = await browser.page(own)
        title = await browser.evaluate(session, "document.title")
        assert "payledger" in title.lower(), title
        params = json.dumps(payment(book.bank, alice, 1999))
        reply = json.loads(await browser.evaluate(session, PAGE_SCRIPT.replace("PARAMS", params)))
        assert reply["result"]["status"] == "posted", reply
        assert await posted(client, alice) == 1999
        # The same page may not talk to another node's port: that is a foreign origin there.
        outcome = await browser.evaluate(session, FOREIGN_SCRIPT.replace("URL", cluster.url(2)))
        assert outcome == "refused", outcome
    finally:
        await browser.close()

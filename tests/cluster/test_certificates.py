"""Peers prove who they are with certificates: none, another CA's, another node's is refused."""
import asyncio
import os
import shutil
import ssl
import stat
import subprocess

from book import Book, check_cluster
from client import payment
from cluster import wait_until
from harness import case
from raw import Raw

CONFIG_STATUS = 78


def context(ca=None, cert=None, key=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if ca:
        made.load_verify_locations(ca)
    if cert:
        made.load_cert_chain(cert, key)
    return made


async def refused(cluster, tls, seconds=5):
    """True where the peer port ends the connection without a word."""
    try:
        raw = await Raw.connect(cluster, port=cluster.nodes[1].peer_port, tls=tls)
    except (ssl.SSLError, ConnectionError):
        return True
    try:
        # TLS 1.3: the client's handshake ends before the server has judged its certificate.
        data = await asyncio.wait_for(raw.reader.read(1), seconds)
        return data == b""
    except (ssl.SSLError, ConnectionError):
        return True
    except asyncio.TimeoutError:
        return False
    finally:
        raw.close()


def foreign_pki(cluster):
    path = os.path.join(cluster.dir, "foreign")
    cluster.tool("pki", "init", "--dir", path, "--nodes", str(len(cluster.nodes)))
    return path


@case()
async def pki_init_makes_what_it_promises(run):
    cluster = run.cluster()
    cluster.tool("pki", "init", "--dir", cluster.pki, "--nodes", "3", "--host", "2=pay.example",
                 "--host", "2=10.1.2.3")
    for name in ("ca.key", "node1.key", "node2.key", "node3.key"):
        mode = stat.S_IMODE(os.stat(os.path.join(cluster.pki, name)).st_mode)
        assert mode == 0o600, f"{name}: mode {mode:o}"
    for number in (1, 2, 3):
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in",
                               os.path.join(cluster.pki, f"node{number}.pem")], check=True,
                              capture_output=True, text=True).stdout
        for wanted in (f"URI:urn:payledger:node:{number}", "DNS:localhost", "IP Address:127.0.0.1",
                       "IP Address:0:0:0:0:0:0:0:1", "prime256v1"):
            assert wanted in text, f"{wanted} is not in the certificate of node {number}: {text}"
        for wanted in ("DNS:pay.example", "IP Address:10.1.2.3"):
            assert (wanted in text) == (number == 2), text
        subprocess.run(["openssl", "verify", "-CAfile", os.path.join(cluster.pki, "ca.pem"),
                        os.path.join(cluster.pki, f"node{number}.pem")], check=True,
                       capture_output=True)
    with open(os.path.join(cluster.pki, "ca.key"), "rb") as file:
        before = file.read()
    again = cluster.tool("pki", "init", "--dir", cluster.pki, "--nodes", "3", check=False)
    assert again.returncode != 0 and "ca." in again.stderr, again
    with open(os.path.join(cluster.pki, "ca.key"), "rb") as file:
        assert file.read() == before, "it was overwritten"


@case(60)
async def strangers_are_refused(run):
    cluster = await run.common()
    before = (await cluster.metrics(1))["payledger_peer_refused_total"]
    assert await refused(cluster, context()), "no certificate"
    foreign = foreign_pki(cluster)
    assert await refused(cluster, context(cert=os.path.join(foreign, "node2.pem"),
                                          key=os.path.join(foreign, "node2.key"))), "another CA's"
    old = context(cert=os.path.join(cluster.pki, "node2.pem"),
                  key=os.path.join(cluster.pki, "node2.key"))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await refused(cluster, old), "TLS 1.2"
    plain = await Raw.connect(cluster, port=cluster.nodes[1].peer_port)
    await plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await plain.ended(15), "no TLS at all"
    plain.close()

    async def counted():
        return (await cluster.metrics(1))["payledger_peer_refused_total"] >= before + 3
    await wait_until("refused peers to be counted", 10, counted)
    await check_cluster(cluster)


@case(60)
async def a_good_certificate_is_not_enough(run):
    """Node 2's own certificate, but no handshake of ours after it."""
    cluster = await run.common()
    tls = context(cert=os.path.join(cluster.pki, "node2.pem"),
                  key=os.path.join(cluster.pki, "node2.key"))
    for data in (b"\0" * 64, b"\xff" * 100_000, b"GET / HTTP/1.1\r\n\r\n"):
        raw = await Raw.connect(cluster, port=cluster.nodes[1].peer_port, tls=tls)
        try:
            await raw.send(data)
            ended = await raw.ended(15)
        except ConnectionError:
            ended = True
        assert ended, f"after {data[:8]!r} the connection stayed open"
        raw.close()
    client = await run.client(cluster, 1)
    await Book.make(client)
    await check_cluster(cluster)


async def stays_out(cluster, victim, config, client, book, account):
    """Starts the node with a wrong certificate: it must end with 78, or never be heard."""
    cluster.start(victim, config=config)
    cluster.nodes[victim].expected_end = True
    for _ in range(15):
        await client.call("payment.create", payment(book.bank, account, 1))
        await asyncio.sleep(0.1)
    node = cluster.nodes[victim]
    if not node.alive():
        assert node.process.returncode == CONFIG_STATUS, cluster.tails()
        return "refused to start"
    leader = await cluster.leader()
    rows = {row["id"]: row for row in (await cluster.status(leader))["nodes"]}
    assert not rows[victim]["reachable"], f"it takes part: {rows[victim]}"
    assert (await asyncio.to_thread(cluster.http, victim, "GET", "/readyz"))[0] == 503
    cluster.kill(victim)
    return "refused by its peers"


@case(120)
async def a_node_with_a_wrong_certificate_stays_out(run):
    cluster = await run.started()
    leader = await cluster.leader()
    victim = next(number for number in cluster.nodes if number != leader)
    other = next(number for number in cluster.nodes if number not in (leader, victim))
    client = await run.client(cluster, leader)
    book = await Book.make(client)
    account = await book.customer(client)
    cluster.kill(victim)
    foreign_pki(cluster)
    good = cluster.config_text()
    for name, change in (
            ("another node's", lambda text: text.replace("pki/node{id}.", f"pki/node{other}.")),
            ("another CA's", lambda text: text.replace("pki/node{id}.", "foreign/node{id}.")),
            ("another CA and its", lambda text: text.replace("pki/", "foreign/"))):
        config = cluster.write_config(change(good), os.path.join(cluster.dir, "wrong.conf"))
        run.note(f"{name} certificate: " +
                 await stays_out(cluster, victim, config, client, book, account))
    cluster.start(victim)
    await cluster.wait_leader()
    await check_cluster(cluster)


@case(60)
async def clients_speak_tls_where_told(run):
    cluster = await run.started(tls=True)
    client = await run.client(cluster, 2)
    book = await Book.make(client)
    await book.customer(client, 5)
    assert cluster.http(1, "GET", "/livez")[0] == 200
    # Plain HTTP on such a port gets nothing but an end.
    raw = await Raw.connect(cluster, port=cluster.nodes[1].client_port)
    await raw.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
    status, _ = await raw.head()
    raw.close()
    assert status in (None, 400), status
    # The certificate names the host: a client that checks is content with no other.
    strict = ssl.create_default_context(cafile=os.path.join(foreign_pki(cluster), "ca.pem"))
    try:
        raw = await Raw.connect(cluster, port=cluster.nodes[1].client_port, tls=strict)
        raw.close()
        raise AssertionError("a certificate of another CA was accepted")
    except ssl.SSLError:
        pass
    shutil.rmtree(os.path.join(cluster.dir, "foreign"))

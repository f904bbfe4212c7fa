"""How many polls and reports the gateway answers per CPU second of the Master's process.

Real TLS with client certificates over loopback, kept connections, the whole server measured (TLS, HTTP, SQL,
commits). The yardstick of the same run is plain OpenSSL-bound work: the server answering an unknown path.

    .venv/bin/python bench/gateway.py
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/gateway.py'
"""

import hashlib
import json
import multiprocessing
import re
import socket
import ssl
import sys
import tempfile
import time
from pathlib import Path

from clouds import Master, cpu_seconds, kinds, master

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from support.protocol_node import Pocket

CONNECTIONS = 24
SECONDS = 6.0


def main() -> None:
    for kind in kinds():
        with master(kind) as served:
            nodes = enrol(served, CONNECTIONS)
            for name, work in (
                ("unknown path (yardstick)", unknown),
                ("poll, nothing new", poll),
                ("poll, held for 10 ms", held),
                ("report, one change", report),
            ):
                count, cpu, wall = measure(served, nodes, work)
                print(f"{kind:<11} {name:<26} {count / cpu:8.0f} per CPU s   {count / wall:7.0f} per s", flush=True)


def enrol(served: Master, count: int) -> list[tuple[str, str, int]]:
    """Return certificate files, node ids and feed revisions of fresh nodes, each with one instance."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    client = served.client()
    client.add_site("bench")
    from freehold.protocol import archive

    release = client.publish(archive.pack(Path(__file__).parent.parent / "software" / "hello"))
    pockets = []
    for number in range(count):
        pocket = Pocket(Path(tempfile.mkdtemp(prefix="pocket-")), "127.0.0.1", served.port, served.authority)
        pocket.enrol(client.enrol_token("bench"), f"node-{number}")
        pocket.offer(2)
        pockets.append(pocket)
    while any(node.partitions < 2 for node in client.nodes()):
        time.sleep(0.1)
    client.supply(release.product)
    found = []
    for number, pocket in enumerate(pockets):
        client.request(f"i{number}", product="hello", constraints={"node": f"node-{number}"})
        feed = pocket.feed()[1]
        found.append(
            (
                str(pocket.folder / "pocket.pem"),
                feed["instances"][0]["instance"],
                feed["revision"],
                pocket.sequence,
                pocket.hash,
            )
        )
        pocket.close()
    return found


def measure(served: Master, nodes: list[tuple], work) -> tuple[int, float, float]:
    """Run `work` on every node for some seconds, from another process; return count, server CPU, wall seconds."""
    queue: multiprocessing.Queue = multiprocessing.Queue()
    before = cpu_seconds(served.pid)
    began = time.monotonic()
    child = multiprocessing.Process(
        target=drive, args=(served.port, str(served.authority), nodes, work.__name__, queue)
    )
    child.start()
    count, states = queue.get()
    child.join()
    nodes[:] = states
    return count, cpu_seconds(served.pid) - before, time.monotonic() - began


def drive(port: int, authority: str, nodes: list[tuple], work: str, queue) -> None:
    """Keep every connection busy with one request at a time."""
    import selectors

    selector = selectors.DefaultSelector()
    sockets = []
    states = [list(node) for node in nodes]
    for number, state in enumerate(states):
        context = ssl.create_default_context(cafile=authority)
        context.load_cert_chain(state[0])
        sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
        sockets.append(sock)
        selector.register(sock, selectors.EVENT_READ, number)
    make = {"unknown": unknown, "poll": poll, "held": held, "report": report}[work]
    for number, sock in enumerate(sockets):
        sock.sendall(make(states[number]))
    count, end = 0, time.monotonic() + SECONDS
    expected = {"unknown": b"400", "poll": b"204", "held": b"204", "report": b"200"}[work]
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            assert read(key.fileobj)[9:12] == expected
            count += 1
            key.fileobj.sendall(make(states[key.data]))
    for sock in sockets:
        read(sock)
    queue.put((count + len(sockets), states))


def read(sock: ssl.SSLSocket) -> bytes:
    """Return one whole answer."""
    answer = sock.recv(65536)
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head)
    while len(body) < (int(found[1]) if found else 0):
        body += sock.recv(65536)
    return answer


def unknown(state: list) -> bytes:
    return b"POST /node/v1/feed HTTP/1.1\r\nHost: m\r\nContent-Length: 0\r\n\r\n"


def poll(state: list) -> bytes:
    return f"GET /node/v1/feed?since={state[2]}&wait=0 HTTP/1.1\r\nHost: m\r\n\r\n".encode()


def held(state: list) -> bytes:
    """A poll that waits, though not as long as a node's."""
    return f"GET /node/v1/feed?since={state[2]}&wait=0.01 HTTP/1.1\r\nHost: m\r\n\r\n".encode()


def report(state: list) -> bytes:
    """A report with one item: the state of an instance."""
    item = {"kind": "instance", "instance": state[1], "revision": state[2], "state": "started"}
    body = json.dumps({"at": time.time(), "items": [item]}, separators=(",", ":")).encode()
    state[3] += 1
    state[4] = hashlib.sha256(bytes.fromhex(state[4]) + body).hexdigest()
    batch = b'{"epoch":1,"version":1,"reports":[{"sequence":%d,"hash":"%s","body":%s}]}' % (
        state[3],
        state[4].encode(),
        body,
    )
    return b"POST /node/v1/reports HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n%s" % (len(batch), batch)


if __name__ == "__main__":
    main()

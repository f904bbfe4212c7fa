"""How many small pages a second come from a partition's own network, beside the same server on the machine's loopback.

The server is the same program, once in the network of a partition (reached by its address, through the routed link) and
once on 127.0.0.1; a client with one kept connection asks each in turn. The ratio is the median of alternating pairs.
Run as root:

    .venv/bin/python bench/veth.py [PAIRS] [SECONDS]

Target: at least 90 % of loopback.
"""

import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from clouds import master, node

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
PORT = 18080
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\n" + b"x" * 512
SERVER = f"""
import socket
door = socket.create_server(("0.0.0.0", {PORT}))
page = {PAGE!r}
while True:
    caller, _ = door.accept()
    while caller.recv(4096):
        caller.sendall(page)
"""


def main() -> None:
    with master() as served, node(served, partitions=1) as machine:
        client = served.client()
        machine.order(client, "page")
        url = client.show("page").publication["url"]
        address = str(urlsplit(url).hostname)
        inside = _init_pids(machine.root)[0]
        command = [sys.executable, "-I", "-S", "-c", SERVER]
        servers = [
            subprocess.Popen(["nsenter", "-t", str(inside), "-n", *command]),
            subprocess.Popen(command),
        ]
        try:
            time.sleep(0.5)
            pairs = [(_pages(address), _pages("127.0.0.1")) for _ in range(PAIRS)]
        finally:
            for server in servers:
                server.kill()
                server.wait()
    ratios = [through / beside for through, beside in pairs]
    print(
        json.dumps(
            {
                "pages_per_s_through_the_link": round(statistics.median(one for one, _ in pairs)),
                "pages_per_s_on_loopback": round(statistics.median(one for _, one in pairs)),
                "ratio_median": round(statistics.median(ratios), 3),
                "ratio_least_most": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    )


def _init_pids(root: Path) -> list[int]:
    """Return processes that are in the network of a partition of a node: what runs below its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(root / "partitions") in (process / "environ").read_text(errors="replace"):
                found.append(int(process.name))
        except OSError:
            continue
    ours = Path("/proc/self/ns/net").readlink()
    return [pid for pid in found if Path(f"/proc/{pid}/ns/net").readlink() != ours]


def _pages(address: str) -> float:
    """Return how many pages a second a server gives to one kept connection."""
    with socket.create_connection((address, PORT)) as caller:
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, end = 0, time.perf_counter() + SECONDS
        began = time.perf_counter()
        while time.perf_counter() < end:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            missing = len(PAGE)
            while missing:
                missing -= len(caller.recv(missing))
            count += 1
        return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

"""How many small pages a second come from a partition's own network, beside the same server on the machine's loopback.

The server is hello, once in its partition (reached by its address, through the routed link) and once on 127.0.0.1; a
client asks each in turn, with a connection for each page. The ratio is the median of alternating pairs. Run as root:

    .venv/bin/python bench/veth.py [PAIRS] [SECONDS]

Target: at least 90 % of loopback.
"""

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

from clouds import REPOSITORY, master, node

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
PORT = 18080


def main() -> None:
    with master() as served, node(served, partitions=1) as machine:
        client = served.client()
        machine.order(client, "page")
        url = urlsplit(client.show("page").publication["url"])
        settings = {"address": "127.0.0.1", "port": PORT, "title": "page", "parameters": {"greeting": "hello"}}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(settings, file)
            file.flush()
            server = subprocess.Popen([sys.executable, REPOSITORY / "software" / "hello" / "hello.py", file.name])
            try:
                time.sleep(1.0)
                pairs = [(_pages(str(url.hostname), 8080), _pages("127.0.0.1", PORT)) for _ in range(PAIRS)]
            finally:
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


def _pages(address: str, port: int) -> float:
    """Return how many pages a second a server gives, each over a connection of its own."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() < began + SECONDS:
        with socket.create_connection((address, port)) as caller:
            caller.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while caller.recv(65536):
                pass
        count += 1
    return count / (time.perf_counter() - began)


if __name__ == "__main__":
    main()

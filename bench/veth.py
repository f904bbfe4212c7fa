"""How many small pages a second come through a partition's link, beside the same server asked within its partition.

The server is hello in its partition. One client asks it from the machine, by its address, through the routed link;
another one from within the partition's network, by the same address, which is loopback there. So the link is the only
difference.
Each asks in turn, with a connection for each page; the ratio is the median of alternating pairs. Run as root:

    .venv/bin/python bench/veth.py [PAIRS] [SECONDS]

Target: at least 90 % of loopback.
"""

import json
import statistics
import subprocess
import sys
from urllib.parse import urlsplit

from clouds import Node, master, node

from freehold.node.isolation.sandbox import init_of

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
CLIENT = """
import socket, sys, time
address, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
count, began = 0, time.perf_counter()
while time.perf_counter() < began + seconds:
    with socket.create_connection((address, port)) as caller:
        caller.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        while caller.recv(65536):
            pass
    count += 1
print(count / (time.perf_counter() - began))
"""


def main() -> None:
    with master() as served, node(served, partitions=1) as machine:
        client = served.client()
        machine.order(client, "page")
        url = urlsplit(client.show("page").publication["url"])
        within = ["nsenter", f"--net=/proc/{_init(machine)}/ns/net"]
        pairs = [(_pages([], str(url.hostname)), _pages(within, str(url.hostname))) for _ in range(PAIRS)]
    ratios = [through / beside for through, beside in pairs]
    print(
        json.dumps(
            {
                "pages_per_s_through_the_link": round(statistics.median(through for through, _ in pairs)),
                "pages_per_s_on_loopback": round(statistics.median(beside for _, beside in pairs)),
                "ratio_median": round(statistics.median(ratios), 3),
                "ratio_least_most": [round(min(ratios), 3), round(max(ratios), 3)],
            }
        )
    )


def _init(machine: Node) -> int:
    """Return the init that holds the network of the only partition."""
    from freehold.node.isolation import cgroups
    from freehold.node.settings import load

    settings = load(machine.root)
    return init_of(cgroups.create(f"{settings.tag}/{settings.slots[0].name}", settings.limits).init)


def _pages(within: list[str], address: str) -> float:
    """Return how many pages a second a client gets, each over a connection of its own."""
    command = [*within, sys.executable, "-c", CLIENT, address, "8080", str(SECONDS)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()

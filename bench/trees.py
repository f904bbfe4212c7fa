"""A tree from the request to its promises kept, and a host with a thousand shared instances.

    .venv/bin/python bench/trees.py [GUESTS]

Releases are built before. The yardstick of the trees is one hello alone in the same run; that of the shared instances
is the first of them. Needs root, or partitions of the caller: PostgreSQL refuses to run as root.
"""

import os
import statistics
import sys
import time

from clouds import REPOSITORY, Master, Node, master, node

from freehold.client import Client
from freehold.protocol import archive

ROUNDS = 5


def main() -> None:
    guests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with master() as served, node(served, partitions=4 * (ROUNDS + 1) + ROUNDS + 3) as machine:
        client = served.client()
        machine.order(client, "warm")
        for product in ("postgresql", "website"):
            release = client.publish(archive.pack(REPOSITORY / "software" / product))
            client.supply(release.product, release=release.version)
        order(client, "warm-site", "website", 400)
        pages = [order(client, f"page-{number}", "hello", 60) for number in range(ROUNDS)]
        sites = [order(client, f"site-{number}", "website", 60) for number in range(ROUNDS)]
        one, tree = statistics.median(pages), statistics.median(sites)
        print(f"one hello ready: median {one:.2f} s; tree of website: median {tree:.2f} s, slowest {max(sites):.2f} s")
        print(f"ratio {tree / one:.1f}")
        share(client, served, machine, guests)


def order(client: Client, title: str, product: str, seconds: float) -> float:
    """Return the seconds from a request to its promises kept."""
    began = time.monotonic()
    client.request(title, product=product)
    client.wait(title, seconds=seconds)
    return time.monotonic() - began


def share(client: Client, served: Master, machine: Node, guests: int) -> None:
    """Order databases on one server; print what the first and the last ones took until they were published."""
    client.request("server", product="postgresql", parameters={"max_connections": 20})
    client.wait("server", seconds=60)

    def ready(number: int) -> float:
        began = time.monotonic()
        title = f"db-{number}"
        client.request(title, product="postgresql", type="database", constraints={"instance": "server"})
        while not client.show(title).publication:
            time.sleep(0.02)
        return time.monotonic() - began

    first = statistics.median(ready(number) for number in range(10))
    began = time.monotonic()
    for number in range(10, guests - 10):
        client.request(f"db-{number}", product="postgresql", type="database", constraints={"instance": "server"})
    asked = time.monotonic() - began
    while not client.show(f"db-{guests - 11}").publication:
        time.sleep(0.05)
    last = statistics.median(ready(number) for number in range(guests - 10, guests))
    print(
        f"shared: {(guests - 20) / asked:.0f} orders a second; "
        f"published after {first:.2f} s among 10, {last:.2f} s among {guests}"
    )
    print(f"ratio {last / first:.1f}")


if __name__ == "__main__":
    if os.environ.get("DATABASE_URL"):
        sys.exit("This one measures on SQLite.")
    main()

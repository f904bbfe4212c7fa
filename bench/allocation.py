"""Durable requests per second over HTTP with 1,000, 10,000 and 100,000 partitions in the fleet.

Each request is a whole order: token, JSON schema, choice of a node among all, one durable transaction, audit
row, answer. Single orders, 8 at a time, over TLS. Measured before on such a machine, by others' own means:
OpenStack Placement 0.6-11 a second, Nomad 279 at 1,000 nodes and 67 at 10,000, Kubernetes binds 126-142,
Waldur 12.6 orders. The yardstick of the same run is the rate of trivial requests to the same server.

    .venv/bin/python bench/allocation.py
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/allocation.py'
"""

import http.client
import multiprocessing
import os
import subprocess
import sys
import threading
import time

from clouds import REPOSITORY, Master, cpu_seconds, kinds, master

from freehold.protocol import archive

SIZES = (1_000, 10_000, 100_000)
PARTITIONS_A_NODE = 10
CLIENTS = 8
SECONDS = 8.0

FILL = """
import sys, django
django.setup()
from django.db import connection
from freehold.master.catalog.models import Release
from freehold.master.fleet.models import Node, Partition, Site, Supply
from freehold.master.fleet.revisions import next_revision
from freehold.master.foundation.transactions import writing
size, each = int(sys.argv[1]), int(sys.argv[2])
release, site = Release.objects.get(), Site.objects.get()
with writing():
    revision, have = next_revision(), Node.objects.count()
    for first in range(have, size // each, 1000):
        numbers = range(first, min(first + 1000, size // each))
        nodes = [Node(id=f"node-{n:07}", project_id=site.project_id, site=site, title=f"n{n}", revision=revision,
                      free=each, created_at=0) for n in numbers]
        Node.objects.bulk_create(nodes)
        Partition.objects.bulk_create(Partition(id=f"{one.id}:p{p}", node=one, name=f"p{p}", number=p, address="::1")
                                      for one in nodes for p in range(each))
        Supply.objects.bulk_create(Supply(id=f"sup-{one.id}", release=release, node=one, revision=revision,
                                          free=each, site=site) for one in nodes)
# So many rows at once are the measurement's doing: what PostgreSQL does about them later is not an order's.
if connection.vendor == "postgresql":
    connection.cursor().execute("VACUUM ANALYZE")
"""


def main() -> None:
    for kind in kinds():
        with master(kind) as served:
            client = served.client()
            client.add_site("bench")
            client.publish(archive.pack(REPOSITORY / "software" / "hello"))
            first = 0.0
            trivial, wall = drive(served, client.credentials.token, "", 10**9)
            print(f"{kind:<11} yardstick: {trivial / wall:6.0f} trivial requests/s (GET /authority.pem)", flush=True)
            for size in SIZES:
                fill(served, size)
                before = cpu_seconds(served.pid)
                count, took = drive(served, client.credentials.token, f"s{size}", size * 8 // 10)
                rate = count / took
                first = first or rate
                used = cpu_seconds(served.pid) - before
                print(
                    f"{kind:<11} {size:>7} partitions  {rate:6.0f} requests/s  {count / used:6.0f} per CPU s of the "
                    f"Master  {rate / first:5.2f} of the smallest fleet  {rate / (trivial / wall):5.2f} of trivial",
                    flush=True,
                )


def fill(served: Master, size: int) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": served.database_url,
        "FREEHOLD_MASTER_ROOT": str(served.root),
        "DJANGO_SETTINGS_MODULE": "freehold.master.settings",
    }
    subprocess.run([sys.executable, "-c", FILL, str(size), str(PARTITIONS_A_NODE)], env=environment, check=True)


def drive(served: Master, token: str, prefix: str, most: int) -> tuple[int, float]:
    """Order from another process; return how many were granted and the seconds it took."""
    queue: multiprocessing.Queue[tuple[int, float]] = multiprocessing.Queue()
    child = multiprocessing.Process(target=order, args=(served, token, prefix, most, queue))
    child.start()
    found = queue.get(timeout=120)
    child.join()
    return found


def order(
    served: Master, token: str, prefix: str, most: int, queue: "multiprocessing.Queue[tuple[int, float]]"
) -> None:
    import ssl

    counts = [0] * CLIENTS
    began = time.monotonic()

    def work(worker: int) -> None:
        context = ssl.create_default_context(cafile=str(served.authority))
        connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        while time.monotonic() - began < SECONDS and sum(counts) < most:
            title = f"{prefix}-{worker}-{counts[worker]}"
            body = b'{"product": "hello", "parameters": {"greeting": "hi"}}'
            if prefix:
                connection.request("PUT", f"/api/v1/projects/provider/instances/{title}", body, headers)
            else:
                connection.request("GET", "/authority.pem")
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content
            counts[worker] += 1

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put((sum(counts), time.monotonic() - began))


if __name__ == "__main__":
    main()

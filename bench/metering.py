"""How many samples of use the Master takes in per CPU second, a tenth of them twice, on each database.

The real writer with real batches of the protocol, as the gateway hands them to it: chains are checked, counters
compared, hours added up, everything committed. Not measured: TLS and HTTP (`bench/gateway.py`). The yardstick is
decoding the same batches in the same run, and nothing else.

    .venv/bin/python bench/metering.py
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/metering.py'
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue

import msgspec
from clouds import database, kinds

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

NODES, INSTANCES, ROUNDS = 100, 20, 30
TARGET = 40_000


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if not kind:
        # Django takes its database once in a process.
        for one in kinds():
            os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, one])
        return
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as folder, database(kind, folder) as url:
        mouths = prepare(Path(folder), url)
        measure(kind, url, mouths)


def prepare(root: Path, url: str, nodes: int = NODES, instances: int = INSTANCES):
    """Return nodes that talk, each with the instances that live on it: all of it a year old."""
    os.environ["DATABASE_URL"] = url
    from freehold.kit.master import OWNER, PASSWORD
    from freehold.master.commands import initialise

    initialise(root, ["localhost"], "provider", OWNER, PASSWORD)
    from freehold.master.catalog.models import Product, Release
    from freehold.master.fleet.models import Node, Site
    from freehold.master.ordering.models import Instance
    from freehold.master.people.models import Project

    project = Project.objects.get()
    site = Site.objects.create(project=project, name="bench", region="", created_at=1)
    product = Product.objects.create(id="prod-1", name="hello", project=project, created_at=1)
    release = Release.objects.create(id="0" * 64, product=product, version="1", description="", size=1, published_at=1)
    mouths = []
    for first in range(0, nodes, 1000):
        made, rows = [], []
        for number in range(first, min(first + 1000, nodes)):
            node = Node(
                id=f"node-{number}", project=project, site=site, title=f"n{number}", revision=number + 1, created_at=1
            )
            made.append(node)
            rows += [
                Instance(
                    id=f"inst-{number}-{one}", project=project, tree=f"inst-{number}-{one}", title=f"i{number}-{one}",
                    product="hello", release=release, type="default", parameters="{}", constraints="{}",
                    requested_state="started", wanted="started", seed="", node=node, partition=f"p{one}", weight=1,
                    revision=1,
                    created_at=1, changed_at=1,
                )
                for one in range(instances)
            ]  # fmt: skip
            mouths.append((node.id, node.epoch, [f"inst-{number}-{one}" for one in range(instances)]))
        Node.objects.bulk_create(made)
        Instance.objects.bulk_create(rows)
    return mouths


def measure(kind: str, url: str, mouths) -> None:
    from freehold.master.gateway.reports import Done, ReportJob, Writer
    from freehold.protocol.report import GENESIS, Report, ReportBatch, ReportBody, UsageReport, link

    began = time.time() - ROUNDS * 60
    rounds: list[list[bytes]] = []
    heads = {node: (0, GENESIS) for node, _, _ in mouths}
    for number in range(ROUNDS):
        batches = []
        for node, epoch, instances in mouths:
            at = began + number * 60
            items = [
                UsageReport(one, at, number * 977, number * 60 * 64, number * 60 * 100, number * 10**6, number, "s")
                for one in instances
            ]
            body = msgspec.json.encode({"at": at, "items": items})
            sequence, digest = heads[node]
            heads[node] = (sequence + 1, link(digest, body))
            report = Report(*heads[node], msgspec.Raw(body))
            batches.append(msgspec.json.encode(ReportBatch(epoch, [report])))
        rounds.append(batches)
    # Every tenth batch comes twice, as after a lost answer.
    work = [[(n, one) for n, one in enumerate(batches) for _ in range(2 if n % 10 == 0 else 1)] for batches in rounds]
    samples = sum(len(batches) for batches in work) * INSTANCES
    decoder = msgspec.json.Decoder(ReportBatch)

    cpu = time.process_time()
    for batches in work:
        for _, raw in batches:
            for one in decoder.decode(raw).reports:
                msgspec.json.decode(one.body, type=ReportBody)
    plain = time.process_time() - cpu

    writer = Writer(url)
    answers: SimpleQueue[Done | Exception] = SimpleQueue()
    cpu, wall = time.process_time(), time.monotonic()
    writer.start()
    for batches in work:
        for number, raw in batches:
            batch = decoder.decode(raw)
            writer.submit(ReportJob(mouths[number][0], batch.epoch, batch.reports, len(raw), answers.put))
        for _ in batches:
            answer = answers.get()
            assert isinstance(answer, Done), answer
            assert not answer.refused
    cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    writer.stop()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(cpu_ms) FROM usage_hour")
        rows, total = cursor.fetchone()
    assert total == (ROUNDS - 1) * 977 * NODES * INSTANCES, "each counted once"
    print(
        f"{kind:<11} {samples} samples, {samples / cpu:8.0f} per CPU s (target {TARGET}), {samples / wall:8.0f} per s,"
        f" {cpu / plain:5.1f} times the mere decoding; {rows} hours kept"
    )


if __name__ == "__main__":
    main()

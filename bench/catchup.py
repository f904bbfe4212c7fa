"""What it costs a Master to hear of a node that was away for 90 days, with 100 services.

The node's own outbox with its own policy: a reading of each service every quarter of an hour, promises that break and
are kept again. Then all that waits goes through the Master's writer, batch by batch as the node sends it. Printed is
the CPU of the Master's side, beside that of writing it down on the node.

    .venv/bin/python bench/catchup.py
    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/catchup.py'
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue

import msgspec
from clouds import database, kinds
from metering import prepare

DAYS, SERVICES, STEP = 90, 100, 900.0
TARGET = 10.0


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    if not kind:
        for one in kinds():
            os.spawnv(os.P_WAIT, sys.executable, [sys.executable, __file__, one])
        return
    with tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as folder, database(kind, folder) as url:
        ((node, epoch, instances),) = prepare(Path(folder), url, 1, SERVICES)
        cpu = time.process_time()
        store = be_away(Path(folder) / "node.sqlite", epoch, instances)
        away = time.process_time() - cpu
        come_back(kind, url, node, store, away)


def be_away(path: Path, epoch: int, instances: list[str]):
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store
    from freehold.protocol.report import AssessmentReport, UsageReport

    store = Store(Database(path))
    store.begin_epoch(epoch)
    began = time.time() - DAYS * 86400
    for step in range(int(DAYS * 86400 / STEP)):
        at = began + step * STEP
        items = [UsageReport(one, at, step * 977, step * 64, step * 100, step, step, "s") for one in instances]
        items += [AssessmentReport(one, 1, "page", step % 2 == 0, at, "200 OK") for one in instances[step % 10 :: 10]]
        store.outbox.add(*items)
    return store


def come_back(kind: str, url: str, node: str, store, away: float) -> None:
    from freehold.master.gateway.reports import Done, ReportJob, Writer
    from freehold.node.link.sync import BATCH, BATCH_BYTES
    from freehold.protocol.report import Batch

    decoder = msgspec.json.Decoder(Batch)
    writer = Writer(url)
    answers: SimpleQueue[Done | Exception] = SimpleQueue()
    writer.start()
    used, wall, batches, size = 0.0, time.monotonic(), 0, 0
    while reports := store.outbox.hand_out(BATCH, BATCH_BYTES):
        raw = msgspec.json.encode(Batch(store.outbox.epoch, reports))
        cpu = time.process_time()
        batch = decoder.decode(raw)
        writer.submit(ReportJob(node, batch.epoch, batch.reports, len(raw), answers.put))
        answer = answers.get()
        used += time.process_time() - cpu
        assert isinstance(answer, Done), answer
        assert not answer.refused
        store.outbox.acknowledge(answer.sequence)
        batches, size = batches + 1, size + len(raw)
    writer.stop()
    print(
        f"{kind:<11} {DAYS} days away: {size / 1e6:.1f} MB in {batches} batches, {used:.1f} CPU s of the Master (target"
        f" {TARGET:g}), {used / away:.2f} of what writing it down took the node; {time.monotonic() - wall:.1f} s in all"
    )


if __name__ == "__main__":
    main()

"""What a day of 100,000 nodes costs one Master with PostgreSQL, in CPU seconds of both.

A real database with all nodes and two instances on each. Every node tells what the real agent tells, when it tells it:
use at the pace that the Master sets for so many nodes, each promise's result along with it every quarter of an hour,
and at once when it changes. That goes through the real writer at the real pace for some minutes, so
that as many reports share a transaction as would in life. What TLS and HTTP cost a report and a poll is measured in
the same run on a served Master of its own (`bench/gateway.py`). A round of the urgent tasks and one of the hourly
tidying are measured on the whole fleet. The yardstick is decoding the same reports and encoding their answers in it.

    pg_virtualenv bash -c 'DATABASE_URL=postgresql://… .venv/bin/python bench/fleet.py [NODES [MINUTES]]'
"""

import os
import random
import sys
import tempfile
import time
from pathlib import Path
from queue import SimpleQueue

import gateway
import msgspec
from clouds import cpu_seconds, database, master
from metering import prepare

NODES, INSTANCES, MINUTES = 100_000, 2, 2
DAY = 86_400
TARGET = 43_200.0
"""CPU seconds of a day: half of two cores."""
CHANGES = 2
"""A day, of each promise: broken once and kept again."""
NEXT_CONTACT = 60.0
"""The least; as `freehold.master.settings` has it."""
CONNECTIONS = 24


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else NODES
    minutes = int(sys.argv[2]) if len(sys.argv) > 2 else MINUTES
    spoken, held = doors()
    print(
        f"TLS, HTTP and identity: {spoken * 1e6:.0f} µs a request; a poll that waits: {held * 1e6:.0f} µs", flush=True
    )
    with (
        tempfile.TemporaryDirectory(prefix="freehold-bench-", dir="/var/tmp") as folder,
        database("postgresql", folder) as url,
    ):
        mouths = prepare(Path(folder), url, nodes, INSTANCES)
        Day(url, mouths, minutes).measure(spoken, held)


def doors() -> tuple[float, float]:
    """Return the CPU seconds of a served Master for a request that it only refuses, and for a poll that waits."""
    with master("postgresql") as served:
        nodes = gateway.enrol(served, CONNECTIONS)
        found = []
        for work in (gateway.unknown, gateway.held):
            count, cpu, _ = gateway.measure(served, nodes, work)
            found.append(cpu / count)
    return found[0], found[1]


class Day:
    """Some minutes of it."""

    def __init__(self, url: str, mouths: list, minutes: int) -> None:
        from freehold.master.gateway.reports import Writer
        from freehold.protocol.report import GENESIS, ReportBatch

        self.url, self.mouths, self.minutes = url, mouths, minutes
        self.heads = [(0, GENESIS)] * len(mouths)
        self.decoder = msgspec.json.Decoder(ReportBatch)
        self.writer = Writer(url)
        self.writer.start()
        self.postmaster = parent_of_backend(url)

    def measure(self, spoken: float, held: float) -> None:
        from freehold.master.tasks import lanes, registry
        from freehold.node.link.sync import WAIT

        nodes = len(self.mouths)
        now = time.time() - 60
        cpu, server, _ = self.play(
            [(0.0, node, self.write(node, [self.first(node, now)], now)) for node in range(nodes)]
        )
        print(f"first hearing of {nodes} nodes: {cpu:.1f} CPU s of the Master, {server:.1f} of PostgreSQL", flush=True)
        events = self.events(time.time())
        plain = self.plain(events)
        cpu, server, wall = self.play(events)
        per_day = DAY / (self.minutes * 60)
        posts, polls = len(events) / nodes * per_day, DAY / WAIT
        print(
            f"{self.minutes} minutes of {nodes} nodes: {len(events)} requests in {wall:.0f} s: {cpu:.1f} CPU s of the"
            f" Master ({cpu / plain:.1f} times the mere decoding), {server:.1f} of PostgreSQL",
            flush=True,
        )
        rounds = used(self.postmaster)
        lanes.run_once()
        reconciled = used(self.postmaster)
        lanes.run_once(bulk=True)
        recorded = used(self.postmaster)
        lanes.run_once(bulk=True)
        reconciling, monthly = sum(reconciled) - sum(rounds), sum(recorded) - sum(reconciled)
        tidying = sum(used(self.postmaster)) - sum(recorded)
        hourly = tidying * DAY / registry.HOURLY
        rooms = (reconciling * DAY / registry.SOON + hourly + monthly / 30) / nodes
        told, kept = (cpu / len(events) + spoken) * posts, server / len(events) * posts
        heard = held * polls
        total = told + kept + heard + rooms
        print(
            f"a node-day: {posts:.0f} requests {told:.3f} + {kept:.3f} of PostgreSQL, {polls:.0f} polls {heard:.3f},"
            f" tasks, urgent and hourly, {rooms:.3f} ({tidying:.1f} an hour, {monthly:.0f} a month): {total:.3f} CPU s;"
            f" a day of {nodes} nodes: {total * nodes:.0f} CPU s"
            f" (target {TARGET * nodes / NODES:.0f}, {total * nodes / TARGET / nodes * NODES:.2f} of it)"
        )
        self.writer.stop()

    def first(self, node: int, now: float) -> list:
        """What a node tells of its instances once they serve."""
        from freehold.protocol.report import AssessmentReport, InstanceReport, UsageReport
        from freehold.protocol.states import Observed

        items: list = []
        for one in self.mouths[node][2]:
            items.append(InstanceReport(one, 1, Observed.STARTED, promises=["page"]))
            items.append(AssessmentReport(one, 1, "page", True, round(now, 3), "200 OK"))
            items.append(UsageReport(one, round(now, 3), 0, 0, 0, 0, 0, "5e1f0b2c"))
        return items

    def events(self, began: float) -> list[tuple[float, int, bytes]]:
        """Return what all nodes tell in these minutes: when, who, and the batch."""
        from freehold.master.foundation.pace import pace
        from freehold.node.metering.thread import EARLY
        from freehold.node.state.results import HEARTBEAT
        from freehold.protocol.report import AssessmentReport, UsageReport

        span = self.minutes * 60
        found = []
        between = EARLY * pace(NEXT_CONTACT, len(self.mouths))
        for node, (_, _, instances) in enumerate(self.mouths):
            told: list[tuple[float, list[list]]] = []
            at, last = random.uniform(0, between), 0.0
            repeated = {one: random.uniform(0, HEARTBEAT) for one in instances}
            while at < span:
                grown = int(at) + 1
                reports: list[list] = [
                    [AssessmentReport(one, 1, "page", True, round(began + due, 3), "200 OK")]
                    for one, due in repeated.items()
                    if last <= due < at
                ]
                reports.append([
                    UsageReport(one, round(began + at, 3), 977 * grown, 3840 * grown, 6000 * grown, 10**6 * grown,
                                10**5 * grown, "5e1f0b2c")
                    for one in instances
                ])  # fmt: skip
                told.append((at, reports))
                at, last = at + between * random.uniform(0.9, 1.1), at
            for one in instances:
                if (at := random.uniform(0, DAY / CHANGES)) < span:
                    told.append((at, [[AssessmentReport(one, 1, "page", False, round(began + at, 3), "200 OK")]]))
            found += [
                (at, node, self.write(node, reports, began + at))
                for at, reports in sorted(told, key=lambda one: one[0])
            ]
        return sorted(found, key=lambda one: one[0])

    def write(self, node: int, told: list[list], at: float) -> bytes:
        from freehold.protocol.report import Body, Report, ReportBatch, link

        sequence, digest = self.heads[node]
        reports = []
        for items in told:
            body = msgspec.json.encode(Body(round(at, 3), items))
            sequence, digest = sequence + 1, link(digest, body)
            reports.append(Report(sequence, digest, msgspec.Raw(body)))
        self.heads[node] = sequence, digest
        return msgspec.json.encode(ReportBatch(self.mouths[node][1], reports))

    def plain(self, events: list[tuple[float, int, bytes]]) -> float:
        """Return the CPU seconds of decoding these and encoding answers."""
        from freehold.protocol.report import Applied, Body

        cpu = time.process_time()
        for _, _, raw in events:
            for report in self.decoder.decode(raw).reports:
                msgspec.json.decode(report.body, type=Body)
                msgspec.json.encode(Applied(report.sequence, NEXT_CONTACT))
        return time.process_time() - cpu

    def play(self, events: list[tuple[float, int, bytes]]) -> tuple[float, float, float]:
        """Have all of it applied, each when its moment comes; return CPU of Master and PostgreSQL, and wall seconds."""
        from freehold.master.gateway.reports import Done, Job
        from freehold.protocol.report import Applied

        answers: SimpleQueue[Done | Exception] = SimpleQueue()
        before, began, waiting = used(self.postmaster), time.monotonic(), 0

        def hear() -> None:
            answer = answers.get()
            assert isinstance(answer, Done), answer
            assert not answer.refused
            msgspec.json.encode(Applied(answer.sequence, NEXT_CONTACT))

        for moment, node, raw in events:
            early = moment - (time.monotonic() - began)
            if early > 0:
                time.sleep(max(early, 0.005))
            while waiting and (waiting > 2000 or not answers.empty()):
                hear()
                waiting -= 1
            batch = self.decoder.decode(raw)
            self.writer.submit(Job(self.mouths[node][0], batch.epoch, batch.reports, len(raw), answers.put))
            waiting += 1
        for _ in range(waiting):
            hear()
        after = used(self.postmaster)
        return after[0] - before[0], after[1] - before[1], time.monotonic() - began


def used(postmaster: int) -> tuple[float, float]:
    """Return the CPU seconds so far of this process and of a PostgreSQL server with all its processes."""
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    return time.process_time(), cpu_seconds(postmaster) + sum(cpu_seconds(int(child)) for child in children)


def parent_of_backend(url: str) -> int:
    import psycopg

    with psycopg.connect(url) as connection:
        fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1])


if __name__ == "__main__":
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        sys.exit("This one measures PostgreSQL: run it within pg_virtualenv, with DATABASE_URL.")
    main()

"""Nodes that only report, and use that is counted as the gateway counts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

import msgspec

from freehold.master.gateway.reports import Done, ReportJob, Writer
from freehold.protocol.report import GENESIS, Report, UsageReport, link

if TYPE_CHECKING:
    from support.rooms import Rooms

HOUR = 3_600_000
"""Milliseconds."""


class Mouth:
    """A node that only talks: numbers and chains its reports."""

    def __init__(self, node: str, instance: str, epoch: int) -> None:
        self.node, self.instance, self.epoch, self.hash = node, instance, epoch, GENESIS
        self.reports: list[Report] = []

    def say(self, at: float, series: str = "s", **counters: int | None) -> None:
        item = UsageReport(self.instance, at, series=series, **counters)
        body = msgspec.json.encode({"at": at, "items": [item]})
        self.hash = link(self.hash, body)
        self.reports.append(Report(len(self.reports) + 1, self.hash, msgspec.Raw(body)))

    def enrol_anew(self) -> None:
        from freehold.master.fleet.models import Node

        self.epoch, self.hash, self.reports = self.epoch + 1, GENESIS, []
        Node.objects.filter(id=self.node).update(epoch=self.epoch)


@contextmanager
def master(rooms: "Rooms") -> Iterator[Writer]:
    """A writer of the Master; another one knows nothing of what this one remembered."""
    writer = Writer(rooms.url)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def send(writer: Writer, mouth: Mouth, reports: list[Report]) -> Done:
    answers: SimpleQueue[Done | Exception] = SimpleQueue()
    writer.submit(ReportJob(mouth.node, mouth.epoch, reports, 1000, answers.put))
    answer = answers.get(timeout=20)
    if isinstance(answer, Exception):
        raise answer
    return answer


def use(instance: str, month_begins: str, amount: int, meter: str = "network_out") -> None:
    """Have counted so much of a meter in the first hour of a month, as the gateway writes it."""
    from freehold.master.foundation import days
    from freehold.master.usage.models import Hour, LastReading

    hour = days.begins_at(days.parse(month_begins), "Europe/Paris") // HOUR
    known, _ = Hour.objects.get_or_create(instance_id=instance, hour=hour, defaults={meter: 0})
    Hour.objects.filter(instance_id=instance, hour=hour).update(**{meter: (getattr(known, meter) or 0) + amount})
    counter, _ = LastReading.objects.get_or_create(
        instance_id=instance, series=month_begins, defaults={"at": 0, meter: 0}
    )
    LastReading.objects.filter(instance_id=instance, series=month_begins).update(
        **{meter: (getattr(counter, meter) or 0) + amount, "at": hour * HOUR}
    )

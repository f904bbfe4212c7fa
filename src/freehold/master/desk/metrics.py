"""How the whole Master is, in numbers, in the text format of Prometheus.

Counts and states, of no project by name: who reads them may do nothing else with them.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from freehold.master.fleet import queries as fleet
from freehold.master.foundation import clock
from freehold.master.generation import clocks, doubt
from freehold.master.notifications import queries as notifications
from freehold.master.ordering import listing
from freehold.master.support import queries as support
from freehold.master.tasks import queries as tasks

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition() -> bytes:
    """Return the metrics of this Master as they are now."""
    registry = CollectorRegistry()
    registry.register(_MasterCollector())
    return generate_latest(registry)


class _MasterCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield _by("freehold_nodes", "Nodes, by state.", "state", fleet.count_by_state())
        yield _by("freehold_instances", "Living instances, by what is wanted.", "wanted", listing.count_by_wanted())
        yield _by("freehold_causes_open", "What somebody is told of and is not over.", "kind",
                  notifications.count_open_causes())  # fmt: skip
        yield _by("freehold_messages", "Messages that wait to be sent, or were given up.", "state",
                  notifications.count_unsent())  # fmt: skip
        yield _one("freehold_tickets_open", "Tickets that nobody closed.", support.count_open())
        yield _one("freehold_doubts", "Reasons for which this Master doubts what it knows.", len(doubt.doubts()))
        yield _one("freehold_clock_contradicted", "1 when most nodes say that this Master's clock is wrong.",
                   bool(clocks.contradiction()))  # fmt: skip
        yield from _of_tasks()


def _of_tasks() -> Iterator[Metric]:
    statuses = tasks.statuses()
    now = clock.now()
    yield _by("freehold_task_failures", "Failures of a task of the Master in a row.", "task",
              {task.name: task.failures for task in statuses})  # fmt: skip
    yield _by("freehold_task_wrong", "1 when a task fails or is late.", "task",
              {task.name: task.state in tasks.WRONG for task in statuses})  # fmt: skip
    ran = [(task, task.began_at) for task in statuses if task.began_at is not None]
    yield _by("freehold_task_age_seconds", "Since a task began the last time.", "task",
              {task.name: max(0, now - began_at) / 1000 for task, began_at in ran})  # fmt: skip
    yield _by("freehold_task_duration_seconds", "Of the last run of a task.", "task",
              {task.name: task.took_ms / 1000 for task, _ in ran})  # fmt: skip


def _one(name: str, documentation: str, value: float) -> Metric:
    return GaugeMetricFamily(name, documentation, value=float(value))


def _by(name: str, documentation: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([str(key)], float(value))
    return family

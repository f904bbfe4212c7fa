"""How a Master is, in numbers, as Prometheus reads them."""

from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from support.running import tiny_release

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master


def _read(text: str) -> dict[str, dict[str, float]]:
    """Return values by metric and by their one label, which is empty for those that have none."""
    return {
        family.name: {next(iter(sample.labels.values()), ""): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def _now() -> dict[str, dict[str, float]]:
    from freehold.master.desk import metrics

    return _read(metrics.exposition().decode())


def test_nodes_and_instances_are_counted_by_state(rooms: "Rooms") -> None:
    from freehold.master.fleet.models import Node
    from freehold.master.foundation import clock
    from freehold.protocol.states import Wanted

    nodes = [rooms.node(title) for title in ("one", "two", "three", "four")]
    rooms.supply(rooms.publish(tiny_release()), *nodes)
    rooms.request("web")
    rooms.request("shop", state=Wanted.STOPPED)
    now = clock.now()
    Node.objects.filter(title="two").update(silent_since=now)
    Node.objects.filter(title="three").update(silent_since=now, stopped="by its operator")
    Node.objects.filter(title="four").update(lost_at=now)
    values = _now()
    assert values["freehold_nodes"] == {"open": 1, "silent": 1, "stopped": 1, "lost": 1}
    assert values["freehold_instances"] == {"started": 1, "stopped": 1}


def test_a_task_that_fails_is_seen(rooms: "Rooms", monkeypatch: Any) -> None:
    from freehold.master.foundation import clock
    from freehold.master.tasks.models import TaskState
    from freehold.master.tasks.registry import TASKS

    name, other = TASKS[0].name, TASKS[1].name
    began = clock.now() - 90_000
    for task, failures in ((name, 2), (other, 0)):
        values = {"began_at": began, "ended_at": began + 250, "took_ms": 250, "done": 0, "failures": failures}
        TaskState.objects.update_or_create(name=task, defaults={**values, "error": "no" * failures})
    values_now = _now()
    assert (values_now["freehold_task_failures"][name], values_now["freehold_task_wrong"][name]) == (2, 1)
    assert values_now["freehold_task_failures"][other] == 0
    assert values_now["freehold_task_duration_seconds"][name] == 0.25
    assert 90 <= values_now["freehold_task_age_seconds"][name] < 150
    never = set(values_now["freehold_task_wrong"]) - set(values_now["freehold_task_age_seconds"])
    assert {task.name for task in TASKS} - {name, other} >= never


def test_messages_tickets_and_causes_are_counted(rooms: "Rooms") -> None:
    from freehold.master.notifications.models import Cause
    from freehold.master.support import actions

    before = _now()
    assert before["freehold_messages"] == {"waiting": 0, "dead": 0}
    assert before["freehold_doubts"] == {"": 0}
    actions.notice("test:1", "Something", "It is so.", project=rooms.provider)
    Cause.objects.create(
        id="caus-1", project_id=rooms.provider, kind="node-silent", subject="node-1", key="k", scope="operate",
        detail="{}", opened_at=1, noticed_at=1,
    )  # fmt: skip
    after = _now()
    assert after["freehold_tickets_open"][""] == before["freehold_tickets_open"][""] + 1
    assert after["freehold_causes_open"] == {"node-silent": 1}


def test_staff_reads_them_over_http_as_prometheus_does(master: "Master") -> None:
    answer = master.call("GET", "/api/v1/metrics", token=master.owner)
    assert answer.status == 200
    assert "freehold_nodes" in _read(answer.body if isinstance(answer.body, str) else answer.body.decode())

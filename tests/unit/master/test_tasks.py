"""What the Master does by itself: a task in trouble hinders no other, a slow one no urgent one, and staff see it."""

import threading
from typing import TYPE_CHECKING

import pytest

from freehold.kit.waiting import until
from support.panels import Visitor

if TYPE_CHECKING:
    from support.rooms import Rooms


def test_a_task_that_fails_is_kept_told_once_and_hinders_no_other(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.foundation.errors import Conflict
    from freehold.master.people.models import Person
    from freehold.master.support.models import Ticket
    from freehold.master.tasks import lanes, queries
    from freehold.master.tasks.registry import MasterTask

    Person.objects.filter(id=rooms.owner.person).update(is_staff=True)
    ran, trouble = list[str](), list[Exception]([RuntimeError("password=secret")])

    def fails() -> int:
        if trouble:
            raise trouble[0]
        return 3

    tasks = [
        MasterTask("a.fails", fails, period=0.0),
        MasterTask("b.goes", lambda: len(ran.append("b") or ran), period=0.0),
    ]
    monkeypatch.setattr(queries, "TASKS", tasks)
    monkeypatch.setattr(lanes, "RETRY", 0.0)
    runner = lanes.Runner(tasks)
    runner.run_due()
    failing, going = queries.statuses()
    assert (failing.state, failing.failures, going.state, going.done) == ("failing", 1, "ok", 1)
    assert "RuntimeError" in failing.error
    assert "secret" not in failing.error, "words that are not ours stay in the log"
    trouble[0] = Conflict("The ledger is closed.", remedy="Open it.")
    for _ in range(4):
        runner.run_due()
    assert len(ran) == 5
    (ticket,) = Ticket.objects.filter(about="task:a.fails")
    assert (ticket.project_id, ticket.closed_at) == (rooms.provider, None)
    assert "The ledger is closed. Open it." in ticket.message_set.get().text
    trouble.clear()
    runner.run_due()
    failing, _ = queries.statuses()
    assert (failing.state, failing.done, failing.error) == ("ok", 3, "")
    ticket.refresh_from_db()
    assert ticket.closed_at is not None


def test_a_master_that_was_restarted_to_mend_a_task_says_that_it_succeeds_again(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.people.models import Person
    from freehold.master.support.models import Ticket
    from freehold.master.tasks import lanes
    from freehold.master.tasks.registry import MasterTask

    def fails() -> int:
        raise RuntimeError("not today")

    Person.objects.filter(id=rooms.owner.person).update(is_staff=True)
    monkeypatch.setattr(lanes, "RETRY", 0.0)
    for _ in range(4):
        lanes.Runner([MasterTask("a.task", fails, period=0.0)]).run_due()
    (ticket,) = Ticket.objects.filter(about="task:a.task", closed_at=None)
    assert ticket.message_set.count() == 1, "told once, though each failure was another process's"
    lanes.Runner([MasterTask("a.task", lambda: 1, period=0.0)]).run_due()
    ticket.refresh_from_db()
    assert ticket.closed_at is not None


def test_a_slow_bulk_task_delays_no_urgent_one(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import hints
    from freehold.master.tasks import lanes
    from freehold.master.tasks.registry import Lane, MasterTask

    done, may_end, began = list[str](), threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        assert may_end.wait(30)
        done.append("slow")
        return 1

    tasks = [
        MasterTask("x.slow", slow, Lane.BULK, 3600.0),
        MasterTask("x.quick", lambda: done.append("quick") or 0, period=30.0),
    ]
    monkeypatch.setattr(lanes, "FIRST_BULK", 0.0)
    monkeypatch.setattr(lanes, "AGREEMENT", 0.0)
    monkeypatch.setattr(lanes, "_begin", lambda *_: None)
    monkeypatch.setattr(lanes, "_end", lambda *_: None)
    threads = [lanes.LaneThread(lane, tasks) for lane in Lane]
    for thread in threads:
        thread.start()
    try:
        assert began.wait(10)
        until(lambda: done == ["quick"], 10)
        hints.give(hints.REPORTED)
        until(lambda: done == ["quick", "quick"], 10, "the urgent task, at once after a hint")
    finally:
        may_end.set()
        for thread in threads:
            thread.stop()
    assert done == ["quick", "quick", "slow"]


def test_in_doubt_only_what_tells_of_it_goes_on(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.tasks import lanes
    from freehold.master.tasks.registry import TASKS

    monkeypatch.setattr("freehold.master.generation.doubt.doubts", lambda: True)
    ran = list[str]()
    monkeypatch.setattr(lanes.Runner, "_run", lambda _, task, __: ran.append(task.name))
    lanes.run_once(bulk=True)
    assert ran == [task.name for task in TASKS if task.runs_in_doubt]
    assert ran == ["support.notices", "notifications.gather", "notifications.deliver", "notifications.webhooks"]


def test_staff_see_how_every_task_goes_and_nobody_else_does(rooms: "Rooms") -> None:
    from freehold.master.people.models import Person
    from freehold.master.tasks import lanes
    from freehold.master.tasks.models import TaskState
    from freehold.master.tasks.registry import TASKS

    assert lanes.run_once(bulk=True) == []
    assert set(TaskState.objects.values_list("name", flat=True)) == {task.name for task in TASKS}
    assert len({task.name for task in TASKS}) == len(TASKS)
    assert Visitor(rooms.owner).get("/tasks").status_code == 403, "who owns a project does not run the Master"
    Person.objects.filter(id=rooms.owner.person).update(is_staff=True)
    TaskState.objects.filter(name="usage.cleanup").update(failures=2, error="The disk is full.")
    page = Visitor(rooms.owner).reads("/tasks")
    assert all(task.name in page for task in TASKS)
    assert "failing The disk is full." in page

"""How the tasks of this Master go."""

from dataclasses import dataclass

from freehold.master.foundation import clock
from freehold.master.foundation.paging import FIRST, ListPart
from freehold.master.tasks.models import TaskState
from freehold.master.tasks.registry import TASKS, MasterTask

LATE = 3
"""Periods after which a task that did not run is late."""
WRONG = frozenset({"failing", "late"})
"""States that somebody must look at."""
GRACE = 120.0
"""Seconds of lateness that are nobody's concern."""


@dataclass(frozen=True)
class TaskStatus:
    """A task and its last run."""

    name: str
    lane: str
    period: float
    state: str
    """`ok`, `running`, `failing`, `late`, or `new` when it never ran."""
    began_at: int | None
    """Milliseconds since 1970 UTC, as all times of the Master."""
    took_ms: int
    done: int
    failures: int
    error: str


def statuses(part: ListPart = FIRST) -> list[TaskStatus]:
    """Return a part of the tasks, by name; their cursor is the name."""
    states = TaskState.objects.in_bulk()
    tasks = sorted((task for task in TASKS if task.name > part.after), key=lambda task: task.name)
    return [_status(task, states.get(task.name)) for task in tasks[: part.most]]


def _status(task: MasterTask, row: TaskState | None) -> TaskStatus:
    if row is None:
        return TaskStatus(task.name, task.lane, task.period, "new", None, 0, 0, 0, "")
    state = _state(row, task.period)
    return TaskStatus(
        task.name, task.lane, task.period, state, row.began_at, row.took_ms, row.done, row.failures, row.error
    )


def _state(row: TaskState, period: float) -> str:
    if row.ended_at is None:
        return "running"
    if row.failures:
        return "failing"
    return "late" if clock.now() - row.began_at > (LATE * period + GRACE) * 1000 else "ok"

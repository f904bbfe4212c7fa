"""Runs tasks when they are due, keeps how each run ended, and tells operators of one that keeps failing."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db import close_old_connections

from freehold.failpoints import failpoint
from freehold.master.foundation import clock, hints
from freehold.master.foundation.errors import explained
from freehold.master.foundation.transactions import writing
from freehold.master.generation import clocks, doubt
from freehold.master.people.queries import staff_project
from freehold.master.support import actions as support
from freehold.master.tasks.models import TaskState
from freehold.master.tasks.registry import SOON, TASKS, Lane, MasterTask

RETRY = 60.0
"""Seconds until a task that failed is run again; doubled with each failure, up to its period."""
TOLD_AFTER = 3
"""Failures in a row after which operators are told."""
WRITTEN_EVERY = 60.0
"""Seconds after which a run that changed nothing is written down all the same."""
FIRST_BULK = 60.0
"""Seconds after the start of a Master before what may be late begins."""
AGREEMENT = 900.0
"""Seconds for which the bulk lane of a Master that just started waits for nodes to agree with its clock: what is
forgotten or issued too early cannot be undone."""
_LONGEST_WORDS = 2000
_log = logging.getLogger(__name__)


@dataclass
class _Memory:
    """What a process knows of a task; it saves reading it again."""

    due: float = 0.0
    """By `time.monotonic`."""
    failures: int = 0
    written: float = -WRITTEN_EVERY


@dataclass
class Runner:
    """Runs the tasks of one lane or of both, in one thread."""

    tasks: Sequence[MasterTask]
    over: bool = False
    """Set from another thread: nothing more is begun."""
    _memory: dict[str, _Memory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._memory = {task.name: _Memory() for task in self.tasks}

    def put_off(self, seconds: float) -> None:
        """Have nothing be due for so long."""
        for memory in self._memory.values():
            memory.due = time.monotonic() + seconds

    def run_due(self, *, hinted: bool = False) -> None:
        """Run what is due; after a hint, also what is due soon anyway, waits for hints and did not just fail."""
        now = time.monotonic()
        is_in_doubt, is_contradicted = doubt.doubts(), bool(clocks.contradiction())
        for task in self.tasks:
            if self.over:
                return
            memory = self._memory[task.name]
            soon = hinted and task.is_hinted and not memory.failures and memory.due - now <= WRITTEN_EVERY
            if not (soon or now >= memory.due):
                continue
            is_dated = task.is_dated or task.lane is Lane.BULK
            if (is_in_doubt and not task.runs_in_doubt) or (is_contradicted and is_dated):
                # It is looked at again soon: what stays due would keep the lane from waiting at all.
                memory.due = now + SOON
            else:
                self._run(task, memory)

    def be_quiet(self) -> None:
        """Write down no run that changes nothing, for a minute."""
        for memory in self._memory.values():
            memory.written = time.monotonic()

    def failing(self) -> list[str]:
        """Return the names of the tasks that failed when they were last run."""
        return [name for name, memory in self._memory.items() if memory.failures]

    def seconds_left(self) -> float:
        """Return the seconds until something is due."""
        now = time.monotonic()
        return max(0.0, min((memory.due for memory in self._memory.values()), default=now + WRITTEN_EVERY) - now)

    def _run(self, task: MasterTask, memory: _Memory) -> None:
        began, clocked = clock.now(), time.monotonic()
        done, error = 0, ""
        try:
            if task.lane is Lane.BULK:
                _begin(task, began)
            done = task.run()
            failpoint("task-done")
        except Exception as failure:
            # Whatever it is: the other tasks go on, and this one is tried again.
            error = explained(failure)[:_LONGEST_WORDS]
            _log.exception("the task %s failed; it is tried again", task.name)
        is_news = bool(error or memory.failures) or task.lane is Lane.BULK
        memory.failures = memory.failures + 1 if error else 0
        wait = min(task.period, RETRY * 2 ** (memory.failures - 1)) if error else task.period
        memory.due = time.monotonic() + wait
        # A busy Master runs urgent tasks many times a second: their rows are no log.
        if is_news or time.monotonic() - memory.written >= (SOON if done else WRITTEN_EVERY):
            try:
                _end(task, began, round((time.monotonic() - clocked) * 1000), done, error)
                memory.written = time.monotonic()
            except Exception:
                _log.exception("how %s ended cannot be kept", task.name)


def run_once(*, bulk: bool = False, quietly: bool = False) -> list[str]:
    """Run each task once that may not be late, and each bulk one with `bulk`; return the names of those that failed.

    `quietly`: runs that changed nothing are not written down.
    """
    runner = Runner([task for task in TASKS if bulk or task.lane is not Lane.BULK])
    if quietly:
        runner.be_quiet()
    runner.run_due()
    return runner.failing()


class LaneThread(threading.Thread):
    """The thread of a lane while the Master serves."""

    def __init__(self, lane: Lane, tasks: Iterable[MasterTask] = TASKS) -> None:
        super().__init__(name=f"{lane}-tasks", daemon=True)
        self._lane = lane
        self._runner = Runner([task for task in tasks if task.lane is lane])
        self._wake = threading.Event()
        self._unasked = time.monotonic() + AGREEMENT

    def stop(self) -> None:
        """End after the task in progress."""
        self._runner.over = True
        self._wake.set()
        self.join()

    def run(self) -> None:
        if self._lane is Lane.URGENT:
            hints.listen(hints.REPORTED, self._wake.set)
        elif self._lane is Lane.BULK:
            self._runner.put_off(FIRST_BULK)
        while not self._runner.over:
            hinted = self._wake.wait(self._runner.seconds_left())
            self._wake.clear()
            try:
                close_old_connections()
                if self._lane is Lane.BULK and time.monotonic() < self._unasked and not clocks.is_agreed():
                    self._runner.put_off(SOON)
                    continue
                self._runner.run_due(hinted=hinted)
            except Exception:
                # The database is away, for example: nothing can be looked at or kept.
                _log.exception("the %s tasks cannot be run; they are tried again", self._lane)
                self._runner.put_off(SOON)
        if self._lane is Lane.URGENT:
            hints.forget(hints.REPORTED, self._wake.set)


def _begin(task: MasterTask, began: int) -> None:
    with writing():
        TaskState.objects.update_or_create(name=task.name, defaults={"began_at": began, "ended_at": None})


def _end(task: MasterTask, began: int, took_ms: int, done: int, error: str) -> None:
    """Keep how a run ended, and tell of it when it is the third in a row that failed, or the first after such.

    In one transaction, and counted by the row: a Master that was restarted meanwhile tells neither twice nor never.
    """
    with writing():
        before = TaskState.objects.filter(name=task.name).values_list("failures", flat=True).first() or 0
        values = {"began_at": began, "ended_at": clock.now(), "took_ms": took_ms, "done": done, "error": error}
        failures = before + 1 if error else 0
        TaskState.objects.update_or_create(name=task.name, defaults={**values, "failures": failures})
        if failures == TOLD_AFTER or (before >= TOLD_AFTER and not error):
            _tell(task, error)


def _tell(task: MasterTask, error: str) -> None:
    """Tell those who run the Master, by a ticket in their project, that a task keeps failing or that it is over."""
    about = f"task:{task.name}"
    if not error:
        support.close_notice(about, "It succeeds again.")
        return
    if (project := staff_project()) is not None:
        text = f"It failed {TOLD_AFTER} times in a row and is tried again: {error}\n\nAll tasks: freehold master status"
        support.notice(about, f"The task {task.name} fails", text, project=project)

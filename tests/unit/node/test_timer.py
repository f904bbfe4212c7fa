"""When jobs are due, whatever the machine's clock does."""

import json
import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from freehold.node.partition.timer import DAY, LONGEST_RETRY, Timer, due_at
from freehold.promises import JobRan

MOMENTS = some.floats(0, 4e9)
JOBS = some.one_of(
    some.builds(lambda every: {"every": every, "daily": ""}, some.floats(1, 30 * DAY)),
    some.builds(lambda h, m: {"every": 0, "daily": f"{h:02}:{m:02}"}, some.integers(0, 23), some.integers(0, 59)),
)


def test_a_daily_job_starts_at_its_time_and_a_missed_one_at_once() -> None:
    job = {"every": 0, "daily": "03:30"}
    at = 3.5 * 3600
    assert due_at(job, {"since": 0.0}, 10.0) == at
    assert due_at(job, {"since": 0.0, "started": at}, at + 60) == DAY + at
    assert due_at(job, {"since": 0.0, "started": at}, 9 * DAY) == DAY + at, "due for days: it starts now"


def test_a_run_that_failed_is_made_up_for_with_growing_pauses() -> None:
    job = {"every": 0, "daily": "03:30"}
    at = 3.5 * 3600
    failed = {"since": 0.0, "started": at, "ended": at + 5, "status": 1, "failures": 1}
    assert due_at(job, failed, at + 6) == at + 65
    assert due_at(job, failed | {"failures": 2}, at + 6) == at + 125
    assert due_at(job, failed | {"failures": 400}, at + 6) == at + 5 + LONGEST_RETRY
    assert due_at(job, failed | {"status": 0, "failures": 0}, at + 6) == at + DAY
    often = {"every": 10, "daily": ""}
    assert due_at(often, failed, at + 6) == at + 10, "what runs often waits for no pause"
    assert due_at(job, {"since": 0.0, "started": at, "ended": at + 5, "status": 1}, at + 6) == at + 65, "an older note"


def test_a_failure_of_before_is_tried_again_at_once_and_breaks_no_promise_meanwhile(tmp_path: Path) -> None:
    jobs = tmp_path / ".freehold" / "jobs"
    jobs.mkdir(parents=True)
    (tmp_path / "var" / "log").mkdir(parents=True)
    program, notes = jobs / "backup", jobs / "backup.json"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o700)
    (jobs / "jobs.json").write_text(json.dumps([{"name": "backup", "every": 0, "daily": "00:00", "timeout": 9}]))
    promise = JobRan(str(notes), str(tmp_path / "var/log/job-backup.log"), DAY, 9.0)

    def noted() -> dict[str, Any]:
        return dict(json.loads(notes.read_text()))

    def ran(timer: Timer) -> None:
        timer.turn()
        for process, _ in timer.running.values():
            process.wait(9)
        timer.turn()

    # It is due since yesterday, and fails.
    notes.write_text(json.dumps({"since": time.time() - 2 * DAY}))
    first = Timer(str(jobs))
    ran(first)
    assert (noted()["status"], noted()["failures"]) == (3, 1)
    assert not promise.check().kept
    first.turn()
    assert not first.running, "it is not tried without a pause"
    program.write_text("#!/bin/sh\nsleep 0.2\n")
    second = Timer(str(jobs))
    second.turn()
    assert second.running
    assert promise.check().kept, "of how it is now nothing is known yet"
    ran(second)
    assert (noted()["status"], noted()["failures"]) == (0, 0)
    assert promise.check().message.startswith("It succeeded")
    third = Timer(str(jobs))
    third.turn()
    assert not third.running, "what went well is not done again"


def test_a_job_that_somebody_has_run_runs_once_whatever_its_time_is(tmp_path: Path) -> None:
    jobs, program = tmp_path / ".freehold" / "jobs", tmp_path / ".freehold" / "jobs" / "tick"
    jobs.mkdir(parents=True)
    (tmp_path / "var" / "log").mkdir(parents=True)
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o700)

    def ran(run: str) -> int:
        """Say when it was last to be run, look a few times, and return how often it ran."""
        rows = [{"name": "tick", "every": 0.0, "daily": "03:30", "timeout": 5.0, "run": run}]
        (jobs / "jobs.json.new").write_text(json.dumps(rows))
        (jobs / "jobs.json.new").rename(jobs / "jobs.json")
        for _ in range(10):
            timer.turn()
            time.sleep(0.05)
        log = tmp_path / "var" / "log" / "job-tick.log"
        return log.read_text().count("ran") if log.exists() else 0

    timer = Timer(str(jobs))
    assert ran("a") == 0, "it was run elsewhere, before it came here"
    assert ran("b") == 1
    assert ran("b") == 1, "and not again"
    timer = Timer(str(jobs))
    assert ran("b") == 1, "nor by a timer that comes after"
    assert ran("c") == 2


@given(JOBS, MOMENTS, MOMENTS)
def test_no_job_waits_for_longer_than_its_period_however_wrong_the_clock_was(
    job: dict[str, Any], started: float, now: float
) -> None:
    period = job["every"] or DAY
    assert due_at(job, {"since": 0.0, "started": started}, now) <= now + period + 1


@given(JOBS, MOMENTS)
def test_a_job_that_just_started_does_not_start_again_at_once(job: dict[str, Any], now: float) -> None:
    assert due_at(job, {"since": 0.0, "started": now}, now) > now

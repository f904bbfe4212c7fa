"""When jobs are due, whatever the machine's clock does."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from freehold.node.partition.timer import DAY, due_at

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


@given(JOBS, MOMENTS, MOMENTS)
def test_no_job_waits_for_longer_than_its_period_however_wrong_the_clock_was(
    job: dict[str, Any], started: float, now: float
) -> None:
    period = job["every"] or DAY
    assert due_at(job, {"since": 0.0, "started": started}, now) <= now + period + 1


@given(JOBS, MOMENTS)
def test_a_job_that_just_started_does_not_start_again_at_once(job: dict[str, Any], now: float) -> None:
    assert due_at(job, {"since": 0.0, "started": now}, now) > now

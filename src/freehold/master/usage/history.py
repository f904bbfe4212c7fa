"""What is known of a service's past, for pictures and files: how it kept its promises, and what it used.

A day is told hour by hour, a month and a quarter day by day (UTC). What is not known is left out, and never zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from freehold.master.foundation import clock, sql
from freehold.master.foundation.transactions import run
from freehold.master.monitoring import days as kept_days
from freehold.master.monitoring import queries
from freehold.master.monitoring.availability import Availability

_SQL = sql.load(Path(__file__).parent / "sql" / "history.sql")


class Period(StrEnum):
    """How far back one looks."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"

    @property
    def step(self) -> int:
        """The length of each of its steps, in milliseconds."""
        return clock.HOUR if self is Period.DAY else clock.DAY

    @property
    def steps(self) -> int:
        return {Period.DAY: 24, Period.MONTH: 30, Period.QUARTER: 90}[self]


@dataclass(frozen=True)
class Use:
    """What was used in a step, on average; None: not known."""

    processors: float | None
    memory_mb: float | None
    disk_mb: float | None
    received: float | None
    """Bytes a second, as `sent`."""
    sent: float | None


MEASURES = tuple(field.name for field in fields(Use))
"""The names of all that `Use` says."""


@dataclass(frozen=True)
class HistoryStep:
    """A part of a period, which begins at a moment (milliseconds)."""

    at: int
    promises: Availability | None
    """None: it was not counted, or nothing was asked of the service then."""
    use: Use | None


@dataclass(frozen=True)
class ServiceHistory:
    """A period of a service, step by step, the oldest first; the last step is the present one, as far as it goes."""

    period: Period
    steps: list[HistoryStep]

    @property
    def end(self) -> int:
        return self.steps[-1].at + self.period.step


def of_instance(instance: str, period: Period) -> ServiceHistory:
    """Return what is known of a service in a period that ends with the present hour or day."""
    first = clock.now() // period.step - period.steps + 1
    kept = dict(_promises(instance, period, first))
    used = dict(_used(instance, period, first))
    moments = range(first, first + period.steps)
    return ServiceHistory(
        period, [HistoryStep(number * period.step, kept.get(number), used.get(number)) for number in moments]
    )


def rows(history: ServiceHistory) -> Iterator[list[str]]:
    """Yield a history as lines of a table, names first; what is not known is an empty field."""
    yield ["at", "kept_seconds", "counted_seconds", "unknown_seconds", *MEASURES]
    for step in history.steps:
        promises = step.promises
        amounts = (promises.kept, promises.counted, promises.unknown) if promises else (None, None, None)
        kept = ["" if part is None else str(part // 1000) for part in amounts]
        yield [str(clock.iso(step.at)), *kept, *(_text(getattr(step.use, name, None)) for name in MEASURES)]


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")


def _promises(instance: str, period: Period, first: int) -> Iterator[tuple[int, Availability]]:
    now = clock.now()
    if period is Period.DAY:
        hours = [(hour * clock.HOUR, min((hour + 1) * clock.HOUR, now)) for hour in range(first, now // clock.HOUR + 1)]
        for (begin, _), known in zip(hours, queries.available_in(instance, hours), strict=True):
            if known.counted:
                yield begin // clock.HOUR, known
        return
    for known_day in kept_days.of_instance(instance, first):
        if known_day.availability.counted:
            yield known_day.day, known_day.availability
    today = now // clock.DAY
    known = queries.available(instance, (today * clock.DAY, now))
    if known.counted:
        yield today, known


def _used(instance: str, period: Period, first: int) -> Iterator[tuple[int, Use]]:
    hours = period.step // clock.HOUR
    # The present hour is not over: what it used so far would be shown as little.
    before = clock.now() // clock.HOUR
    for row in run(_SQL["used"], instance=instance, since=first * hours, before=before, hours=hours):
        yield row["step"], _use(row)


def _use(row: dict[str, Any]) -> Use:
    def rate(meter: str, size: float) -> float | None:
        """Return the average of a meter over the hours of which it is known."""
        return row[meter] / (row[f"{meter}_hours"] * 3600 * size) if row[f"{meter}_hours"] else None

    return Use(
        processors=rate("cpu_ms", 1000),
        memory_mb=rate("memory_mb_s", 1),
        disk_mb=rate("disk_mb_s", 1),
        received=rate("network_in", 1),
        sent=rate("network_out", 1),
    )

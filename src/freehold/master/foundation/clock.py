"""Time on the Master: whole milliseconds since 1970 UTC, in every table and every hand-written query.

One integer type reads the same from SQLite, PostgreSQL and the gateway, and never depends on a time zone.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

SECOND = 1000
JUMP = 5.0
"""Seconds by which a clock that is set right little by little never differs between two looks."""
HOUR = 3600 * SECOND
DAY = 24 * HOUR
AHEAD = 60 * SECOND
"""By so much a moment that was noted may be later than now, on a clock that is set right little by little."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def passed(self) -> float:
        return time.monotonic()


_clock = SystemClock()


def now() -> int:
    """Return the present moment."""
    return _clock.now()


def latest() -> int:
    """Return the last moment at which anything can have been noted, unless the clock ran ahead then."""
    return now() + AHEAD


def passed() -> float:
    """Return seconds since some moment of this boot, by a clock that nobody sets."""
    return _clock.passed()


@contextmanager
def use(clock: SystemClock) -> Iterator[None]:
    """Have this process, with all its threads, read another clock meanwhile: simulations and tests do."""
    global _clock
    former, _clock = _clock, clock
    try:
        yield
    finally:
        _clock = former


class Steadiness:
    """For how long the clock went as time passes: nothing that cannot be undone follows from one that just jumped."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know no more than a process that just started."""
        self._since = self._wall = self._passed = 0.0
        self._began = False

    def look(self) -> float:
        """Return the seconds for which it went evenly, as far as this process looked; call it often."""
        wall, passing = now() / SECOND, passed()
        if not self._began or abs((wall - self._wall) - (passing - self._passed)) > JUMP:
            self._began, self._since = True, passing
        self._wall, self._passed = wall, passing
        return passing - self._since


steadiness = Steadiness()
"""Of this process: whoever acts by the time alone looks at it."""


def iso(moment: int | None) -> str | None:
    """Return a moment as people and programs read it, such as `2026-11-23T20:41:49.123Z`."""
    if moment is None:
        return None
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

"""Time on the Master: whole milliseconds since 1970 UTC, in every table and every hand-written query.

One integer type reads the same from SQLite, PostgreSQL and the gateway, and never depends on a time zone.
"""

import time
from datetime import UTC, datetime

SECOND = 1000
JUMP = 5.0
"""Seconds by which a clock that is set right little by little never differs between two looks."""
DAY = 24 * 3600 * SECOND


def now() -> int:
    """Return the present moment."""
    return time.time_ns() // 1_000_000


def passed() -> float:
    """Return seconds since some moment of this boot, by a clock that nobody sets."""
    return time.monotonic()


class Steadiness:
    """For how long the clock went as time passes: nothing that cannot be undone follows from one that just jumped."""

    def __init__(self) -> None:
        self._since = self._wall = self._passed = 0.0
        self._began = False

    def look(self) -> float:
        """Return the seconds for which it went evenly, as far as this process looked; call it often."""
        wall, passing = now() / SECOND, passed()
        if not self._began or abs((wall - self._wall) - (passing - self._passed)) > JUMP:
            self._began, self._since = True, passing
        self._wall, self._passed = wall, passing
        return passing - self._since


def iso(moment: int | None) -> str | None:
    """Return a moment as people and programs read it, such as `2026-11-23T20:41:49.123Z`."""
    if moment is None:
        return None
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

"""Time on the Master: whole milliseconds since 1970 UTC, in every table and every hand-written query.

One integer type reads the same from SQLite, PostgreSQL and the gateway, and never depends on a time zone.
"""

import time
from datetime import UTC, datetime

SECOND = 1000
DAY = 24 * 3600 * SECOND


def now() -> int:
    """Return the present moment."""
    return time.time_ns() // 1_000_000


def iso(moment: int | None) -> str | None:
    """Return a moment as people and programs read it, such as `2026-11-23T20:41:49.123Z`."""
    if moment is None:
        return None
    text = datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

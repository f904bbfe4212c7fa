"""Use, exactly once: from cumulative counters to what was used in each hour.

A counter belongs to a series: it begins at zero with its series and only grows. So duplicates add nothing, holes lose
nothing (only the hours in between are estimated), and a machine that was installed anew begins another series. Use
is written in the same transaction as the number of the report that told it.
"""

from typing import NamedTuple

from freehold.master.foundation import clock
from freehold.master.gateway.database import DatabaseConnection
from freehold.protocol.meters import NAMES, counters
from freehold.protocol.report import UsageReport

MOST_KNOWN = 1_000_000
"""Instances whose last readings are remembered, some 600 bytes each."""
LARGEST = 2**53
"""Of a counter: nine petabytes, or a terabyte of memory for three centuries; a month's price of it fits 63 bits."""

Values = tuple[int | None, ...]


class CounterReading(NamedTuple):
    """The last reading of a series."""

    at: int
    values: Values


class Meters:
    """The last readings, remembered between transactions; used by one thread."""

    def __init__(self, connection: DatabaseConnection) -> None:
        self._connection = connection
        self._known: dict[str, dict[str, CounterReading]] = {}
        """By instance, then by series."""
        self._fresh: dict[tuple[str, str], CounterReading] = {}
        """What this transaction will write."""
        self._hours: dict[tuple[str, int], list[int | None]] = {}

    def add(self, item: UsageReport, at: int) -> None:
        """Note a reading made at a moment (milliseconds); raise ValueError when it cannot be true."""
        before = self._last(item.instance, item.series)
        growth: list[int | None] = []
        values: list[int | None] = []
        for old, new in zip(before.values, counters(item), strict=True):
            if new is None:
                growth.append(None)
                values.append(old)
                continue
            if not (old or 0) <= new <= LARGEST:
                name = NAMES[len(values)]
                raise ValueError(f"{name} went from {old or 0} to {new}: a counter only grows within its series")
            growth.append(new - (old or 0))
            values.append(new)
        since = before.at or at
        if since - at > clock.HOUR:
            # The one before was told by a clock that ran ahead. What was used since is of now, and not of then.
            since = at
        # A clock that was set right may step back a little.
        at = max(at, since)
        self._spread(item.instance, since, at, growth)
        self._fresh[item.instance, item.series] = CounterReading(at, tuple(values))

    def write(self) -> None:
        """Write what was noted, within the transaction."""
        if self._fresh:
            self._connection.many("set_counters", [
                dict(zip(("instance", "series", "at", *NAMES), (*key, reading.at, *reading.values), strict=True))
                for key, reading in self._fresh.items()
            ])  # fmt: skip
        if self._hours:
            self._connection.many("add_hours", [
                dict(zip(("instance", "hour", *NAMES), (*key, *values), strict=True))
                for key, values in self._hours.items()
            ])  # fmt: skip

    def written(self) -> None:
        """The transaction is committed: remember it."""
        while len(self._known) > MOST_KNOWN:
            # Those known for longest: never all of them, for all would be asked for again.
            del self._known[next(iter(self._known))]
        for (instance, series), reading in self._fresh.items():
            self._known.setdefault(instance, {})[series] = reading
        self.drop()

    def drop(self) -> None:
        """Forget what was noted and not written."""
        self._fresh.clear()
        self._hours.clear()

    def forget(self) -> None:
        """Forget all: memory may be wrong."""
        self.drop()
        self._known.clear()

    def _last(self, instance: str, series: str) -> CounterReading:
        fresh = self._fresh.get((instance, series))
        if fresh is not None:
            return fresh
        known = self._known.get(instance)
        if known is None:
            rows = self._connection.rows("counters", {"instance": instance})
            known = self._known[instance] = {row[0]: CounterReading(row[1], tuple(row[2:])) for row in rows}
        return known.get(series) or CounterReading(0, (None,) * len(NAMES))

    def _spread(self, instance: str, begin: int, end: int, growth: list[int | None]) -> None:
        """Add the growth between two readings to the hours between them, evenly and to the last unit."""
        first, last = begin // clock.HOUR, end // clock.HOUR
        if first == last:
            self._add_to_hour((instance, first), growth)
            return
        span = end - begin
        for hour in range(first, last + 1):
            since, until = max(begin, hour * clock.HOUR) - begin, min(end, (hour + 1) * clock.HOUR) - begin
            share = [None if all_ is None else all_ * until // span - all_ * since // span for all_ in growth]
            self._add_to_hour((instance, hour), share)

    def _add_to_hour(self, hour: tuple[str, int], growth: list[int | None]) -> None:
        sums = self._hours.get(hour)
        if sums is None:
            self._hours[hour] = growth
            return
        self._hours[hour] = [
            known if more is None else more if known is None else known + more
            for known, more in zip(sums, growth, strict=True)
        ]

"""From what was read to counters that only grow: pure."""

from typing import TypeVar

import msgspec

LONGEST_GAP = 3600.0
"""Seconds. Readings further apart: the machine slept or its clock jumped; no more than this is counted."""


class Reading(msgspec.Struct, frozen=True):
    """What was read of a partition at one moment. None: cannot be measured here."""

    cpu_ms: float | None
    exact: bool
    """`cpu_ms` is a counter of the kernel's own (a cgroup), not a sum over living processes."""
    memory_mb: float
    disk_mb: float | None
    network_in: int | None
    network_out: int | None


class Counters(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a partition used since its instance was placed, and the raw values last read."""

    series: str = ""
    """The name under which they are told: chosen when they begin."""
    cpu_ms: float | None = None
    memory_mb_s: float | None = None
    disk_mb_s: float | None = None
    network_in: float | None = None
    network_out: float | None = None
    raw_cpu_ms: float | None = None
    raw_exact: bool = False
    """Where `raw_cpu_ms` came from: values of two sources cannot be compared."""
    raw_network_in: int | None = None
    raw_network_out: int | None = None
    is_new: bool = False
    """Its partition was empty when it came: all that is ever read there is its own use."""


def accumulate(before: Counters, reading: Reading, elapsed: float) -> Counters:
    """Return the counters after a reading, `elapsed` seconds after the one before. They never decrease.

    A raw value smaller than the last one was reset (a new boot, a new cgroup). If it is the kernel's own
    counter, what it shows now was used since the reset. If it is a sum over living processes, one of them
    ended unseen: nothing is added, because that time was counted while it lived.

    The first value of a network counter is only where counting starts: the address was another's before.
    Processor time counts from zero where the instance is new, for its processes and cgroup are then new too. Else what
    was counted before was lost, and may have been told: the first reading is where counting starts again.
    """
    elapsed = min(max(elapsed, 0.0), LONGEST_GAP)
    last_cpu_ms = before.raw_cpu_ms
    if last_cpu_ms is None:
        last_cpu_ms = 0.0 if before.is_new else reading.cpu_ms
    elif before.raw_exact != reading.exact:
        last_cpu_ms = reading.cpu_ms
    return Counters(
        series=before.series,
        cpu_ms=_grow(before.cpu_ms, last_cpu_ms, reading.cpu_ms, reading.exact),
        memory_mb_s=(before.memory_mb_s or 0.0) + reading.memory_mb * elapsed,
        disk_mb_s=before.disk_mb_s
        if reading.disk_mb is None
        else (before.disk_mb_s or 0.0) + reading.disk_mb * elapsed,
        network_in=_grow(before.network_in, before.raw_network_in, reading.network_in, True),
        network_out=_grow(before.network_out, before.raw_network_out, reading.network_out, True),
        raw_cpu_ms=_newest(before.raw_cpu_ms, reading.cpu_ms),
        raw_exact=before.raw_exact if reading.cpu_ms is None else reading.exact,
        raw_network_in=_newest(before.raw_network_in, reading.network_in),
        raw_network_out=_newest(before.raw_network_out, reading.network_out),
        is_new=before.is_new,
    )


def _grow(total: float | None, last: float | None, now: float | None, exact: bool) -> float | None:
    if now is None:
        return total
    if last is None:
        grown = 0.0
    elif now >= last:
        grown = now - last
    else:
        grown = now if exact else 0.0
    return (total or 0.0) + grown


_Raw = TypeVar("_Raw", int, float)


def _newest(before: _Raw | None, now: _Raw | None) -> _Raw | None:
    return before if now is None else now

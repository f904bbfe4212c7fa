"""From what was read to counters that only grow: pure."""

import msgspec

from freehold.protocol.meters import METERS, Source

LONGEST_GAP = 3600.0
"""Seconds. Readings further apart: the machine slept or its clock jumped; no more than this is counted."""


class Reading(msgspec.Struct, frozen=True):
    """What was read of a partition at one moment."""

    values: dict[str, float]
    """By meter: of a level what there is, of a counter where it stands. Absent: cannot be measured here."""
    exact: bool = True
    """What it counts of its own is counted by the kernel (a cgroup); else it is a sum over living processes."""


class Counters(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a partition used since its instance was placed, and the raw values last read, by meter."""

    series: str = ""
    """The name under which they are told: chosen when they begin."""
    used: dict[str, float] = {}
    raw: dict[str, float] = {}
    raw_exact: bool = False
    """Where `raw` came from: values of two sources cannot be compared."""
    is_new: bool = False
    """Its partition was empty when it came: all that is ever read there is its own use."""


def accumulate(before: Counters, reading: Reading, elapsed: float) -> Counters:
    """Return the counters after a reading, `elapsed` seconds after the one before. They never decrease.

    A raw value smaller than the last one was reset (a new boot, a new cgroup). If it is the kernel's own
    counter, what it shows now was used since the reset. If it is a sum over living processes, one of them
    ended unseen: nothing is added, because that time was counted while it lived.

    The first value of an inherited counter is only where counting starts: what it counted was another's before.
    A counter of its own counts from zero where the instance is new, for its processes and cgroup are then new too. Else
    what was counted before was lost, and may have been told: the first reading is where counting starts again.
    """
    elapsed = min(max(elapsed, 0.0), LONGEST_GAP)
    used, raw, exact = dict(before.used), dict(before.raw), before.raw_exact
    for name, now in reading.values.items():
        source = METERS[name].source
        if source is Source.LEVEL:
            used[name] = used.get(name, 0.0) + now * elapsed
            continue
        last, by_kernel = raw.get(name), True
        if source is Source.OWN:
            by_kernel = reading.exact
            if last is None:
                last = 0.0 if before.is_new else now
            elif before.raw_exact != reading.exact:
                last = now
            exact = reading.exact
        used[name] = used.get(name, 0.0) + _growth(last, now, by_kernel)
        raw[name] = now
    return Counters(before.series, used, raw, exact, before.is_new)


def _growth(last: float | None, now: float, by_kernel: bool) -> float:
    if last is None:
        return 0.0
    if now >= last:
        return now - last
    return now if by_kernel else 0.0

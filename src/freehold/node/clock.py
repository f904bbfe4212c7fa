"""The time, as well as this machine can know it.

A machine's own clock may be wrong by years (an empty battery) and jump (somebody sets it). So it is read once a
boot; from there on, time is what passed since, by a clock that never jumps. It is never before what was written
down last, and it is set right by the Master, whose answers say what time it is.
"""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol

TOLERANCE = 10.0
"""Seconds that we may differ from what the Master said when we hear it: it says whole seconds, and answers travel."""
LEEWAY = 300.0
"""Seconds by which the clock of who made a certificate may be ahead."""


class TimeKeeper(Protocol):
    """Who is told what time it is, and asked whether dates can be right."""

    def hear(self, moment: float) -> object: ...

    def believes(self, begins: float, ends: float) -> bool: ...


class Hardware:
    """What a machine itself knows of time."""

    def wall(self) -> float:
        """Return what its own clock shows, right or wrong: seconds since 1970 UTC."""
        return time.time()

    def since_boot(self) -> float:
        """Return the seconds since it started, those in which it slept included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot(self) -> str:
        """Return what tells this boot from any other."""
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Clock:
    """Seconds since 1970 UTC, that pass evenly within a boot."""

    def __init__(
        self,
        anchor: float | None = None,
        *,
        latest: float = 0.0,
        heard: bool = False,
        hardware: Hardware | None = None,
    ) -> None:
        """`anchor`: when this boot began, if that was noted before; `latest`: a moment that is past for certain."""
        self.hardware = hardware or Hardware()
        if anchor is None:
            anchor = max(self.hardware.wall(), latest) - self.hardware.since_boot()
        self.anchor = anchor
        self.latest = latest
        self.heard = heard
        """Whether the Master said what time it is since this boot was noted."""

    def now(self) -> float:
        return self.anchor + self.hardware.since_boot()

    def hear(self, moment: float) -> float:
        """Take note of what time it is for the Master; return the seconds by which this clock was set forward."""
        self.heard = True
        shift = moment - self.now()
        if abs(shift) <= TOLERANCE:
            return 0.0
        self.anchor += shift
        return shift

    def believes(self, begins: float, ends: float) -> bool:
        """Return whether a certificate with these dates may be valid now.

        Before the Master was heard this clock may be wrong by years: then only one that ended before a moment that is
        past for certain is not believed.
        """
        if not self.heard:
            return ends > self.latest
        return begins - LEEWAY <= self.now() < ends


def date(header: str | None) -> float | None:
    """Return the moment that an HTTP `Date` says; None when it says none."""
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, OverflowError):
        return None

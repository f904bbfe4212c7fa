"""The time, as well as this machine can know it.

A machine's own clock may be wrong by years (an empty battery) and jump (somebody sets it). So it is read once a
boot; from there on, time is what passed since, by a clock that never jumps. It is never before what was written
down last, and it is set right by the Master, whose answers say what time it is. One answer sets it right by an hour at
most: further it goes only where the machine's own clock agrees, or where the Master says the same for long enough.
"""

import ctypes
import time
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Protocol

TOLERANCE = 10.0
"""Seconds that we may differ from what the Master said when we hear it: it says whole seconds, and answers travel."""
STEP = 3600.0
"""Seconds by which one answer moves the clock at most, and by which two clocks that agree may differ."""
AGREEMENT = 600.0
"""Seconds for which answers must agree before they move the clock further, once it was set in a boot.

The first answer of a boot is believed: what is measured until then would be of a time that never was, and nobody would
take it. Were it wrong, it is unlearned like any other.
"""


_TIME_ERROR = 5
"""What adjtimex(2) answers for a clock that nobody keeps right."""


class TimeKeeper(Protocol):
    """Who is told what time it is, and asked whether dates can be right."""

    def hear(self, moment: float) -> object: ...

    def believes(self, begins: float, ends: float) -> bool: ...

    def shows(self) -> float | None: ...


class Hardware:
    """What a machine itself knows of time."""

    def wall(self) -> float:
        """Return what its own clock shows, right or wrong: seconds since 1970 UTC."""
        return time.time()

    def since_boot(self) -> float:
        """Return the seconds since it started, those in which it slept included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def is_synchronised(self) -> bool:
        """Return whether the kernel says that its clock is kept right from elsewhere, as by NTP or GPS."""
        # adjtimex(2) with `modes` 0 changes nothing; a buffer larger than any `struct timex`.
        state: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))
        return 0 <= state < _TIME_ERROR

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
        certain: float = 0.0,
        hardware: Hardware | None = None,
    ) -> None:
        """`anchor`: when this boot began, if that was noted before; `latest`: the last moment that was written down;
        `heard`: whether the Master and this clock agreed in this boot; `certain`: when they agreed last, in any boot.
        """
        self.hardware = hardware or Hardware()
        if anchor is None:
            anchor = max(self.hardware.wall(), latest) - self.hardware.since_boot()
        self.anchor = anchor
        self.heard = heard
        self._certain = certain
        self._stepped = -AGREEMENT
        self._claim: tuple[float, float] | None = None
        """When this boot began by answers that contradict this clock, and since when (`since_boot`) they say so."""

    def now(self) -> float:
        return self.anchor + self.hardware.since_boot()

    def hear(self, moment: float) -> float:
        """Take note of what time it is for the Master; return the seconds by which this clock was set forward."""
        shift = moment - self.now()
        if abs(shift) > TOLERANCE and not self._is_agreed(moment, shift):
            return 0.0
        self.heard, self._claim = True, None
        if abs(shift) <= TOLERANCE:
            shift = 0.0
        self.anchor += shift
        self._certain = self.now()
        return shift

    def _is_agreed(self, moment: float, shift: float) -> bool:
        """Return whether something else than this one answer says that this clock is wrong."""
        passed = self.hardware.since_boot()
        if abs(shift) <= STEP and passed - self._stepped >= AGREEMENT:
            # Many small steps must not become a large one.
            self._stepped = passed
            return True
        if abs(self.hardware.wall() - moment) <= STEP:
            return True
        began = moment - passed
        if self._claim is None or abs(began - self._claim[0]) > TOLERANCE:
            self._claim = began, passed
        return not self.heard or passed - self._claim[1] >= AGREEMENT

    def shows(self) -> float | None:
        """Return the time by a clock that owes nothing to the Master; None where this machine has none.

        That is its own clock, while something else than the Master keeps it right.
        """
        return self.hardware.wall() if self.hardware.is_synchronised() else None

    def believes(self, begins: float, ends: float) -> bool:
        """Return whether a certificate with these dates may be valid now.

        The authority is pinned: only a certificate that is over both by the machine's own clock and by what the Master
        said is not believed. A clock that is wrong, or was heard wrong, is no reason to refuse who can set it right.
        """
        heard = max(self._certain, self.now()) if self.heard else self._certain
        return ends > min(self.hardware.wall(), heard)


def date(header: str | None) -> float | None:
    """Return the moment that an HTTP `Date` says; None when it says none."""
    try:
        return parsedate_to_datetime(header).timestamp() if header else None
    except (ValueError, OverflowError):
        return None


def header(moment: float) -> str:
    """Return a moment as an HTTP `Date` says it."""
    return formatdate(moment, usegmt=True)

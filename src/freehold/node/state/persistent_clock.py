"""The node's clock, with what of it outlives the process: when this boot began, and when the Master was last heard."""

import logging
from collections.abc import Callable

import msgspec

from freehold.node.clock import Clock, Hardware
from freehold.node.state.database import Database

MILLISECOND = 0.001
"""To which times are rounded in reports."""
_log = logging.getLogger(__name__)


class Correction(msgspec.Struct, frozen=True):
    """How the clock was set right: every time from `since` on moves by `shift`, to `floor` at the earliest."""

    shift: float
    since: float
    floor: float


class PersistentClock:
    """The clock of this boot, as it was set before in it. Safe from any thread."""

    def __init__(self, database: Database, hardware: Hardware) -> None:
        self._database, self._hardware = database, hardware
        self._corrected: Callable[[Correction], None] = lambda _: None
        self._began = 0.0
        """When this boot began for us; what has a later time was written in it."""
        self._clock = self._wind()

    def when_corrected(self, corrected: Callable[[Correction], None]) -> None:
        """Have `corrected` called in the transaction that sets the clock right, for what else holds times."""
        self._corrected = corrected

    def now(self) -> float:
        """Return the time, seconds since 1970 UTC, as well as this machine can know it."""
        return self._clock.now()

    def since_boot(self) -> float:
        """Return the seconds since the machine started: no clock that anybody sets."""
        return self._hardware.since_boot()

    @property
    def heard(self) -> bool:
        """Whether the Master and this clock agreed in this boot."""
        return self._clock.heard

    @property
    def was_heard(self) -> bool:
        """Whether the Master ever said what time it is, to this process or to one before."""
        return self.heard or bool(self._database.get("heard", ""))

    def hear(self, moment: float) -> None:
        """Take note of what time it is for the Master."""
        # Under one lock the clock and what has times of it move: no other thread writes by the one or the other.
        with self._database.lock:
            began, heard = self._began, self.heard
            if shift := self._clock.hear(moment):
                with self._database.transaction():
                    self._correct(began, shift)
            elif self.heard and not heard:
                with self._database.transaction(quietly=True):
                    self._save_boot(began)

    def shows(self) -> float | None:
        """Return the time by a clock that owes nothing to the Master; None where this machine has none."""
        return self._clock.shows()

    def believes(self, begins: float, ends: float) -> bool:
        """Return whether a certificate with these dates may be valid now."""
        return self._clock.believes(begins, ends)

    def save_latest(self, moment: float) -> None:
        """Write down a moment before which it will never be again."""
        self._database.set("latest", repr(moment))

    def save_contact(self) -> None:
        """Write down that the Master is heard now, if this clock agrees with its own."""
        if self.heard:
            self._database.set("heard", repr(self.now()))

    def _correct(self, began: float, shift: float) -> None:
        _log.warning("this machine's clock was wrong by %.0f s; times are those of the Master from here on", -shift)
        self._save_boot(began + shift)
        # Later than this boot began: written in it. With a clock that ran ahead before, earlier boots too, and their
        # error may have been another one: but they were not before the Master was last heard.
        # A moment at which it was heard may be wrong too: it cannot be later than now.
        since = min(began, self._began) - MILLISECOND
        floor = min(self._last_heard(), self.now())
        self._database.set("heard", repr(floor))
        self._corrected(Correction(shift, since, floor))
        self.save_latest(self.now())

    def _wind(self) -> Clock:
        latest, certain = float(self._database.get("latest", "0")), self._last_heard()
        saved = msgspec.json.decode(self._database.get("boot", "{}"), type=dict[str, str | float | bool])
        if saved.get("boot") == self._hardware.boot():
            self._began = float(saved["began"])
            heard = bool(saved.get("heard"))
            return Clock(float(saved["anchor"]), heard=heard, certain=certain, hardware=self._hardware)
        # A little later than all of the boot before, so that the two are told apart.
        self._clock = Clock(latest=latest + 2 * MILLISECOND, certain=certain, hardware=self._hardware)
        self._save_boot(self._clock.now())
        return self._clock

    def _save_boot(self, began: float) -> None:
        """Write down when this boot began, as it is now known."""
        self._began = began
        boot = {"boot": self._hardware.boot(), "anchor": self._clock.anchor, "began": began, "heard": self.heard}
        self._database.set("boot", msgspec.json.encode(boot).decode())

    def _last_heard(self) -> float:
        return float(self._database.get("heard", "0"))

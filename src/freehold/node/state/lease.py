"""The lease: for how long what can move to another node may run on this one, without a word of the Master.

Its moments are seconds since the boot, with the boot that they are of: no clock that anybody sets has a part in it.
Decision 0021 says why it is safe.
"""

import math

from freehold.node.clock import Hardware
from freehold.node.state.database import Database


class Lease:
    """The lease, as the Master granted it and as this boot counts it."""

    def __init__(self, database: Database, hardware: Hardware) -> None:
        self._database, self._hardware = database, hardware

    def apply(self, seconds: float) -> None:
        """Take over what the feed says of the lease: its length in seconds, 0 without one."""
        if seconds and not self.seconds:
            # It begins now: the Master counts on it only when it was told that we obey.
            self._database.set("leased", f"{self._hardware.boot()} {self._hardware.since_boot()!r}")
            self._database.set("unheard", "")
        self._database.set("lease", repr(seconds))

    @property
    def seconds(self) -> float:
        """Seconds during which movable instances may run after the Master took a report; 0: for ever."""
        return float(self._database.get("lease", "0.0"))

    def within(self, seconds: float) -> float:
        """Return so many seconds, or fewer: a lease is renewed several times before it is over."""
        return min(seconds, self.seconds / 4 or seconds)

    def renew(self, sent: float) -> None:
        """Note that the Master took a report that was sent at a moment of this boot (`since_boot`)."""
        with self._database.transaction(quietly=True):
            boot = self._hardware.boot()
            if not self._lasts() and not self._database.get("unheard", "").startswith(boot):
                # It was over: what can move may have moved, and only what the Master wants from now on tells.
                self._database.set("unheard", f"{boot} {self._hardware.since_boot()!r}")
            self._database.set("leased", f"{boot} {sent!r}")

    def feed_heard(self, asked_at: float) -> bool:
        """Note that the Master said what it wants, asked at a moment of this boot; return whether more may run now."""
        boot, _, unheard = self._database.get("unheard", "").partition(" ")
        if not unheard or (boot == self._hardware.boot() and asked_at < float(unheard)):
            return False
        with self._database.transaction(quietly=True):
            self._database.set("unheard", "")
        return True

    def left(self) -> float:
        """Return the seconds for which movable instances may run here; 0 when they may not, infinity without a lease.

        After a reboot nobody knows how long the machine was away: the Master must be heard first.
        """
        if not self.seconds:
            return math.inf
        return 0.0 if self._database.get("unheard", "") else self._lasts()

    def _lasts(self) -> float:
        boot, _, sent = self._database.get("leased", "- 0").partition(" ")
        if boot != self._hardware.boot():
            return 0.0
        return max(0.0, float(sent) + self.seconds - self._hardware.since_boot())

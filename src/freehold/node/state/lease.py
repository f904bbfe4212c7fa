"""The lease: for how long what can move to another node may run on this one, without a word of the Master.

Its moments are seconds since the boot, with the boot that they are of: no clock that anybody sets has a part in it.
Decision 0021 says why it is safe.
"""

import math

from freehold.node.state.outbox import Outbox


class Lease(Outbox):
    """The part of the store that knows of the lease."""

    def _take_lease(self, seconds: float) -> None:
        """Take over what the feed says of the lease, in its transaction."""
        if seconds and not self.lease:
            # It begins now: the Master counts on it only when it was told that we obey.
            self._set("leased", f"{self.clock.hardware.boot()} {self.clock.hardware.since_boot()!r}")
            self._set("unheard", "")
        self._set("lease", repr(seconds))

    @property
    def lease(self) -> float:
        """Seconds during which movable instances may run after the Master took a report; 0: for ever."""
        return float(self._get("lease", "0.0"))

    def within_lease(self, seconds: float) -> float:
        """Return so many seconds, or fewer: a lease is renewed several times before it is over."""
        return min(seconds, self.lease / 4 or seconds)

    def renew_lease(self, sent: float) -> None:
        """Note that the Master took a report that was sent at a moment of this boot (`since_boot`)."""
        with self._transaction(quietly=True):
            boot = self.clock.hardware.boot()
            if not self._lease_lasts() and not self._get("unheard", "").startswith(boot):
                # It was over: what can move may have moved, and only what the Master wants from now on tells.
                self._set("unheard", f"{boot} {self.clock.hardware.since_boot()!r}")
            self._set("leased", f"{boot} {sent!r}")

    def feed_heard(self, asked: float) -> bool:
        """Note that the Master said what it wants, asked at a moment of this boot; return whether more may run now."""
        boot, _, unheard = self._get("unheard", "").partition(" ")
        if not unheard or (boot == self.clock.hardware.boot() and asked < float(unheard)):
            return False
        with self._transaction(quietly=True):
            self._set("unheard", "")
        return True

    def lease_left(self) -> float:
        """Return the seconds for which movable instances may run here; 0 when they may not, infinity without a lease.

        After a reboot nobody knows how long the machine was away: the Master must be heard first.
        """
        if not self.lease:
            return math.inf
        return 0.0 if self._get("unheard", "") else self._lease_lasts()

    def _lease_lasts(self) -> float:
        boot, _, sent = self._get("leased", "- 0").partition(" ")
        if boot != self.clock.hardware.boot():
            return 0.0
        return max(0.0, float(sent) + self.lease - self.clock.hardware.since_boot())

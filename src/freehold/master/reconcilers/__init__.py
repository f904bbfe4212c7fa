"""Runs every room's `reconcile`: on a timer, and at once when somebody hints.

A reconciler takes no input: it looks at the database and moves it toward what it should be. So nothing can be
lost (no work is in flight) and two of them may run at once.
"""

import logging
import threading
import time
from collections.abc import Callable

from freehold.failpoints import failpoint
from freehold.master.billing import reconcile as billing
from freehold.master.fleet import reconcile as fleet
from freehold.master.foundation import hints
from freehold.master.foundation import reconcile as foundation
from freehold.master.generation import doubt
from freehold.master.monitoring import reconcile as monitoring
from freehold.master.ordering import reconcile as ordering
from freehold.master.people import reconcile as people
from freehold.master.support import reconcile as support
from freehold.master.usage import reconcile as usage

_log = logging.getLogger(__name__)

ROOMS: list[Callable[[], None]] = [fleet.reconcile, ordering.reconcile, billing.reconcile, support.reconcile]
IN_DOUBT: list[Callable[[], None]] = [support.reconcile]
"""What goes on while this Master doubts that it knows all: it tells of that. What nodes report waits."""
TIDY: list[Callable[[], None]] = [
    foundation.tidy,
    people.tidy,
    fleet.tidy,
    ordering.tidy,
    monitoring.tidy,
    billing.tidy,
    usage.tidy,
    support.tidy,
]
TIMER = 10.0
TIDY_TIMER = 3600.0


def run_once(*, tidy: bool = False) -> None:
    """Run every reconciler once; one that fails is logged and does not keep the others from running."""
    for room in IN_DOUBT if doubt.doubts() else [*ROOMS, *(TIDY if tidy else [])]:
        try:
            room()
            failpoint("room-reconciled")
        except Exception:
            _log.exception("%s.%s failed; it will be tried again", room.__module__, room.__name__)


class Reconcilers(threading.Thread):
    """The thread that runs them while the Master serves."""

    def __init__(self) -> None:
        super().__init__(name="reconcilers", daemon=True)
        self._wake = threading.Event()
        self._over = False

    def run(self) -> None:
        hints.listen(hints.REPORTED, self._wake.set)
        next_tidy = time.monotonic() + 60
        while not self._over:
            self._wake.wait(TIMER)
            self._wake.clear()
            tidy = time.monotonic() >= next_tidy
            if tidy:
                next_tidy = time.monotonic() + TIDY_TIMER
            run_once(tidy=tidy)
        hints.forget(hints.REPORTED, self._wake.set)

    def stop(self) -> None:
        """End after the run in progress."""
        self._over = True
        self._wake.set()
        self.join()

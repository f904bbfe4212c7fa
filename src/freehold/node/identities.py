"""Certificates: each instance's, with a next try of its own, and the node's, whose renewal depends on nobody.

What an instance has put in the place of its certificate is its own trouble: it is tried again ever later, and neither
another instance nor the node waits for it.
"""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from freehold.node.errors import LinkError
from freehold.node.runtime import Event, NamedThread

WORKERS = 8
"""Instances that get theirs at once: one whose own processes hold ours up keeps a worker for seconds."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
LOOK = 3600.0
"""Seconds after which every instance is looked at again: its certificate may be old by then."""
RENEWAL_LOOK, RENEWAL_PAUSE = 3600.0, 60.0
"""Seconds between looks whether the node's own must be renewed; after a failure."""
_log = logging.getLogger(__name__)


class Identities(NamedThread):
    """Gives instances their certificates until stopped."""

    def __init__(self, identify: Callable[[str], None], started: Callable[[], Iterable[str]]) -> None:
        super().__init__(name="identities", daemon=True)
        self._identify, self._list = identify, started
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._due: list[tuple[float, int, str]] = []
        self._next: dict[str, int] = {}
        """By instance: the number of its one valid entry in the heap; -1 while it is being looked at."""
        self._failures: dict[str, int] = {}
        """In a row."""
        self._over = False

    def want(self, instance: str) -> None:
        """Look at an instance soon."""
        with self._changed:
            self._failures.pop(instance, None)
            self._push(instance, 0.0)

    def stop(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()

    def run(self) -> None:
        look = 0.0
        with ThreadPoolExecutor(WORKERS, "identity") as workers:
            while not self._over:
                if time.monotonic() >= look:
                    look = time.monotonic() + LOOK
                    self._want_all()
                for instance in self._take_due(look):
                    workers.submit(self._look_at, instance)

    def _want_all(self) -> None:
        try:
            for instance in self._list():
                with self._changed:
                    if instance not in self._next:
                        self._push(instance, 0.0)
        except Exception:
            _log.exception("instances cannot be listed; going on")

    def _take_due(self, latest: float) -> list[str]:
        """Return the instances that are due, after waiting for one until a moment."""
        with self._changed:
            now = time.monotonic()
            moment = min(self._due[0][0], latest) if self._due else latest
            if moment > now:
                self._changed.wait(moment - now)
            due = []
            while self._due and self._due[0][0] <= time.monotonic():
                _, number, instance = heapq.heappop(self._due)
                if self._next.get(instance) == number:
                    self._next[instance] = -1
                    due.append(instance)
            return due

    def _look_at(self, instance: str) -> None:
        failure = ""
        try:
            self._identify(instance)
        except Exception as error:
            # Words of an instance's own code stay out of our log.
            failure = str(error) if isinstance(error, LinkError) else type(error).__name__
        with self._changed:
            if self._next.get(instance) == -1:
                del self._next[instance]
            if not failure:
                self._failures.pop(instance, None)
            elif instance not in self._next:
                failures = self._failures[instance] = self._failures.get(instance, 0) + 1
                pause = min(FIRST_PAUSE * 2.0 ** min(failures - 1, 16), LONGEST_PAUSE)
                self._push(instance, time.monotonic() + pause)
                _log.warning("%s gets no certificate now (try %s): %s", instance, failures, failure)

    def _push(self, instance: str, moment: float) -> None:
        number = self._next[instance] = next(self._numbers)
        heapq.heappush(self._due, (moment, number, instance))
        self._changed.notify()


def keep_renewed(is_due: Callable[[], bool], renew: Callable[[], None], over: Event) -> None:
    """Renew the node's own certificate in time, until it is over."""
    pause = 0.0
    while not over.wait(pause):
        pause = RENEWAL_LOOK
        try:
            if is_due():
                renew()
        except Exception as error:
            pause = RENEWAL_PAUSE
            _log.warning("the node's certificate cannot be renewed now: %s", error)

"""Whether what an instance runs lives: the promise `services`, made of what the supervisor tells of each process.

The one rule: the promise is kept while every process of the present configuration lives, has lived for its settle
time, or, if it runs once, has ended well; and once each promise of the release's author was checked since the
youngest of them was started. Until the supervisor said so of all of them the promise has no result, and an instance
whose promise has no result is not ready. A death, whenever it comes, breaks it at once.
"""

import math
import threading
from typing import Protocol

from freehold.node.partition.layout import SERVICES_PROMISE
from freehold.node.state.instances import DesiredInstance, Instances
from freehold.node.state.persistent_clock import PersistentClock
from freehold.node.state.results import Results
from freehold.node.supervisor.client import SupervisorEvent
from freehold.protocol.states import Observed

WELL = "every service lives"
_AT_ONCE_S = 1.0
"""What lived for less died right after its start."""
SETTLED, SETTLED_UNATTESTED = 0.1, 1.0
"""Seconds that a process lives before it counts as started.

Where promises of the release's author speak of what runs, it is enough that the program was there and did not fail at
once. Where there are none, nothing else will ever tell that a service cannot live.
"""


class Checks(Protocol):
    """Who checks the promises of the release's author."""

    def measured(self, partition: str) -> float:
        """Return when the oldest of the last checks of a partition's promises was ordered (monotonic)."""

    def look_again(self, partition: str, since: float) -> None:
        """Check each promise of a partition now whose last check was ordered before `since` (monotonic)."""


class Services:
    """What is known of the processes of each partition. Safe from any thread."""

    def __init__(self, instances: Instances, results: Results, clock: PersistentClock, checks: Checks) -> None:
        self._instances, self._results, self._clock = instances, results, clock
        self._checks = checks
        self._lock = threading.Lock()
        self._expected: dict[str, dict[str, str]] = {}
        """By partition and process: the version that is to live, as the supervisor named it."""
        self._heard: dict[str, dict[str, SupervisorEvent]] = {}
        """By partition and process: what the supervisor told last."""
        self._unmeasured: dict[str, float] = {}
        """By partition whose processes live, and whose promises were not all checked since: since when."""

    def expect(self, partition: str, versions: dict[str, str]) -> None:
        """Take these as the processes of a partition: by name, the version that `Supervisor.apply` answered."""
        with self._lock:
            self._expected[partition] = versions
            heard = self._heard.get(partition, {})
            self._heard[partition] = {name: event for name, event in heard.items() if name in versions}

    def forget(self, partition: str) -> None:
        """Know nothing more of a partition in which nothing runs."""
        with self._lock:
            self._expected.pop(partition, None)
            self._heard.pop(partition, None)
            self._unmeasured.pop(partition, None)

    def hear(self, event: SupervisorEvent) -> None:
        """Note what the supervisor tells of a process, and tell what it means for its instance."""
        with self._lock:
            self._heard.setdefault(event.group, {})[event.name] = event
        self._tell_of(event.group)

    def recall(self, event: SupervisorEvent) -> None:
        """Note what the supervisor told of a process before we listened; what was heard of it since is newer."""
        with self._lock:
            heard = self._heard.setdefault(event.group, {})
            if event.name not in heard or heard[event.name].version != event.version:
                heard[event.name] = event

    def measured(self, partition: str) -> None:
        """Tell of the instance in a partition if that waited for the check of a promise, which has now a result."""
        with self._lock:
            waits = partition in self._unmeasured
        if waits:
            self._tell_of(partition)

    def tell(self, desired: DesiredInstance) -> None:
        """Note the promise of an instance as of its present configuration, unless it is not known yet."""
        if desired.state not in (Observed.STARTED, Observed.CONFIGURING):
            return
        partition, measured = desired.partition, self._checks.measured(desired.partition)
        with self._lock:
            expected, heard = self._expected.get(partition, {}), self._heard.get(partition, {})
            result, since = assess(expected, heard), youngest(expected, heard)
            unmeasured = bool(result and result[0]) and measured < since
            was_unmeasured = self._unmeasured.pop(partition, None) == since
            if unmeasured:
                self._unmeasured[partition] = since
        if unmeasured:
            if not was_unmeasured:
                self._checks.look_again(partition, since)
            if self._checks.measured(partition) >= since:
                # Meanwhile, when nobody knew yet that it is waited for.
                self.tell(desired)
            return
        mine = desired.instance, desired.state_revision, SERVICES_PROMISE
        if result is None and expected and self._results.is_kept(*mine):
            # It was kept with processes that are gone: after a start of the machine, or a new configuration.
            result = False, _starting(expected, heard)
        if result is not None:
            kept, message = result
            self._results.record(*mine, kept, message, self._clock.now())

    def tell_all(self) -> None:
        """Tell of every instance, unless that was told lately; called now and then."""
        for desired in self._instances.started():
            self.tell(desired)

    def _tell_of(self, partition: str) -> None:
        for desired in self._instances.started(partition):
            self.tell(desired)


def assess(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> tuple[bool, str] | None:
    """Return whether the processes live, and in which words; None: that cannot be said yet. Pure.

    `expected`: by process, its version; `heard`: by process, what was told last, maybe of a former version.
    """
    known = _known(expected, heard)
    if broken := [event for event in known if not event.well]:
        return False, "; ".join(_death(event) for event in broken)
    return (True, WELL) if expected and not _awaited(expected, heard) else None


def youngest(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> float:
    """Return when the youngest of the services that live was started (monotonic). Pure."""
    # What runs once is started for its end, which promises need not have seen.
    known = [event.since for event in _known(expected, heard) if not event.name.startswith("run/")]
    return max(known, default=-math.inf)


def _known(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> list[SupervisorEvent]:
    return [event for name, event in heard.items() if expected.get(name) == event.version]


def _awaited(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> list[str]:
    # A supervisor that an earlier version started names no versions, and tells of deaths only.
    named = expected if any(expected.values()) else {}
    return [name for name in named if name not in {event.name for event in _known(expected, heard)}]


def _starting(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> str:
    names = ", ".join(name.partition("/")[2] for name in _awaited(expected, heard))
    return f"{names}: started, and has not lived for long enough yet"


def _death(event: SupervisorEvent) -> str:
    kind, _, name = event.name.partition("/")
    status = f"status {event.exit}" if event.exit is not None else "a status that is not known"
    log = f"see var/log/{name}.log"
    if kind == "run":
        return f"{name}, which runs once, ended with {status}; {log}"
    when = f"{event.lived:g} s after its start, with {status}"
    if event.lived < _AT_ONCE_S:
        # A busy machine needs a part of a second for what can never run: the words stay the same.
        when = f"right after its start, with {status}"
    if event.deaths < 1:
        return f"{name} died {when}, and is started again; {log}"
    if event.deaths < 2:
        return f"{name} died {when}; {log}"
    return f"{name} died {event.deaths} times in a row, the last time {when}; {log}"

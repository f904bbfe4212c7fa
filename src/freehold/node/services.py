"""Whether what an instance runs lives: the promise `services`, made of what the supervisor tells of each process.

The one rule: the promise is kept when every process of the present configuration has lived for its settle time
without a death, or, if it runs once, has ended well. Until the supervisor said either of all of them the promise has
no result, and an instance whose promise has no result is not ready.
"""

import threading

from freehold.node.state.desired import DesiredInstance, Store
from freehold.node.supervisor.client import SupervisorEvent
from freehold.protocol.states import Observed

SERVICES = "services"
"""The promise of every instance that runs something."""
WELL = "every service lives"
SETTLED, SETTLED_UNATTESTED = 0.1, 1.0
"""Seconds that a process lives before it counts as started.

Where promises of the release's author speak of what runs, it is enough that the program was there and did not fail at
once. Where there are none, nothing else will ever tell that a service cannot live.
"""


class Services:
    """What is known of the processes of each partition. Safe from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._expected: dict[str, dict[str, str]] = {}
        """By partition and process: the version that is to live, as the supervisor named it."""
        self._heard: dict[str, dict[str, SupervisorEvent]] = {}
        """By partition and process: what the supervisor told last."""

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

    def hear(self, event: SupervisorEvent) -> None:
        """Note what the supervisor tells of a process, and tell what it means for its instance."""
        with self._lock:
            self._heard.setdefault(event.group, {})[event.name] = event
        for desired in self._store.started(event.group):
            self.tell(desired)

    def tell(self, desired: DesiredInstance) -> None:
        """Note the promise of an instance as of its present configuration, unless it is not known yet."""
        if desired.state not in (Observed.STARTED, Observed.CONFIGURING):
            return
        with self._lock:
            expected = self._expected.get(desired.partition, {})
            result = assess(expected, self._heard.get(desired.partition, {}))
        if result is not None:
            kept, message = result
            self._store.promise_is(desired.instance, desired.state_revision, SERVICES, kept, message, self._store.now())

    def tell_all(self) -> None:
        """Tell of every instance, unless that was told lately; called now and then."""
        for desired in self._store.started():
            self.tell(desired)


def assess(expected: dict[str, str], heard: dict[str, SupervisorEvent]) -> tuple[bool, str] | None:
    """Return whether the promise is kept, and in which words; None: that cannot be said yet. Pure.

    `expected`: by process, its version; `heard`: by process, what was told last, maybe of a former version.
    """
    known = [event for name, event in heard.items() if expected.get(name) == event.version]
    if broken := [event for event in known if not event.well]:
        return False, "; ".join(_death(event) for event in broken)
    # A supervisor that an earlier version started names no versions, and tells of deaths only.
    awaited = expected.keys() - {event.name for event in known} if any(expected.values()) else ()
    return (True, WELL) if expected and not awaited else None


def _death(event: SupervisorEvent) -> str:
    kind, _, name = event.name.partition("/")
    status = f"status {event.exit}" if event.exit is not None else "a status that is not known"
    log = f"see var/log/{name}.log"
    if kind == "run":
        return f"{name}, which runs once, ended with {status}; {log}"
    if event.deaths < 2:
        return f"{name} died right after its start, with {status}; {log}"
    return f"{name} died {event.deaths} times in a row right after its start, the last time with {status}; {log}"

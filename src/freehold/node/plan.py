"""From what is wanted and what is found to what must be done: pure, tested as data.

`tests/unit/node/plan/*.json` holds cases (wanted and found, then steps); anyone can add one.
"""

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain

import msgspec

from freehold.protocol.states import Observed, SoftwareObserved, SoftwareWanted, Wanted

BUILD_PAUSE, LONGEST_BUILD_PAUSE = 5.0, 600.0
CONFIGURE_PAUSE, LONGEST_CONFIGURE_PAUSE = 1.0, 300.0
ASK_PAUSE, LONGEST_ASK_PAUSE = 1.0, 60.0
STUMBLE_PAUSE, LONGEST_STUMBLE_PAUSE = 1.0, 60.0
BUILDERS, MOST_BUILDERS = 2, 6
"""Builds that run at once: so many, and with those that had their turn."""
TURN = 600.0
"""Seconds after which a build that still runs leaves its place to another that waits."""
CONFIGURERS = 4
"""Configurations that run at once, not counting those that had their turn."""
CONFIGURE_TURN = 10.0
"""Seconds after which a configuration that still runs leaves its place to another that waits, and runs on beside it."""


class PlannedSoftware(msgspec.Struct, frozen=True):
    """A release: what is wanted of it here and what is found."""

    release: str
    wanted: SoftwareWanted
    state: SoftwareObserved | None = None
    attempts: int = 0
    """Builds that failed in a row."""
    next_try: float = 0.0
    """Not before this moment (seconds since 1970 UTC)."""


class PlannedInstance(msgspec.Struct, frozen=True):
    """An instance: what is wanted of it here and what is found."""

    instance: str
    partition: str
    release: str
    wanted: Wanted
    revision: int
    state: Observed | None = None
    state_revision: int = 0
    """The revision of what was wanted when the state was reached."""
    attempts: int = 0
    next_try: float = 0.0
    renew_at: float = 0.0
    """When it must be configured again, for a certificate; 0: never."""
    unasked: bool = False
    """What it requests of others was not granted yet."""
    ask_next_try: float = 0.0
    movable: bool = False
    """It runs elsewhere once this node's lease is over."""
    hold: bool = False
    """It may run elsewhere: it is not begun here."""


class Verb(StrEnum):
    """What can be done."""

    BUILD = "build"
    REMOVE = "remove"
    WAIT = "wait"
    """Say that the instance waits for its release."""
    CONFIGURE = "configure"
    """Configure, then start what must run."""
    ASK = "ask"
    """Request of the Master what the instance requests of others."""
    STOP = "stop"
    DESTROY = "destroy"


class Step(msgspec.Struct, frozen=True):
    """One thing to do to a release or an instance."""

    verb: Verb
    subject: str


def plan(
    software: Iterable[PlannedSoftware],
    instances: Iterable[PlannedInstance],
    now: float,
    *,
    lease_is_over: bool = False,
) -> list[Step]:
    """Return the steps that are due, ends before beginnings.

    With `lease_is_over` what can move may run elsewhere by now: here it must not.
    One step at most for each release and instance; the caller leaves out those that are being worked on.
    """
    software, instances = list(software), list(instances)
    built = {release.release for release in software if release.state is SoftwareObserved.AVAILABLE}
    used = {instance.release for instance in instances if instance.state is not Observed.DESTROYED}
    lent = [
        instance for instance in instances if lease_is_over and instance.movable and instance.wanted is Wanted.STARTED
    ]
    instances = [instance for instance in instances if instance not in lent]
    steps = [step for instance in instances if (step := _ending(instance, now)) is not None]
    steps += [
        Step(Verb.STOP, instance.instance)
        for instance in lent
        if instance.state in (Observed.STARTED, Observed.CONFIGURING)
    ]
    steps += [step for release in software if (step := _software(release, used, now)) is not None]
    occupied = {
        instance.partition
        for instance in instances
        if instance.wanted is Wanted.DESTROYED and instance.state is not Observed.DESTROYED
    }
    steps += [
        step
        for instance in instances
        # A partition is given to the next one when the former has left it.
        if instance.partition not in occupied and (step := _beginning(instance, built, now)) is not None
    ]
    return steps


def next_moment(software: Iterable[PlannedSoftware], instances: Iterable[PlannedInstance], now: float) -> float | None:
    """Return when a step that is not due yet will be; None when there is none."""
    instances = list(instances)
    tries = chain(
        (release.next_try for release in software),
        (instance.next_try for instance in instances),
        (instance.ask_next_try for instance in instances if instance.unasked),
    )
    moments = [moment for moment in tries if moment > now]
    return min(moments, default=None)


def may_build(running: Iterable[float]) -> bool:
    """Return whether one more build may begin beside those that have been running for so many seconds.

    A build that may never end keeps no other waiting for longer than its turn: it goes on beside it.
    """
    running = list(running)
    return len(running) < MOST_BUILDERS and sum(seconds < TURN for seconds in running) < BUILDERS


def configure_wait(running: Iterable[float]) -> float:
    """Return the seconds until one more configuration may begin beside those that have been running for so many."""
    fresh = sorted((CONFIGURE_TURN - seconds for seconds in running if seconds < CONFIGURE_TURN), reverse=True)
    return fresh[CONFIGURERS - 1] if len(fresh) >= CONFIGURERS else 0.0


def stumble_pause(attempts: int) -> float:
    """Return the seconds until a step is tried again that failed so often, in a row, as nobody foresaw."""
    return _pause(STUMBLE_PAUSE, attempts, LONGEST_STUMBLE_PAUSE)


def build_pause(attempts: int) -> float:
    """Return the seconds until the next try after so many failed builds."""
    return _pause(BUILD_PAUSE, attempts, LONGEST_BUILD_PAUSE)


def configure_pause(attempts: int) -> float:
    """Return the seconds until the next try after so many failed configurations."""
    return _pause(CONFIGURE_PAUSE, attempts, LONGEST_CONFIGURE_PAUSE)


def ask_pause(attempts: int) -> float:
    """Return the seconds until an instance's requests are repeated after so many that were not all granted."""
    return _pause(ASK_PAUSE, attempts, LONGEST_ASK_PAUSE)


def _pause(first: float, attempts: int, longest: float) -> float:
    # What fails for a week fails a thousand times: two to that power is no float any more.
    doublings = min(max(0, attempts - 1), 32)
    return min(first * float(1 << doublings), longest)


def _is_due(next_try: float, now: float, longest: float) -> bool:
    # A moment further away than any pause was noted by a clock that was wrong.
    return next_try <= now or next_try > now + longest


def _software(release: PlannedSoftware, used: set[str], now: float) -> Step | None:
    if release.wanted is SoftwareWanted.REMOVED:
        if release.release in used or release.state is SoftwareObserved.REMOVED:
            return None
        return Step(Verb.REMOVE, release.release)
    if release.state is SoftwareObserved.AVAILABLE or not _is_due(release.next_try, now, LONGEST_BUILD_PAUSE):
        return None
    return Step(Verb.BUILD, release.release)


def _ending(instance: PlannedInstance, now: float) -> Step | None:
    if not _is_due(instance.next_try, now, LONGEST_CONFIGURE_PAUSE):
        return None
    if instance.wanted is Wanted.DESTROYED and instance.state is not Observed.DESTROYED:
        return Step(Verb.DESTROY, instance.instance)
    if instance.wanted is Wanted.STOPPED and not _is(instance, Observed.STOPPED):
        return Step(Verb.STOP, instance.instance)
    return None


def _beginning(instance: PlannedInstance, built: set[str], now: float) -> Step | None:
    if instance.wanted is not Wanted.STARTED or (
        instance.hold and instance.state not in (Observed.STARTED, Observed.CONFIGURING)
    ):
        return None
    if _is(instance, Observed.STARTED, Observed.CONFIGURING) and not 0 < instance.renew_at <= now:
        if instance.unasked and _is_due(instance.ask_next_try, now, LONGEST_ASK_PAUSE):
            return Step(Verb.ASK, instance.instance)
        return None
    if instance.release not in built:
        return None if _is(instance, Observed.WAITING) else Step(Verb.WAIT, instance.instance)
    if not _is_due(instance.next_try, now, LONGEST_CONFIGURE_PAUSE):
        return None
    return Step(Verb.CONFIGURE, instance.instance)


def _is(instance: PlannedInstance, *states: Observed) -> bool:
    return instance.state in states and instance.state_revision >= instance.revision

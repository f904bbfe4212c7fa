"""What an instance is, from what is wanted, what its node said and whether the node is heard: pure.

An instance that requested others is what all of it is: `whole` says so, for every door.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from freehold.protocol.states import Observed, Stopped, Wanted

BARRED = "Its provider suspended its project: {} Its data is kept."
UNPAID = "It is not paid for: an invoice is long overdue. Its data is kept, and it starts again when that is paid."
TROUBLE = "trouble"
"""What is shown of a started instance with a broken promise."""
ENDING = "ending"
"""What is shown of an instance that is to be destroyed, and can be had back."""
NAMED = 3
"""Instances below another that its message names."""
STARTING_MS = 60_000
"""For so long after its start a promise that is not kept yet is no outage."""


class Health(StrEnum):
    """What is known now of the promises of what should run."""

    KEPT = "kept"
    STARTING = "starting"
    """Just started; not every promise is kept yet."""
    BROKEN = "broken"
    UNKNOWN = "unknown"
    """Its node is not heard, or did not check every promise."""
    NONE = ""
    """It does not run."""


@dataclass(frozen=True)
class ReportedState:
    """A promise's last result."""

    promise: str
    revision: int
    kept: bool
    message: str
    at: int


@dataclass(frozen=True)
class Status:
    """The one answer for every door."""

    state: str
    """waiting, building, configuring, started, stopping, stopped, failed, unreachable, destroying or destroyed."""
    message: str
    """Why, when it is not as wanted."""
    promises_kept: bool
    """Every promise of the present configuration was assessed, and kept, and its node is heard; so below it too."""
    ready: bool
    """It, with all below it, is as wanted: started with its promises kept, stopped, or destroyed."""
    health: Health = Health.NONE
    last_heard: int | None = None
    """While its node is silent: when it was last heard (milliseconds)."""
    last_known: str = ""
    """While its node is silent: the state that it was in then."""
    ends_at: int | None = None
    """While it is stopped because it is to be destroyed: when that is (milliseconds)."""

    @property
    def shown(self) -> str:
        """The one word for people: the state, unless what is known of a started one says more."""
        if self.state == "started" and self.health is Health.BROKEN:
            return TROUBLE
        if self.ends_at is not None and self.state != "unreachable":
            return ENDING
        return "starting" if self.state == "started" and self.health is Health.STARTING else self.state


def status(
    wanted: Wanted,
    revision: int,
    *,
    gone: bool,
    observed: str | None,
    observed_revision: int | None,
    observed_at: int | None,
    message: str | None,
    promises: Sequence[str],
    results: Sequence[ReportedState],
    software: str | None,
    software_message: str | None,
    now: int,
    suspended: bool = False,
    barred: str = "",
    last_heard: int | None = None,
    stopped: str = "",
) -> Status:
    """Combine what is wanted (at a revision) with what was last observed (as of a revision).

    `suspended`: nobody pays for it; `barred`: why its provider suspended its project, or empty.
    `now`, `observed_at` and `last_heard` are milliseconds; `last_heard` is None while the node is heard;
    `stopped` is what the node's operator stopped, by `protocol.states.Stopped`, or empty.
    """
    if gone:
        return Status("destroyed", "", False, wanted is Wanted.DESTROYED)
    silence = None if last_heard is None else _Silence(last_heard, stopped)
    if wanted is Wanted.DESTROYED:
        return _heard(Status("destroying", message or "", False, False), silence)
    if observed is None or (observed_revision or 0) < revision or observed == Observed.WAITING:
        return _heard(_on_its_way(wanted, observed, message, software, software_message), silence)
    if observed == Observed.STARTED and wanted is Wanted.STARTED:
        return _heard(_started(revision, promises, results, now - (observed_at or 0)), silence)
    if observed == Observed.STOPPED and wanted is Wanted.STOPPED:
        why = BARRED.format(barred) if barred else UNPAID if suspended else ""
        return _heard(Status("stopped", why, False, True), silence)
    return _heard(Status(_between(wanted, observed), message or "", False, False), silence)


def whole(own: Status, below: Mapping[str, Status]) -> Status:
    """Return what an instance is together with the living ones below it, by title.

    It is ready, stopped or destroyed when they are too; what ends below it matters to its own end alone. What is below
    an instance that is neither started nor stopped itself says nothing that its own state does not say.
    """
    lacking = {title: status for title, status in below.items() if not status.ready and status.state != "destroying"}
    if own.state == "destroyed" and below:
        return replace(own, state="destroying", ready=False, message=_lacking(below))
    if own.state not in ("started", "stopped") or not lacking:
        return own
    message = "\n".join(filter(None, [own.message, _lacking(lacking)]))
    if own.state == "stopped":
        return replace(own, state="stopping", ready=False, message=message)
    known = [own.health, *map(_health_in_whole, lacking.values())]
    worst = next(health for health in (Health.BROKEN, Health.UNKNOWN, Health.STARTING) if health in known)
    return replace(own, promises_kept=False, ready=False, health=worst, message=message)


def clustered(own: Status, is_settled: bool, is_stuck: bool, message: str) -> Status:
    """Return what an instance is by what is said of the clusters that it requested: ready when they are as wanted."""
    words = "\n".join(filter(None, [own.message, message]))
    if own.state != "started" or is_settled:
        return replace(own, message=words)
    health = Health.BROKEN if is_stuck else own.health
    return replace(own, ready=False, health=health, message=words)


def hosted(own: Status, host: Status) -> Status:
    """Return what a shared instance is by what its host is, which runs all of it."""
    if own.state != "started":
        return own
    if host.state in ("stopped", "stopping"):
        return Status("waiting", "What serves it is stopped.", False, False)
    if host.state != "started" or host.health is Health.KEPT:
        return own
    message = "What serves it does not keep its promises." if host.health is Health.BROKEN else ""
    return replace(own, message=message, promises_kept=False, ready=False, health=host.health)


def _health_in_whole(part: Status) -> Health:
    if part.state == "started":
        return part.health
    if part.state in ("failed", "unreachable"):
        return Health.BROKEN if part.state == "failed" else Health.UNKNOWN
    return Health.STARTING


def _lacking(parts: Mapping[str, Status]) -> str:
    named = [f"'{title}' is {part.shown}" for title, part in sorted(parts.items())[:NAMED]]
    more = f", and {len(parts) - NAMED} more are not ready" if len(parts) > NAMED else ""
    return ", ".join(named) + more + "."


def _started(revision: int, promises: Sequence[str], results: Sequence[ReportedState], age: int) -> Status:
    results_by_name = {result.promise: result for result in results if result.revision >= revision}
    kept = all(name in results_by_name and results_by_name[name].kept for name in promises)
    broken = [result.message for result in results_by_name.values() if not result.kept and result.promise in promises]
    if kept:
        health = Health.KEPT
    elif age < STARTING_MS:
        health = Health.STARTING
    else:
        health = Health.BROKEN if broken else Health.UNKNOWN
    return Status("started", "; ".join(broken), kept, kept, health)


@dataclass(frozen=True)
class _Silence:
    """Since when a node is not heard, and what of it its operator stopped."""

    since: int
    stopped: str

    def __str__(self) -> str:
        when = datetime.fromtimestamp(self.since / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        if self.stopped == Stopped.NODE:
            return f"Its node was stopped by its operator at {when}, and it with it"
        if self.stopped == Stopped.AGENT:
            return f"The agent of its node was stopped by its operator at {when}; what it does since is not known"
        return f"Its node was last heard at {when}"


def _heard(known: Status, silence: _Silence | None) -> Status:
    """Return what is known now: of a node that is not heard, only what was known when it was."""
    if silence is None:
        return known
    before = f" Then: {known.message}" if known.message else ""
    message = f"{silence}; it was {known.state} then.{before}"
    if known.state == "destroying":
        return replace(known, message=message, last_heard=silence.since, last_known=known.state)
    return Status("unreachable", message, False, False, Health.UNKNOWN, silence.since, known.state)


def _on_its_way(
    wanted: Wanted, observed: str | None, message: str | None, software: str | None, software_message: str | None
) -> Status:
    if software == "failed":
        return Status("failed", f"The release cannot be built:\n{software_message}", False, False)
    if observed == Observed.WAITING or observed is None:
        state = "building" if software == "building" else "waiting"
        return Status(state, message or _waiting_for(software), False, False)
    return Status(_between(wanted, observed), message or "", False, False)


def _waiting_for(software: str | None) -> str:
    if software == "available":
        return "Its node has not taken it up yet."
    return "Its release is not built yet on its node."


def _between(wanted: Wanted, observed: str) -> str:
    if wanted is Wanted.STOPPED and observed == Observed.STARTED:
        return "stopping"
    if observed in (Observed.STARTED, Observed.STOPPED):
        return "configuring"
    return observed

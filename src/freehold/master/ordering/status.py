"""What an instance is, from what is wanted and what its node said: pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from freehold.protocol.states import Observed, Wanted

UNPAID = "It is not paid for: an invoice is long overdue. Its data is kept, and it starts again when that is paid."


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
    """waiting, building, configuring, started, stopping, stopped, failed, destroying or destroyed."""
    message: str
    """Why, when it is not as wanted."""
    promises_kept: bool
    """Every promise of the present configuration was assessed, and kept."""
    ready: bool
    """It is as wanted: started with its promises kept, stopped, or destroyed."""


def status(
    wanted: Wanted,
    revision: int,
    *,
    gone: bool,
    observed: str | None,
    observed_revision: int | None,
    message: str | None,
    promises: Sequence[str],
    results: Sequence[ReportedState],
    software: str | None,
    software_message: str | None,
    suspended: bool = False,
) -> Status:
    """Combine what is wanted (at a revision) with what was last observed (as of a revision)."""
    if gone:
        return Status("destroyed", "", False, wanted is Wanted.DESTROYED)
    if wanted is Wanted.DESTROYED:
        return Status("destroying", message or "", False, False)
    if observed is None or (observed_revision or 0) < revision or observed == Observed.WAITING:
        if software == "failed":
            return Status("failed", f"The release cannot be built:\n{software_message}", False, False)
        if observed == Observed.WAITING or observed is None:
            return Status(
                "building" if software == "building" else "waiting",
                message or _waiting_for(software),
                False,
                False,
            )
        return Status(_on_the_way(wanted, observed), message or "", False, False)
    results_by_name = {one.promise: one for one in results if one.revision >= revision}
    kept = all(name in results_by_name and results_by_name[name].kept for name in promises)
    if observed == Observed.STARTED and wanted is Wanted.STARTED:
        broken = [one.message for one in results_by_name.values() if not one.kept and one.promise in promises]
        return Status("started", "; ".join(broken), kept, kept)
    if observed == Observed.STOPPED and wanted is Wanted.STOPPED:
        return Status("stopped", UNPAID if suspended else "", False, True)
    return Status(_on_the_way(wanted, observed), message or "", False, False)


def _waiting_for(software: str | None) -> str:
    if software == "available":
        return "Its node has not taken it up yet."
    return "Its release is not built yet on its node."


def _on_the_way(wanted: Wanted, observed: str) -> str:
    if wanted is Wanted.STOPPED and observed == Observed.STARTED:
        return "stopping"
    if observed in (Observed.STARTED, Observed.STOPPED):
        return "configuring"
    return observed

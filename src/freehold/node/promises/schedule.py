"""When a promise is checked next: pure."""

import zlib
from dataclasses import dataclass, replace

FIRST_RETRY = 0.03
SLOWEST_RETRY = 1.0
EAGER = 60.0
"""So many seconds after a configuration or a start a promise that was not kept yet is checked eagerly."""
BROKEN_RETRY = 15.0
"""A promise that was kept and is broken is checked again after so many seconds at most."""


@dataclass(frozen=True)
class PromiseState:
    """What the schedule remembers of a promise since its configuration."""

    awaited: float
    """Since when its being kept is waited for: its configuration, or the last start of what it speaks of."""
    ever_kept: bool = False
    """Since then."""
    failures: int = 0
    """In a row."""


def after(state: PromiseState, kept: bool) -> PromiseState:
    """Return the state after a result."""
    return replace(state, ever_kept=state.ever_kept or kept, failures=0 if kept else state.failures + 1)


def pause(state: PromiseState, now: float, period: float, name: str) -> float:
    """Return the seconds until the next check, given that the last result is in the state.

    Eager right after a configuration or a start, so that "ready" is seen when it becomes true; then each period, moved
    by up to a tenth of it, always the same for the same name, so that a node's promises do not march in step.
    """
    if state.failures and not state.ever_kept and now - state.awaited < EAGER:
        return min(FIRST_RETRY * 1.5 ** min(state.failures - 1, 50), SLOWEST_RETRY)
    if state.failures:
        return min(period, BROKEN_RETRY)
    return period * (0.9 + zlib.crc32(name.encode()) % 1000 / 5000)

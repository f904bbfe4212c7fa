"""What every promise is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Assessment:
    """The result of a check: whether the promise is kept, and in words why."""

    kept: bool
    message: str


AHEAD = 300.0
"""Seconds by which a recorded time may be ahead of this machine's clock; more is a clock that was wrong."""


def age(moment: float, now: float) -> float | None:
    """Return how old something recorded at a moment is; None when that is to come, and nobody knows."""
    return max(0.0, now - moment) if moment - now <= AHEAD else None


class Promise(Protocol):
    """A check that must hold."""

    @property
    def period(self) -> float:
        """Seconds between checks."""

    @property
    def timeout(self) -> float:
        """Seconds after which a check that did not end counts as broken."""

    def check(self) -> Assessment:
        """Look, and say what was found. An exception counts as broken, with its text as the message."""


@dataclass(frozen=True)
class Function:
    """A promise whose check is a function."""

    check: Callable[[], Assessment]
    period: float
    timeout: float


def every(period: float, timeout: float = 20.0) -> Callable[[Callable[[], Assessment]], Function]:
    """Make a function a promise: `@every(60)` above `def promise() -> Assessment`, in a plug-in file."""
    return lambda check: Function(check, period, timeout)


def source(promise: Promise) -> str:
    """Return the text of a plug-in file for a promise of this package."""
    kind = type(promise)
    return f"from {kind.__module__} import {kind.__qualname__}\n\npromise = {promise!r}\n"

"""Where bars and lines of a picture stand, in units of its drawing. Pure: templates draw it, style sheets colour it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 120
"""Of the area in which bars and lines are drawn."""
SMALLEST = 0.01
"""The smallest value at the upper edge of lines."""
_GAP = 1
"""Between two bars."""


@dataclass(frozen=True)
class Bar:
    """A step of time in which promises were kept for a part of it."""

    x: float
    width: float
    kept: float
    """Heights, from the bottom up: kept, then not known; what is above was not kept."""
    unknown: float
    is_empty: bool
    """Nothing counted: nothing was asked of the service, or nobody knows."""

    @property
    def kept_y(self) -> float:
        return _rounded(HEIGHT - self.kept)

    @property
    def unknown_y(self) -> float:
        return _rounded(HEIGHT - self.kept - self.unknown)


@dataclass(frozen=True)
class Line:
    """Values over time: the path of their line, broken where they are not known, and the value at the upper edge."""

    path: str
    top: float


def bars(shares: Sequence[tuple[float, float] | None]) -> list[Bar]:
    """Return a bar for each step: its shares (0 to 1) that were kept and that are not known; None: nothing counts."""
    step = WIDTH / len(shares)
    drawn = []
    for number, share in enumerate(shares):
        kept, unknown = share or (0.0, 0.0)
        kept = min(max(kept, 0.0), 1.0)
        unknown = min(max(unknown, 0.0), 1.0 - kept)
        drawn.append(
            Bar(
                x=_rounded(number * step),
                width=_rounded(step - _GAP),
                kept=_rounded(kept * HEIGHT),
                unknown=_rounded(unknown * HEIGHT),
                is_empty=share is None,
            )
        )
    return drawn


def line(values: Sequence[float | None]) -> Line | None:
    """Return the line of one value for each step, drawn over its middle; None when no value is known."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    top = _round_up(max(known))
    step = WIDTH / len(values)
    parts = []
    for stretch in _stretches(values):
        points = [
            f"{_rounded((number + 0.5) * step)} {_rounded(HEIGHT - min(value / top, 1) * HEIGHT)}"
            for number, value in stretch
        ]
        # A value alone is a short stroke: a path of one point draws nothing.
        parts.append("M" + "L".join(points) + (f"h{_rounded(step / 2)}" if len(points) == 1 else ""))
    return Line("".join(parts), top)


def _stretches(values: Sequence[float | None]) -> Iterator[list[tuple[int, float]]]:
    """Yield what follows each other without a gap."""
    stretch: list[tuple[int, float]] = []
    for number, value in enumerate(values):
        if value is not None:
            stretch.append((number, value))
        elif stretch:
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … that is no smaller; a hundredth at least."""
    if value <= SMALLEST:
        return SMALLEST
    size = 10.0 ** math.floor(math.log10(value))
    return next((step * size for step in (1, 2, 5) if step * size >= value), 10 * size)


def _rounded(number: float) -> float:
    return round(number, 1)

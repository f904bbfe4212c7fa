"""How long a service kept its promises. Pure.

The rule (decision 0020, `docs/billing.md`): a service is available while the last result of each of its promises is
`kept`. A result speaks until the next one, for two hours at most: nodes repeat one every quarter of an hour, and every
hour where a long absence thinned their history. What nobody speaks for is not kept; but where the node is silent still,
what it will say of that time is not yet known. Time that does not count (announced maintenance, a service that its
customer stopped) is neither.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from freehold.master.foundation import clock

SPEAKS = 2 * clock.HOUR
"""Milliseconds for which a result stands."""

Span = tuple[int, int]


@dataclass(frozen=True)
class Availability:
    """Milliseconds of a time: in which all promises were kept, which count at all, of which nothing is known yet."""

    kept: int
    counted: int
    unknown: int = 0
    """Of what counts and is not known as kept: what the node has yet to tell of."""

    @property
    def millionths(self) -> int:
        """The share that was kept, in parts of a million, never rounded up; all, where nothing counts."""
        return self.kept * 1_000_000 // self.counted if self.counted else 1_000_000

    @property
    def shares(self) -> tuple[float, float] | None:
        """What was kept of the time that counts and what is not known of it, 0 to 1; None where nothing counts."""
        return (self.kept / self.counted, self.unknown / self.counted) if self.counted else None


def kept_percent(known: Iterable[Availability]) -> float | None:
    """Return which percentage of what counts, and is known, was kept, never rounded up; None when nothing is known."""
    parts = list(known)
    counted = sum(part.counted - part.unknown for part in parts)
    return sum(part.kept for part in parts) * 10_000 // counted / 100 if counted else None


def availability(
    results: Mapping[str, Sequence[tuple[int, bool]]],
    span: Span,
    left_out: Iterable[Span],
    *,
    heard_until: int | None = None,
) -> Availability:
    """Return how long promises were kept in a time; `results` are moments and verdicts by promise, sorted by moment.

    `heard_until`: when the node was last heard, if it is silent still.
    """
    counted = _without([span], merged(left_out))
    spans = [span]
    for changes in results.values():
        spans = _common(spans, _kept(changes, span[1]))
    if not results:
        spans = []
    known = _common(spans, counted)
    unknown: list[Span] = []
    if heard_until is not None and heard_until < span[1]:
        unknown = _without(_common(counted, [(max(span[0], heard_until), span[1])]), known)
    return Availability(_length(known), _length(counted), _length(unknown))


def each_of(
    parts: Iterable[Span],
    results: Mapping[str, Sequence[tuple[int, bool]]],
    left_out: Iterable[Span],
    *,
    heard_until: int | None = None,
) -> list[Availability]:
    """Return how long promises were kept in each part of a time, as `availability` does for one."""
    left_out = list(left_out)
    kept = []
    for begin, end in parts:
        nearby = {
            promise: [result for result in changes if begin - SPEAKS <= result[0] < end]
            for promise, changes in results.items()
        }
        kept.append(availability(nearby, (begin, end), left_out, heard_until=heard_until))
    return kept


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return spans sorted, without overlaps."""
    joined: list[Span] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        elif begin < end:
            joined.append((begin, end))
    return joined


def _kept(changes: Sequence[tuple[int, bool]], end: int) -> list[Span]:
    following = [*(at for at, _ in changes[1:]), end]
    return merged((at, min(until, at + SPEAKS)) for (at, kept), until in zip(changes, following, strict=False) if kept)


def _common(first: list[Span], second: list[Span]) -> list[Span]:
    common, left, right = [], 0, 0
    while left < len(first) and right < len(second):
        begin, end = max(first[left][0], second[right][0]), min(first[left][1], second[right][1])
        if begin < end:
            common.append((begin, end))
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return common


def _without(spans: list[Span], holes: list[Span]) -> list[Span]:
    gaps = []
    for begin, end in spans:
        for hole_begin, hole_end in holes:
            if hole_end <= begin or hole_begin >= end:
                continue
            if begin < hole_begin:
                gaps.append((begin, hole_begin))
            begin = max(begin, hole_end)
        if begin < end:
            gaps.append((begin, end))
    return gaps


def _length(spans: Iterable[Span]) -> int:
    return sum(end - begin for begin, end in spans)

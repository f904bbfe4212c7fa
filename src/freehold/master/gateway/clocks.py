"""How this Master's clock compares with those of its nodes that something else than this Master keeps right.

Such a node says in each request what its clock shows (HTTP `Date`). What one machine says proves nothing; when most say
the same, it is the Master that is wrong.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from statistics import median

from freehold.master.foundation import clock

BOUND = 3600 * clock.SECOND
"""Milliseconds beyond which two clocks differ: smaller errors move no document by more than a day."""
LIVING_S = 15 * 60
"""Seconds for which what a node's clock showed counts: nodes come every ten minutes, or more often."""
MOST_KEPT = 1000
"""Nodes whose clocks are remembered: those that were heard last."""
FEWEST = 2
"""Nodes that can contradict the Master: it takes several, and more than half of those that were heard."""


@dataclass(frozen=True)
class Comparison:
    """What the clocks of nodes say of the Master's."""

    nodes: int = 0
    """So many were heard lately."""
    agreeing: int = 0
    ahead: int = 0
    """Milliseconds by which most say that the Master is ahead of them, negative: behind; 0: they do not say so."""

    @property
    def is_agreed(self) -> bool:
        """Whether most of those that were heard show about the same time."""
        return 2 * self.agreeing > self.nodes

    def resembles(self, former: "Comparison") -> bool:
        """Whether nothing that matters changed."""
        return (self.is_agreed, bool(self.ahead)) == (former.is_agreed, bool(former.ahead)) and (
            abs(self.ahead - former.ahead) < BOUND
        )


class NodeClocks:
    """What the clocks of nodes showed, each against a clock of this boot that nobody sets. Used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shown: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def note(self, node: str, date: str) -> None:
        """Note what a node's clock shows now, as an HTTP `Date`; what is none is no news."""
        try:
            shown = parsedate_to_datetime(date).timestamp() * clock.SECOND
        except (ValueError, OverflowError):
            return
        with self._lock:
            self._shown[node] = (shown, clock.passed())
            self._shown.move_to_end(node)
            if len(self._shown) > MOST_KEPT:
                self._shown.popitem(last=False)

    def compare(self) -> Comparison:
        """Return how the Master's clock compares with them, as it is now: also when it was set a moment ago."""
        passed, now = clock.passed(), clock.now()
        with self._lock:
            for node in [name for name, (_, at) in self._shown.items() if passed - at > LIVING_S]:
                del self._shown[node]
            shown = list(self._shown.values())
        ahead = [now - (moment + (passed - at) * clock.SECOND) for moment, at in shown]
        agreeing = sum(abs(offset) <= BOUND for offset in ahead)
        for off in ([offset for offset in ahead if offset > BOUND], [offset for offset in ahead if offset < -BOUND]):
            if len(off) >= FEWEST and 2 * len(off) > len(ahead):
                return Comparison(len(ahead), agreeing, round(median(off)))
        return Comparison(len(ahead), agreeing)

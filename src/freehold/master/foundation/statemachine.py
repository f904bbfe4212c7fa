"""State machines as literal tables.

The table is the whole truth: the code asks it, the documentation is drawn from it, the tests walk it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from freehold.master.foundation.errors import Conflict

S = TypeVar("S", bound=StrEnum)


@dataclass(frozen=True)
class StateMachine(Generic[S]):
    """Which state may follow which. A state may always follow itself: asking twice is harmless."""

    noun: str
    moves: Mapping[S, frozenset[S]]

    def allows(self, old: S, new: S) -> bool:
        return old is new or new in self.moves[old]

    def check(self, old: S, new: S) -> None:
        """Raise Conflict when `new` may not follow `old`."""
        if not self.allows(old, new):
            possible = ", ".join(sorted(self.moves[old])) or "nothing: this is its end"
            raise Conflict(
                f"{self.noun} is {old} and cannot become {new}",
                remedy=f"From {old} it can become {possible}.",
            )

    def drawing(self) -> str:
        """Return the table as a Markdown list, for the documentation."""
        return "\n".join(
            f"- `{old}` → {', '.join(f'`{new}`' for new in sorted(following)) or '(end)'}"
            for old, following in self.moves.items()
        )

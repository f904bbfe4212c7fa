"""Whether this Master doubts that it knows all, and what it does not do while it does."""

from dataclasses import dataclass
from pathlib import Path

from freehold.master.foundation import sql
from freehold.master.foundation.errors import InDoubt
from freehold.master.foundation.transactions import run

_SQL = sql.load(Path(__file__).parent / "sql" / "generation.sql", prepared=True)
WAYS_ON = (
    "Restore a newer backup of its database, if there is one. Otherwise go on without what came after this copy: "
    "freehold master resume --accept-loss."
)


@dataclass(frozen=True)
class Doubt:
    """Something that this Master said to a node, and does not know."""

    node: str
    reason: str
    at: int
    """Milliseconds since 1970 UTC."""


def doubts() -> list[Doubt]:
    """Return why this Master doubts that it knows all; empty when it does not."""
    return [Doubt(**row) for row in run(_SQL["doubts"])]


def refuse_in_doubt() -> None:
    """Raise InDoubt while there is a doubt: nothing is then ordered, destroyed or issued that could contradict it."""
    found = doubts()
    if found:
        raise InDoubt(f"This Master was restored from an older copy: {found[0].reason}.")


def begin_generation() -> int:
    """Go on from what this Master knows; return the new generation. Call it in a transaction."""
    (row,) = run(_SQL["begin"])
    return int(row["value"])

"""Whether this Master doubts that it knows all, and what it does not do while it does."""

from dataclasses import dataclass
from pathlib import Path

from freehold.master.foundation import clock, sql
from freehold.master.foundation.errors import InDoubt
from freehold.master.foundation.transactions import run
from freehold.master.generation.models import Doubt

_SQL = sql.load(Path(__file__).parent / "sql" / "generation.sql", prepared=True)
WAYS_ON = (
    "Restore a newer backup of its database, if there is one. Otherwise go on without what came after this copy: "
    "freehold master resume --accept-loss."
)


@dataclass(frozen=True)
class DoubtReason:
    """Something that this Master said to a node, and does not know."""

    node: str
    reason: str
    at: int
    """Milliseconds since 1970 UTC."""


def doubts() -> list[DoubtReason]:
    """Return why this Master doubts that it knows all; empty when it does not."""
    return [DoubtReason(**row) for row in run(_SQL["doubts"])]


def refuse_in_doubt() -> None:
    """Raise InDoubt while there is a doubt: nothing is then ordered, destroyed or issued that could contradict it."""
    reasons = doubts()
    if reasons:
        raise InDoubt(f"This Master was restored from an older copy: {reasons[0].reason}.")


@dataclass(frozen=True)
class Said:
    """The largest numbers that this Master is known to have given, though it does not know of them."""

    revision: int
    epochs: dict[str, int]
    """By node."""


def said() -> Said:
    """Return what nodes showed of numbers that were given and forgotten."""
    rows = list(Doubt.objects.values_list("node", "revision", "epoch"))
    epochs: dict[str, int] = {}
    for node, _, epoch in rows:
        epochs[node] = max(epoch, epochs.get(node, 0))
    return Said(max((revision for _, revision, _ in rows), default=0), epochs)


def is_due() -> bool:
    """Return whether the leases that a former generation gave may be over."""
    return bool(run(_SQL["due"], now=clock.now()))


def leases_are_over() -> bool:
    """Return, once, whether the leases that a former generation gave are over. Call it in a transaction."""
    now = clock.now()
    run(_SQL["unlearn"], now=now)
    return bool(run(_SQL["settle"], now=now))


def begin_generation(leased: float) -> int:
    """Go on from what this Master knows; return the new generation. Call it in a transaction.

    `leased`: seconds for which a node may run what can move, by a lease that this copy does not know of; 0: none.
    """
    now = clock.now()
    (row,) = run(_SQL["begin"], now=now, settles_at=now + round(leased * 1000) if leased else None)
    return int(row["value"])

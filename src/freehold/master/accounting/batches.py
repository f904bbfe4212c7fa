"""Batches: the only way into a ledger. Begin, write entries with the numbers given, seal; all in one transaction."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from freehold.master.foundation import clock, counters, sql
from freehold.master.foundation.transactions import run
from freehold.master.generation.clocks import refuse_wrong_clock
from freehold.master.generation.doubt import refuse_in_doubt

QUERIES = sql.load(Path(__file__).parent / "sql" / "ledger.sql")
_AT_ONCE = 10_000
"""Lines that are in memory at a time."""


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is open."""

    id: int
    entity: str
    first: int
    """Id of its first entry."""
    count: int
    """How many entries it has."""

    @property
    def last(self) -> int:
        return self.first + self.count - 1


@contextmanager
def batch(entity: str, purpose: str, count: int) -> Iterator[OpenBatch]:
    """Open a batch for so many entries, and seal it at the end, within a transaction of the caller.

    The database refuses to seal an entry that does not sum to zero, names an account that is none or lies in a locked
    time. Batches of a Master take turns, from their beginning to the end of their transaction. Raise InDoubt while this
    Master may be behind what it booked already: a second entry of the same number could not be taken back. Raise
    WrongClock while nodes contradict its clock, by which entries are dated.
    """
    refuse_in_doubt()
    refuse_wrong_clock()
    first = take("entry", count)
    (last,) = run(QUERIES["last_digest"], entity=entity) or [{"digest": ""}]
    (row,) = run(
        QUERIES["open_batch"],
        entity=entity,
        at=clock.now(),
        what=purpose,
        first=first,
        last=first + count - 1,
        previous=last["digest"],
    )
    opened = OpenBatch(row["id"], entity, first, count)
    yield opened
    run(QUERIES["seal"], batch=opened.id, digest=digest(last["digest"], opened.first, opened.last))
    counters.seal("entry")


def take(counter: str, count: int) -> int:
    """Return the first of the next numbers of a counter."""
    return counters.take(counter, count) - count + 1


def number(entity: str, kind: str, year: int, count: int = 1) -> int:
    """Return the first of the next numbers of a series."""
    run(QUERIES["add_series"], entity=entity, kind=kind, year=year)
    (row,) = run(QUERIES["take_series"], entity=entity, kind=kind, year=year, count=count)
    return int(row["last"]) - count + 1


def digest(previous: str, first: int, last: int) -> str:
    """Return the digest of a chain's link: of the one before, and of every line of the entries between two ids."""
    hashed = hashlib.sha256(previous.encode())
    with connection.chunked_cursor() as cursor:
        cursor.execute(QUERIES["lines"].format, {"first": first, "last": last})
        while rows := cursor.fetchmany(_AT_ONCE):
            hashed.update("\n".join(row[0] for row in rows).encode())
            hashed.update(b"\n")
    return hashed.hexdigest()

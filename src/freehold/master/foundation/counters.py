"""Numbers that are given once, by name of their counter (`models.Counter`)."""

from pathlib import Path

from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run

NAMES = ("entry", "document")
"""Of the counters that every Master has."""
_SQL = sql.load(Path(__file__).parent / "sql" / "counters.sql")


def take(counter: str, count: int) -> int:
    """Return the last of the next `count` numbers; the counter's row stays locked until the transaction ends."""
    (row,) = run(_SQL["take"], name=counter, count=count)
    return int(row["last"])


def seal(counter: str) -> None:
    """Note that what bears the numbers so far is finished for ever."""
    run(_SQL["sealed"], name=counter)

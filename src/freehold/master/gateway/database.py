"""Connections of the gateway: the driver itself, no ORM (an ORM call costs 0.5 ms and more, this 0.01 to 0.1).

One connection belongs to one thread.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from freehold.master.foundation import sql

_MASTER = Path(__file__).parent.parent
_OWNERS = ("fleet", "ordering", "monitoring", "usage", "generation")
"""The rooms that say how what nodes report is written into their tables: `ROOM/sql/reports.sql`."""
QUERIES = sql.load_all(
    [_MASTER / "gateway" / "sql" / "gateway.sql", *(_MASTER / room / "sql" / "reports.sql" for room in _OWNERS)]
)

Values = Mapping[str, object]


class DatabaseConnection:
    """One connection to the Master's database, SQLite or PostgreSQL, given by its URL."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite:")
        self._url = url
        self._driver: Any = None

    def rows(self, name: str, values: Values) -> list[tuple[Any, ...]]:
        """Run a named query and return its rows."""
        query = QUERIES[name]
        return list(self._open().execute(query.named if self.is_sqlite else query.format, values))

    def many(self, name: str, values: Sequence[Values]) -> int:
        """Run a named statement once for each set of values, in one go; return how many rows it wrote.

        On PostgreSQL as one statement where there is one for many, `NAME_arrays`.
        """
        if not values:
            return 0
        query = QUERIES[name]
        if self.is_sqlite:
            return int(self._open().executemany(query.named, values).rowcount)
        arrays = QUERIES.get(f"{name}_arrays")
        if arrays is not None:
            columns = {column: [row[column] for row in values] for column in values[0]}
            return int(self._open().execute(arrays.format, columns).rowcount)
        cursor = self._open().cursor()
        cursor.executemany(query.format, values)
        return int(cursor.rowcount)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction."""
        driver = self._open()
        if not self.is_sqlite:
            with driver.transaction():
                yield
            return
        with sql.sqlite_turn:
            driver.execute("BEGIN IMMEDIATE")
            try:
                yield
                driver.execute("COMMIT")
            except BaseException:
                # A full disk ends a transaction by itself.
                if driver.in_transaction:
                    driver.execute("ROLLBACK")
                raise

    def close(self) -> None:
        if self._driver is not None:
            self._driver.close()
            self._driver = None

    def _open(self) -> Any:
        if self._driver is None or (not self.is_sqlite and self._driver.closed):
            self._driver = _sqlite(self._url) if self.is_sqlite else _postgresql(self._url)
        return self._driver


def _sqlite(url: str) -> sqlite3.Connection:
    path = url.removeprefix("sqlite:///")
    driver = sqlite3.connect(path, isolation_level=None, timeout=20, check_same_thread=False)
    driver.execute("PRAGMA journal_mode=WAL")
    driver.execute("PRAGMA synchronous=FULL")
    return driver


def _postgresql(url: str) -> Any:
    import psycopg

    return psycopg.connect(url, autocommit=True)


def integrity_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions with which the drivers say that a constraint was broken."""
    try:
        import psycopg
    except ImportError:
        return (sqlite3.IntegrityError,)
    return (sqlite3.IntegrityError, psycopg.IntegrityError)

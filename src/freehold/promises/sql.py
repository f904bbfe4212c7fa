"""A database says what it should."""

import importlib
import math
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from freehold.promises.base import Assessment


@dataclass(frozen=True)
class SqlValue:
    """The one value that a query returns lies within bounds.

    `driver` is a module of Python's database interface that the node has: `sqlite3`, `psycopg`, `pymysql`.
    """

    driver: str
    database: str
    """As the driver's `connect` takes it: a path, a connection string. Passwords belong into a file that it names."""
    query: str
    least: float | None = None
    most: float | None = None
    period: float = 120.0
    timeout: float = 20.0

    def _connect(self) -> Any:
        driver = importlib.import_module(self.driver)
        if self.driver != "sqlite3" or self.database.startswith("file:"):
            return driver.connect(self.database)
        # Only looked at: one that is not there is not made.
        where = f"file:{quote(os.path.abspath(self.database))}?mode=ro"
        return driver.connect(where, uri=True, timeout=self.timeout)

    def check(self) -> Assessment:
        try:
            connection = self._connect()
            try:
                cursor = connection.cursor()
                cursor.execute(self.query)
                row = cursor.fetchone()
            finally:
                connection.close()
        except Exception as error:
            # Each driver has errors of its own.
            return Assessment(False, f"the query cannot be answered: {type(error).__name__}: {error}"[:1000])
        if row is None or row[0] is None:
            return Assessment(False, "the query returns nothing")
        try:
            value = float(row[0])
        except (TypeError, ValueError):
            return Assessment(False, f"the query returns no number: {str(row[0])[:100]!r}")
        if not math.isfinite(value):
            return Assessment(False, f"the query returns no number: {value}")
        is_within = (self.least is None or value >= self.least) and (self.most is None or value <= self.most)
        bounds = [f"at least {self.least:g}"] if self.least is not None else []
        bounds += [f"at most {self.most:g}"] if self.most is not None else []
        return Assessment(
            is_within, f"the query returns {value:g}{', must be ' if bounds else ''}{' and '.join(bounds)}"
        )


@dataclass(frozen=True)
class ReplicationLag(SqlValue):
    """A replica of PostgreSQL is at most so many seconds behind; with another query, any replica."""

    driver: str = "psycopg"
    database: str = ""
    query: str = (
        "SELECT CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 "
        "ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END"
    )
    most: float | None = 60.0

"""Reports that wait for the Master, in the node's memory: a SQLite file that survives power cuts.

A report gets its number and its place in the chain when it is written, and stays until the Master acknowledged it.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from freehold.protocol.report import GENESIS, Body, Item, Report, link

_SCHEMA = """
CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS outbox (sequence INTEGER PRIMARY KEY, hash TEXT NOT NULL, body BLOB NOT NULL);
"""


class Outbox:
    """The file, with the reports in it. Safe from any thread."""

    def __init__(self, path: Path, more: str = "") -> None:
        """Open the file, made when it is not there, with the tables of `more` in it."""
        self._told: Callable[[], None] = lambda: None
        self._lock = threading.RLock()
        # Partitions' users pass through this folder, and here is what every customer ordered; SQLite gives the
        # files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        # Reports become money: what was numbered must be there after a power cut.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA + more)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def when_told(self, told: Callable[[], None]) -> None:
        """Have `told` called after each change, for there may be reports to send."""
        self._told = told

    def tell(self, *items: Item) -> None:
        """Add a report; without items it is a heartbeat."""
        with self._transaction():
            self._tell(*items)

    def begin_epoch(self, epoch: int) -> None:
        """Start a new chain, after an enrolment: what was not told in the former one is told as new."""
        with self._transaction():
            if int(self._recall("epoch", "0")) == epoch:
                return
            bodies = [body for (body,) in self._rows("SELECT body FROM outbox ORDER BY sequence")]
            self._db.execute("DELETE FROM outbox")
            self._remember("epoch", str(epoch))
            self._remember("sequence", "0")
            self._remember("hash", GENESIS)
            self._remember("revision", "0")
            self._remember("host", "")
            for body in bodies:
                self._append(body)

    def outbox(self, most: int, most_bytes: int) -> list[Report]:
        """Return the oldest reports that were not acknowledged."""
        reports: list[Report] = []
        size = 0
        for sequence, digest, body in self._rows(
            "SELECT sequence, hash, body FROM outbox ORDER BY sequence LIMIT ?", (most,)
        ):
            size += len(body)
            if reports and size > most_bytes:
                break
            reports.append(Report(sequence, digest, msgspec.Raw(body)))
        return reports

    def outbox_size(self) -> int:
        """Return how many reports wait."""
        return int(self._rows("SELECT count(*) FROM outbox")[0][0])

    def acknowledged(self, sequence: int) -> None:
        """Forget the reports up to a number: the Master has them."""
        with self._transaction():
            self._db.execute("DELETE FROM outbox WHERE sequence <= ?", (sequence,))

    @property
    def epoch(self) -> int:
        return int(self._recall("epoch", "0"))

    # Inside

    def _tell(self, *items: Item) -> None:
        self._append(msgspec.json.encode(Body(round(time.time(), 3), list(items))))

    def _append(self, body: bytes) -> None:
        sequence = int(self._recall("sequence", "0")) + 1
        digest = link(self._recall("hash", GENESIS), body)
        self._db.execute("INSERT INTO outbox VALUES (?, ?, ?)", (sequence, digest, body))
        self._remember("sequence", str(sequence))
        self._remember("hash", digest)

    def _recall(self, name: str, default: str) -> str:
        rows = self._rows("SELECT value FROM memory WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else default

    def _remember(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (name, value))

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            changed = self._db.total_changes != before
        if changed:
            self._told()

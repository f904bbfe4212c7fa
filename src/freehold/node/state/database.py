"""The file of a node's state: one SQLite database, one lock, one transaction at a time. It survives power cuts.

What a node decided and the report of it are kept together or not at all: so all parts of the state share one handle.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

_SCHEMA = "CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
Row = TypeVar("Row")
Values = tuple[object, ...]
_log = logging.getLogger(__name__)


class Database:
    """The connection, and the memory of single values. Safe from any thread."""

    def __init__(self, path: Path, *, only_look: bool = False) -> None:
        """Open the file, made when it is not there.

        `only_look`: at a copy in memory, for the disk may be full or read-only.
        """
        self.lock = threading.RLock()
        """Whoever holds it sees no change of others between two reads."""
        self.folder = path.absolute().parent
        self._changed: Callable[[], None] = lambda: None
        self._connection = _look_into(path) if only_look else _open(path)
        self.create_tables(_SCHEMA)

    def close(self) -> None:
        with self.lock:
            self._connection.close()

    def create_tables(self, schema: str) -> None:
        """Create the tables and indices of a schema that do not exist yet."""
        self._connection.executescript(schema)

    def add_columns(self, table: str, columns: dict[str, str]) -> None:
        """Add the columns (name: definition) that a file of an earlier version lacks."""
        # `freehold node status` may open a new file at the same moment as the agent: we look when we have the lock.
        with self.transaction(quietly=True):
            present = set(self.values("SELECT name FROM pragma_table_info(?)", (table,)))
            for name, definition in columns.items():
                if name not in present:
                    self.execute(f"ALTER TABLE {table} ADD COLUMN {name} {definition}")

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after each change that is not made quietly."""
        self._changed = changed

    @contextmanager
    def transaction(self, *, quietly: bool = False) -> Iterator[None]:
        """Keep all that is changed meanwhile, or, after an error, nothing of it.

        A transaction within another of the same thread is a part of that one: an error in it must end both. The outer
        one alone decides whether the change is quiet.
        """
        with self.lock:
            # Under the lock an open transaction is this thread's own.
            if self._connection.in_transaction:
                yield
                return
            before = self._connection.total_changes
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A disk that is full ends some transactions by itself.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            changed = self._connection.total_changes != before
        if changed and not quietly:
            self._changed()

    def execute(self, query: str, values: Values = ()) -> int:
        """Change something; return how many rows."""
        with self.lock:
            return self._connection.execute(query, values).rowcount

    def execute_many(self, query: str, rows: Iterable[Values]) -> None:
        with self.lock:
            self._connection.executemany(query, rows)

    def select(self, kind: type[Row], query: str, values: Values = ()) -> list[Row]:
        """Return rows as structs, whose fields are the names of the columns."""
        return [msgspec.convert(row, kind, strict=False) for row in self.mappings(query, values)]

    def mappings(self, query: str, values: Values = ()) -> list[dict[str, Any]]:
        """Return rows by the names of their columns."""
        with self.lock:
            cursor = self._connection.execute(query, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]

    def values(self, query: str, values: Values = ()) -> list[Any]:
        """Return the rows of a query for one column."""
        with self.lock:
            return [value for (value,) in self._connection.execute(query, values)]

    def value(self, query: str, values: Values = (), default: Any = None) -> Any:
        """Return the first value of a query for one column."""
        return next(iter(self.values(query, values)), default)

    def get(self, name: str, default: str) -> str:
        """Return a single value of the memory."""
        return str(self.value("SELECT value FROM memory WHERE name = ?", (name,), default))

    def set(self, name: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO memory (name, value) VALUES (?, ?)", (name, value))

    def forget(self, name: str) -> None:
        self.execute("DELETE FROM memory WHERE name = ?", (name,))


def _open(path: Path) -> sqlite3.Connection:
    # Partitions' users pass through this folder, and here is what every customer ordered; SQLite gives the
    # files beside it the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    # Reports become money: what was numbered must be there after a power cut.
    database.execute("PRAGMA synchronous=FULL")
    return database


def put_damaged_aside(path: Path) -> Path | None:
    """Rename a store that SQLite cannot read, so that an empty one takes its place; return the new name, None if whole.

    Only whoever has the agent's lock may do so.
    """
    if not path.exists() or _is_whole(path):
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    # The log first: beside another file it would be applied to that.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    _log.error("the store of this node was damaged and is put aside as %s; the Master is asked for what it held", aside)
    return aside


def _is_whole(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        # A full or read-only disk, or another process: no damage.
        return True
    except sqlite3.DatabaseError:
        return False


def _look_into(path: Path) -> sqlite3.Connection:
    """Return a file's database as it is now, in memory; empty when there is no file, or a damaged one."""
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if not path.exists() or not _is_whole(path):
        return database
    for how in ("mode=ro", "immutable=1"):
        # Without the files beside it, which cannot be made here, nobody writes to it.
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as file:
            try:
                file.backup(database)
                return database
            except sqlite3.OperationalError as error:
                failure = error
    raise failure

"""Which code may use a database: the one that knows exactly the migrations which the database says were made.

So the range of versions at one database is one schema. A Master whose database another version has migrated stops
itself with words, before it answers what is no longer true; whoever supervises it starts the new one.
"""

import functools
import logging
import threading
from collections.abc import Callable

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

from freehold.master.foundation.errors import Conflict

_log = logging.getLogger(__name__)

PACE = 3.0
"""Seconds between two looks at the database."""
NEWER = (
    "The database is of a newer version of Freehold than this program ({names}). "
    "Start the program that upgraded it, or restore a backup of before."
)
UNVERSIONED = (
    "The database was made before version 0.2.0, the first from which upgrades are promised. "
    "Begin a new Master in an empty folder or database, or go on with the program that made this one."
)
_FIRST = ("sales", "0001_initial")
"""Made by every version from 0.2.0 on, and by none before."""
OLDER = "The database is older than the software: run `freehold master init`."


def trouble(known: frozenset[tuple[str, str]]) -> str:
    """Return why code that knows these migrations may not use the database, or an empty text."""
    model_schema = _made()
    ours = {app for app, _ in known}
    if ("people", "0001_initial") in model_schema and _FIRST not in model_schema:
        return UNVERSIONED
    if newer := sorted(f"{app} {name}" for app, name in model_schema - known if app in ours):
        return NEWER.format(names=", ".join(newer))
    return OLDER if known - model_schema else ""


def refuse_foreign(known: frozenset[tuple[str, str]]) -> None:
    """Raise Conflict when code that knows these migrations cannot upgrade the database."""
    if (problem := trouble(known)) not in ("", OLDER):
        raise Conflict(problem)


@functools.cache
def known_here() -> frozenset[tuple[str, str]]:
    """Return application and name of each migration that this code knows."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    return frozenset(loader.disk_migrations)


class SchemaWatch(threading.Thread):
    """The thread that stops a Master whose database has become another version's; `found` says why."""

    def __init__(self, stop: Callable[[], None]) -> None:
        super().__init__(name="schema", daemon=True)
        self.found = ""
        self._end = stop
        self._known = known_here()
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PACE):
            try:
                self.found = trouble(self._known)
            except DatabaseError:
                _log.exception("Whether the database is still this version's is not known; it is looked at again")
                connection.close()
                continue
            if self.found:
                _log.critical("%s The Master stops.", self.found)
                self._end()
                return

    def stop(self) -> None:
        """End the watch."""
        self._over.set()
        self.join()


def _made() -> set[tuple[str, str]]:
    with connection.cursor() as cursor:
        if "django_migrations" not in connection.introspection.table_names(cursor):
            return set()
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())

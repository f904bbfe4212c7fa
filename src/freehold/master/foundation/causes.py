"""What an error that nobody foresaw came from: a full disk or a database that is away is no fault of this program.

Every door answers what it did not foresee by `failure`, so that the same cause has the same answer everywhere.
"""

import errno
import logging
import sqlite3
from collections.abc import Iterator

from freehold.master.foundation.errors import Busy, MasterError, OutOfStorage, Unavailable

_log = logging.getLogger(__name__)

FULL = "The Master's disk is full: nothing was changed."
READ_ONLY = "The Master's disk or database is read-only: nothing was changed."
AWAY = "The Master's database does not answer."
LOCKED = "The Master's database had others to serve for too long."
CROWDED = "The Master's machine has no memory, connections or open files to spare."
_MAKE_WRITABLE = "Its operator makes it writable again; reading goes on. Then try again."

_SQLITE = {
    sqlite3.SQLITE_FULL: OutOfStorage(FULL),
    # Its index of the log is a file that grows, too.
    sqlite3.SQLITE_IOERR_SHMSIZE: OutOfStorage(FULL),
    sqlite3.SQLITE_READONLY: OutOfStorage(READ_ONLY, remedy=_MAKE_WRITABLE),
    sqlite3.SQLITE_BUSY: Busy(LOCKED),
    sqlite3.SQLITE_LOCKED: Busy(LOCKED),
    sqlite3.SQLITE_NOMEM: Busy(CROWDED),
    sqlite3.SQLITE_CANTOPEN: Unavailable(AWAY),
    sqlite3.SQLITE_IOERR: Unavailable(AWAY),
}
"""By extended result code, or by the primary one in its lowest byte (https://www.sqlite.org/rescode.html)."""
_SYSTEM = {
    errno.ENOSPC: OutOfStorage(FULL),
    errno.EDQUOT: OutOfStorage(FULL),
    errno.EROFS: OutOfStorage(READ_ONLY, remedy=_MAKE_WRITABLE),
    errno.EMFILE: Busy(CROWDED),
    errno.ENFILE: Busy(CROWDED),
    errno.ENOMEM: Busy(CROWDED),
}
_POSTGRESQL = {
    "53100": OutOfStorage(FULL),
    "25006": OutOfStorage(READ_ONLY, remedy=_MAKE_WRITABLE),
    "53": Busy(CROWDED),
    "40": Busy(LOCKED),
    "55P03": Busy(LOCKED),
    "57014": Busy(LOCKED),
    "08": Unavailable(AWAY),
    "57P": Unavailable(AWAY),
    "58": Unavailable(AWAY),
}
"""By SQLSTATE, or what it begins with (PostgreSQL's manual, appendix A)."""


def failure(error: BaseException, doing: str) -> MasterError:
    """Return what to answer because of an error that nobody foresaw, and note it: one line when its cause is known."""
    for cause in _chain(error):
        known = _known(cause)
        if known is not None:
            _log.warning("%s: %s (%s)", doing, known.detail, cause)
            return known
    _log.error("%s", doing, exc_info=error)
    return MasterError("The Master could not answer; it noted why.")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from: Django and others raise their own in the place of the driver's."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _known(error: BaseException) -> MasterError | None:
    if isinstance(error, MasterError):
        # It was said already; what came of saying it is another matter.
        return None
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        problem = None if code is None else _SQLITE.get(code) or _SQLITE.get(code & 0xFF)
    elif isinstance(error, OSError):
        problem = _SYSTEM.get(error.errno or 0)
    elif isinstance(error, MemoryError):
        problem = Busy(CROWDED)
    else:
        problem = _of_postgresql(error)
    return None if problem is None else type(problem)(problem.detail, remedy=problem.remedy)


def _of_postgresql(error: BaseException) -> MasterError | None:
    try:
        import psycopg
    except ImportError:
        return None
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is None:
        # It says so itself, without the server: there is no connection, or none any more.
        return Unavailable(AWAY) if isinstance(error, psycopg.OperationalError) or _is_closed(error) else None
    return next((_POSTGRESQL[state[:length]] for length in (5, 3, 2) if state[:length] in _POSTGRESQL), None)


def _is_closed(error: BaseException) -> bool:
    import psycopg

    return isinstance(error, psycopg.InterfaceError) and "closed" in str(error)

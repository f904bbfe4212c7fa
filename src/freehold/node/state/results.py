"""What became of promises, of instances and of the node itself: the last result of each, and a history of changes."""

from collections.abc import Callable

import msgspec

from freehold.node.partition.layout import TASK_PROMISE
from freehold.node.state.database import Database
from freehold.node.state.outbox import Outbox
from freehold.protocol import MAX_MESSAGE
from freehold.protocol.report import AssessmentReport, HostPromise

HISTORY = 50
"""Changes that are remembered of each promise."""
HEARTBEAT = 15 * 60.0
"""A promise's unchanged result is told again after so many seconds."""
SOONEST_WORDS, LATEST_WORDS = 2.0, 60.0
"""Other words of a promise that stays broken are told so many seconds after the last: few when it broke just now."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
  instance TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, kept INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_of ON history (instance, name, at);
CREATE TABLE IF NOT EXISTS promise (
  instance TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, kept INTEGER NOT NULL,
  message TEXT NOT NULL, told_at REAL NOT NULL, PRIMARY KEY (instance, name)) WITHOUT ROWID;
"""


class PromiseResult(msgspec.Struct, frozen=True):
    """The last result of a promise."""

    instance: str
    name: str
    kept: bool
    message: str


class Change(msgspec.Struct, frozen=True):
    """When a promise began to be kept, or broken."""

    name: str
    at: float
    kept: bool
    message: str


class _Told(msgspec.Struct, frozen=True):
    revision: int
    kept: bool
    message: str
    told_at: float


class Results:
    """What became of promises."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        database.create_tables(_SCHEMA)
        self._database, self._outbox = database, outbox
        self._settled: Callable[[str], None] = lambda instance: None

    def when_settled(self, settled: Callable[[str], None]) -> None:
        """Have `settled` called with the instance whose task ended well, as part of the same change."""
        self._settled = settled

    def record(self, instance: str, revision: int, name: str, kept: bool, message: str, at: float) -> bool:
        """Record the result of a promise; report news, and what was not reported for long. Return whether it is news.

        What is no news goes along with the next report that is.
        """
        with self._database.lock:
            last = self._last(instance, name)
            changed = last is None or (last.revision, last.kept) != (revision, kept)
            if last is not None and not changed and 0 <= at - last.told_at < self._pause(last, instance, name, message):
                return False
            # Whoever looks for what is wrong waits for the words.
            is_news = changed or (not kept and last is not None and message != last.message)
            with self._database.transaction(quietly=not is_news):
                self._database.execute(
                    "INSERT OR REPLACE INTO promise (instance, name, revision, kept, message, told_at) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (instance, name, revision, kept, message, at),
                )
                if changed:
                    self._record_change(instance, name, kept, message, at)
                self._outbox.add(AssessmentReport(instance, revision, name, kept, at, message[-MAX_MESSAGE:]))
                if changed and kept and name.startswith(TASK_PROMISE):
                    self._settled(instance)
            return changed

    def is_kept(self, instance: str, revision: int, name: str) -> bool:
        """Return whether the last result of a promise is of this revision, and kept."""
        last = self._last(instance, name)
        return last is not None and last.revision == revision and last.kept

    def report_anew(self) -> None:
        """Have every promise reported with its next result: the last report of it may not have been taken."""
        with self._database.transaction(quietly=True):
            self._database.execute("UPDATE promise SET told_at = 0")

    def history(self, instance: str) -> list[Change]:
        """Return the changes of an instance's promises, the newest first."""
        query = "SELECT name, at, kept, message FROM history WHERE instance = ? ORDER BY at DESC"
        return self._database.select(Change, query, (instance,))

    def all(self) -> list[PromiseResult]:
        """Return the last result of every promise."""
        query = "SELECT instance, name, kept, message FROM promise ORDER BY instance, name"
        return self._database.select(PromiseResult, query)

    def record_health(self, promises: list[HostPromise]) -> None:
        """Keep the node's own promises as they are now."""
        text = msgspec.json.encode(promises).decode()
        if text != self._database.get("health", "[]"):
            with self._database.transaction(quietly=True):
                self._database.set("health", text)

    def health(self) -> list[HostPromise]:
        """Return the node's own promises as they were last seen."""
        return msgspec.json.decode(self._database.get("health", "[]"), type=list[HostPromise])

    def forget(self, instance: str) -> None:
        """Forget the last results of an instance; its history stays."""
        self._database.execute("DELETE FROM promise WHERE instance = ?", (instance,))

    def forget_history(self, instance: str) -> None:
        self._database.execute("DELETE FROM history WHERE instance = ?", (instance,))

    def _pause(self, last: _Told, instance: str, name: str, message: str) -> float:
        """Return how many seconds after it was told last an unchanged result is told again."""
        if last.kept or message == last.message:
            return HEARTBEAT
        query = "SELECT max(at) FROM history WHERE instance = ? AND name = ?"
        began = self._database.value(query, (instance, name))
        return min(LATEST_WORDS, max(SOONEST_WORDS, last.told_at - float(began or last.told_at)))

    def _last(self, instance: str, name: str) -> _Told | None:
        query = "SELECT revision, kept, message, told_at FROM promise WHERE instance = ? AND name = ?"
        return next(iter(self._database.select(_Told, query, (instance, name))), None)

    def _record_change(self, instance: str, name: str, kept: bool, message: str, at: float) -> None:
        self._database.execute(
            "INSERT INTO history (instance, name, at, kept, message) VALUES (?, ?, ?, ?, ?)",
            (instance, name, at, kept, message),
        )
        self._database.execute(
            "DELETE FROM history WHERE instance = ? AND name = ? AND rowid NOT IN "
            "(SELECT rowid FROM history WHERE instance = ? AND name = ? ORDER BY at DESC LIMIT ?)",
            (instance, name, instance, name, HISTORY),
        )

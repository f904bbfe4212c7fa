"""What became of promises, of instances and of the node itself: the last result of each, and a history of changes."""

from pathlib import Path

import msgspec

from freehold.node.clock import Hardware
from freehold.node.state.lease import Lease
from freehold.node.state.outbox import BUDGET
from freehold.protocol import MAX_MESSAGE
from freehold.protocol.report import AssessmentReport, HostPromise

HISTORY = 50
"""Changes that are remembered of each promise."""
HEARTBEAT = 15 * 60.0
"""A promise's unchanged result is told again after so many seconds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
  instance TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, kept INTEGER NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_of ON history (instance, name, at);
CREATE TABLE IF NOT EXISTS promise (
  instance TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, kept INTEGER NOT NULL,
  message TEXT NOT NULL, told_at REAL NOT NULL, PRIMARY KEY (instance, name)) WITHOUT ROWID;
"""


class Assessments(Lease):
    """The part of the store that knows what became of promises."""

    def __init__(
        self,
        path: Path,
        more: str = "",
        *,
        budget: int = BUDGET,
        hardware: Hardware | None = None,
        only_look: bool = False,
    ) -> None:
        super().__init__(path, _SCHEMA + more, budget=budget, hardware=hardware, only_look=only_look)

    def promise_is(self, instance: str, revision: int, name: str, kept: bool, message: str, at: float) -> bool:
        """Note the result of a promise; tell it when it is news or was not told for long. Return whether it changed.

        What is no news goes along with the next report that does.
        """
        with self._lock:
            rows = self._rows(
                "SELECT revision, kept, told_at FROM promise WHERE instance = ? AND name = ?",
                (instance, name),
            )
            changed = not rows or rows[0][:2] != (revision, int(kept))
            if not changed and 0 <= at - rows[0][2] < HEARTBEAT:
                return False
            with self._transaction(quietly=not changed):
                self._db.execute(
                    "INSERT OR REPLACE INTO promise VALUES (?, ?, ?, ?, ?, ?)",
                    (instance, name, revision, int(kept), message, at),
                )
                if changed:
                    self._note_change(instance, name, kept, message, at)
                self._enqueue(AssessmentReport(instance, revision, name, kept, at, message[-MAX_MESSAGE:]))
            return changed

    def is_kept(self, instance: str, revision: int, name: str) -> bool:
        """Return whether the last result of a promise is of this revision, and kept."""
        return self._rows("SELECT revision, kept FROM promise WHERE instance = ? AND name = ?", (instance, name)) == [
            (revision, 1)
        ]

    def tell_promises_anew(self) -> None:
        """Have every promise told with its next result: what was told may not have been taken."""
        with self._transaction(quietly=True):
            self._db.execute("UPDATE promise SET told_at = 0")

    def _note_change(self, instance: str, name: str, kept: bool, message: str, at: float) -> None:
        self._db.execute("INSERT INTO history VALUES (?, ?, ?, ?, ?)", (instance, name, at, int(kept), message))
        self._db.execute(
            "DELETE FROM history WHERE instance = ? AND name = ? AND rowid NOT IN "
            "(SELECT rowid FROM history WHERE instance = ? AND name = ? ORDER BY at DESC LIMIT ?)",
            (instance, name, instance, name, HISTORY),
        )

    def history(self, instance: str) -> list[tuple[str, float, bool, str]]:
        """Return the changes of an instance's promises, the newest first: name, when, kept, message."""
        rows = self._rows(
            "SELECT name, at, kept, message FROM history WHERE instance = ? ORDER BY at DESC", (instance,)
        )
        return [(name, at, bool(kept), message) for name, at, kept, message in rows]

    def promises(self) -> list[tuple[str, str, bool, str]]:
        """Return instance, name, kept and message of every promise."""
        rows = self._rows("SELECT instance, name, kept, message FROM promise ORDER BY instance, name")
        return [(instance, name, bool(kept), message) for instance, name, kept, message in rows]

    def health_is(self, promises: list[HostPromise]) -> None:
        """Keep the node's own promises as they are now."""
        text = msgspec.json.encode(promises).decode()
        if text != self._get("health", "[]"):
            with self._transaction(quietly=True):
                self._set("health", text)

    def health(self) -> list[HostPromise]:
        """Return the node's own promises as they were last seen."""
        return msgspec.json.decode(self._get("health", "[]"), type=list[HostPromise])

    def _forget_results(self, instance: str) -> None:
        self._db.execute("DELETE FROM promise WHERE instance = ?", (instance,))

    def _forget_history(self, instance: str) -> None:
        self._db.execute("DELETE FROM history WHERE instance = ?", (instance,))

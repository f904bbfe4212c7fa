"""Releases: what is wanted of each here, and how far it is."""

from freehold.node.plan import PlannedSoftware
from freehold.node.state.database import Database
from freehold.node.state.outbox import Outbox
from freehold.protocol import MAX_MESSAGE
from freehold.protocol.feed import Installation
from freehold.protocol.report import SoftwareReport
from freehold.protocol.states import SoftwareObserved

_SCHEMA = """
CREATE TABLE IF NOT EXISTS software (
  release TEXT PRIMARY KEY, revision INTEGER NOT NULL, wanted TEXT NOT NULL, name TEXT NOT NULL,
  state TEXT, attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0);
"""


class Software:
    """The releases of this node."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        database.create_tables(_SCHEMA)
        self._database, self._outbox = database, outbox

    def planned(self) -> list[PlannedSoftware]:
        """Return every release, as the plan wants it."""
        return self._database.select(PlannedSoftware, "SELECT release, wanted, state, attempts, next_try FROM software")

    def record_state(
        self,
        release: str,
        state: SoftwareObserved,
        *,
        message: str = "",
        next_try: float = 0.0,
        attempts: int = 0,
    ) -> None:
        """Record, and report, the state of a release."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE software SET state = ?, attempts = ?, next_try = ? WHERE release = ?",
                (state.value, attempts, next_try, release),
            )
            if state is SoftwareObserved.REMOVED:
                self._database.execute("DELETE FROM software WHERE release = ? AND wanted = 'removed'", (release,))
            self._outbox.add(SoftwareReport(release, state, message[-MAX_MESSAGE:]))

    def apply(self, installations: list[Installation], *, snapshot: bool) -> None:
        """Take over what the feed says of releases; what a snapshot does not name is removed."""
        if snapshot:
            named = {installation.release for installation in installations}
            for release in self._database.values("SELECT release FROM software"):
                if release not in named:
                    self._database.execute("UPDATE software SET wanted = 'removed' WHERE release = ?", (release,))
        for installation in installations:
            self._database.execute(
                "INSERT INTO software (release, revision, wanted, name) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (release) DO UPDATE SET revision = excluded.revision, wanted = excluded.wanted, "
                "name = excluded.name, next_try = 0, attempts = 0, "
                "state = CASE WHEN state = 'removed' THEN NULL ELSE state END",
                (installation.release, installation.revision, installation.wanted.value, installation.name),
            )

    def reset_retries(self) -> None:
        """Retry now what was to be tried at a time of the former clock."""
        self._database.execute("UPDATE software SET next_try = 0")

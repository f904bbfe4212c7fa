"""Shared instances: what hosts here are to serve, and what was told of it."""

import hashlib

import msgspec

from freehold.node.partition.layout import Served
from freehold.node.partition.order import Guest
from freehold.node.state.database import Database
from freehold.protocol import MAX_MESSAGE
from freehold.protocol.feed import SharedInstance
from freehold.protocol.report import InstanceReport, Item, PublicationReport
from freehold.protocol.states import Observed, Wanted

_SCHEMA = """
CREATE TABLE IF NOT EXISTS shared (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, host TEXT NOT NULL, type TEXT NOT NULL, wanted TEXT NOT NULL,
  parameters TEXT NOT NULL, seed TEXT NOT NULL, told_revision INTEGER NOT NULL DEFAULT 0,
  told TEXT NOT NULL DEFAULT '', orphan INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shared_by_host ON shared (host);
"""
_LATER_COLUMNS = {"orphan": "INTEGER NOT NULL DEFAULT 0"}
"""For a file that an earlier version made."""


class _Served(msgspec.Struct, frozen=True):
    instance: str
    revision: int
    wanted: Wanted
    told_revision: int
    told: str


class SharedInstances:
    """The shared instances of this node's hosts: written in the transactions of `Store` and of `Instances`."""

    def __init__(self, database: Database) -> None:
        database.create_tables(_SCHEMA)
        database.add_columns("shared", _LATER_COLUMNS)
        self._database = database

    def guests(self, host: str) -> list[Guest]:
        """Return the shared instances that a host is to serve, by id."""
        return self._database.select(
            Guest,
            "SELECT instance, type, wanted, parameters, seed FROM shared WHERE host = ? AND wanted <> 'destroyed' "
            "ORDER BY instance",
            (host,),
        )

    def apply(self, guest: SharedInstance) -> None:
        """Take over what the feed says of a shared instance."""
        self._database.execute(
            "INSERT INTO shared (instance, revision, host, type, wanted, parameters, seed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (instance) DO UPDATE SET revision = excluded.revision, wanted = excluded.wanted, "
            "type = excluded.type, parameters = excluded.parameters, orphan = 0 "
            "WHERE excluded.revision > shared.revision",
            (
                guest.instance,
                guest.revision,
                guest.host,
                guest.type,
                guest.wanted.value,
                bytes(guest.parameters).decode(),
                guest.seed,
            ),
        )

    def serve(self, host: str, revision: int, served: dict[str, Served]) -> list[Item]:
        """Return what is to be told of shared instances after their host was configured as of a revision."""
        items: list[Item] = []
        rows = self._database.select(
            _Served,
            "SELECT instance, revision, wanted, told_revision, told FROM shared WHERE host = ? AND revision <= ?",
            (host, revision),
        )
        for row in rows:
            if row.wanted is Wanted.DESTROYED:
                if row.instance not in served:
                    items.append(InstanceReport(row.instance, row.revision, Observed.DESTROYED))
                    self._database.execute("DELETE FROM shared WHERE instance = ?", (row.instance,))
            elif (answer := served.get(row.instance)) is not None:
                items += self._tell(row, answer)
        return items

    def _tell(self, row: _Served, answer: Served) -> list[Item]:
        """Return what is to be told of one, unless it was told."""
        text = hashlib.sha256(msgspec.json.encode(answer)).hexdigest()
        if (row.told_revision, row.told) == (row.revision, text):
            return []
        self._database.execute(
            "UPDATE shared SET told_revision = ?, told = ? WHERE instance = ?", (row.revision, text, row.instance)
        )
        if answer.error:
            return [InstanceReport(row.instance, row.revision, Observed.FAILED, answer.error[-MAX_MESSAGE:])]
        state = Observed.STARTED if row.wanted is Wanted.STARTED else Observed.STOPPED
        return [
            InstanceReport(row.instance, row.revision, state),
            PublicationReport(row.instance, row.revision, answer.published),
        ]

    def end_with(self, host: str) -> list[Item]:
        """Return what is to be told of shared instances whose host is gone."""
        gone = self._database.mappings("SELECT instance, revision FROM shared WHERE host = ?", (host,))
        self._database.execute("DELETE FROM shared WHERE host = ?", (host,))
        return [InstanceReport(row["instance"], row["revision"], Observed.DESTROYED) for row in gone]

    def report_anew(self) -> None:
        """Have each reported when its host is configured next."""
        self._database.execute("UPDATE shared SET told_revision = 0")

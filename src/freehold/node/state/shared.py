"""Shared instances: what hosts here are to serve, and what was told of it.

A host says what each gets when it is configured; that is so when its tasks ended well. What was said waits for that.
"""

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
  told TEXT NOT NULL DEFAULT '', orphan INTEGER NOT NULL DEFAULT 0, answer TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shared_by_host ON shared (host);
"""
_LATER_COLUMNS = {"orphan": "INTEGER NOT NULL DEFAULT 0", "answer": "TEXT NOT NULL DEFAULT ''"}
"""For a file that an earlier version made. `answer` is what its host said of it and nobody was told yet."""
_GONE = "gone"
"""The answer of a host that serves it no more."""


class _Served(msgspec.Struct, frozen=True):
    instance: str
    revision: int
    wanted: Wanted
    told_revision: int
    told: str
    answer: str


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
            "type = excluded.type, parameters = excluded.parameters, orphan = 0, answer = '' "
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

    def serve(self, host: str, revision: int, served: dict[str, Served], *, is_done: bool) -> list[Item]:
        """Return what is to be told of shared instances after their host was configured as of a revision.

        What is so only when the tasks of that are done, and they are not (`is_done`), waits for `report_answers`.
        """
        items: list[Item] = []
        for row in self._rows("host = ? AND revision <= ?", (host, revision)):
            answer = served.get(row.instance)
            if row.wanted is Wanted.DESTROYED:
                refusal = "" if answer is not None else _GONE
            else:
                refusal = "" if answer is None else msgspec.json.encode(answer).decode()
            if is_done or (answer is not None and answer.error):
                items += self._reported(row, refusal)
            else:
                self._note(row, refusal)
        return items

    def report_answers(self, host: str) -> list[Item]:
        """Return what is to be told of shared instances now that the tasks of their host are done."""
        rows = self._rows("host = ? AND answer <> ''", (host,))
        return [item for row in rows for item in self._reported(row, row.answer)]

    def _rows(self, condition: str, values: tuple[object, ...]) -> list[_Served]:
        query = "SELECT instance, revision, wanted, told_revision, told, answer FROM shared WHERE "
        return self._database.select(_Served, query + condition, values)

    def _note(self, row: _Served, refusal: str) -> None:
        if row.answer != refusal:
            self._database.execute("UPDATE shared SET answer = ? WHERE instance = ?", (refusal, row.instance))

    def _reported(self, row: _Served, refusal: str) -> list[Item]:
        self._note(row, "")
        if refusal == _GONE:
            self._database.execute("DELETE FROM shared WHERE instance = ?", (row.instance,))
            return [InstanceReport(row.instance, row.revision, Observed.DESTROYED)]
        return self._tell(row, msgspec.json.decode(refusal, type=Served)) if refusal else []

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

"""Instances that the Master does not name any more: they stay until an operator agrees to their end."""

import logging

import msgspec

from freehold.node.state.database import Database
from freehold.protocol.states import Wanted

_log = logging.getLogger(__name__)


class Orphan(msgspec.Struct, frozen=True):
    """An instance that the Master does not name any more."""

    instance: str
    wanted: Wanted
    title: str
    partition: str
    """Where it is; of a shared instance the id of its host."""


class Orphans:
    """Those among the rows of instances and of shared instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Orphan]:
        """Return them, shared ones last."""
        return self._database.select(
            Orphan,
            "SELECT instance, wanted, title, partition FROM instance WHERE orphan = 1 AND wanted <> 'destroyed' "
            "UNION ALL "
            "SELECT instance, wanted, 'shared', host FROM shared WHERE orphan = 1 AND wanted <> 'destroyed'",
        )

    def mark(self, table: str, named: set[str]) -> None:
        """Take over which rows of a table of instances a snapshot names."""
        for instance in self._database.values(f"SELECT instance FROM {table} WHERE wanted <> 'destroyed'"):
            if instance not in named:
                _log.error("the Master does not name %s any more: it is kept", instance)
            self._database.execute(
                f"UPDATE {table} SET orphan = ? WHERE instance = ?", (instance not in named, instance)
            )

    def adopt(self, tenants: dict[str, str]) -> list[str]:
        """Note those that have a partition (`tenants`: its name, by instance) and that nobody names; return them."""
        known = set(self._database.values("SELECT instance FROM instance"))
        if not (unknown := sorted(tenants.keys() - known)):
            return []
        with self._database.transaction(quietly=True):
            self._database.execute_many(
                "INSERT OR IGNORE INTO instance "
                "(instance, revision, partition, release, type, wanted, title, parameters, orphan) "
                "VALUES (?, 0, ?, '', '', 'stopped', 'unknown', '{}', 1)",
                [(instance, tenants[instance]) for instance in unknown],
            )
        return unknown

    def destroy(self, instance: str) -> bool:
        """Have one destroyed, as an operator agreed; return whether it is one."""
        forgotten = "WHERE instance = ? AND orphan = 1 AND wanted <> 'destroyed'"
        with self._database.transaction():
            own = self._database.execute(
                f"UPDATE instance SET wanted = 'destroyed', next_try = 0 {forgotten}", (instance,)
            )
            shared = self._database.execute(f"UPDATE shared SET wanted = 'destroyed' {forgotten}", (instance,))
            # Its host is configured without it.
            self._database.execute(
                "UPDATE instance SET state_revision = 0, next_try = 0 "
                "WHERE instance = (SELECT host FROM shared WHERE instance = ?)",
                (instance,),
            )
            return bool(own or shared)

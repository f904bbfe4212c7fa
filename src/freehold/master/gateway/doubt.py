"""What this Master knows of itself, what it says of that to nodes, and what they show of it again.

Only its own word about something that is newer than its database makes a Master doubt itself. Anything else that a node
shows says something of that node alone.
"""

import logging
import threading

from freehold.master.foundation import clock, hints
from freehold.master.foundation.errors import InDoubt
from freehold.master.foundation.statements import ForgedError, MasterStatement, Statements
from freehold.master.gateway.database import DatabaseConnection

MOST_HEADS = 10_000
"""Heads of the ledgers that are remembered; others are looked up."""
_log = logging.getLogger(__name__)


class Standing:
    """What this Master knows of itself, as last read. Read by any thread, written by `look`."""

    def __init__(self) -> None:
        self.is_known = False
        self.generation = self.revision = self.ledger = 0
        self.in_doubt = False
        self._digests = {0: ""}

    def look(self, reader: DatabaseConnection) -> None:
        """Read it from the database."""
        ((generation, in_doubt, revision, ledger, digest),) = reader.rows("standing", {})
        if len(self._digests) >= MOST_HEADS:
            self._digests = {0: ""}
        self._digests[ledger] = digest
        self.generation, self.in_doubt = generation, bool(in_doubt)
        self.revision, self.ledger = revision, ledger
        self.is_known = True

    def covers(self, shown: MasterStatement, head: tuple[int, int] | None) -> bool:
        """Return whether a statement says nothing that is not in memory; `head`: epoch and sequence of its node.

        None stands for a head that is not asked for. False is no verdict: memory may be behind the database.
        """
        if not self.is_known or shown.generation != self.generation:
            return self.is_known and shown.generation < self.generation
        is_applied = head is None or (shown.epoch, shown.sequence) <= head
        return is_applied and shown.revision <= self.revision and self._digests.get(shown.ledger) == shown.digest

    def say(self, node: str, epoch: int, sequence: int) -> MasterStatement | None:
        """Return what is to be said to a node whose reports were applied up to a number; None while in doubt."""
        if not self.is_known or self.in_doubt:
            return None
        digest = self._digests[self.ledger]
        return MasterStatement(node, self.generation, epoch, sequence, self.revision, self.ledger, digest, clock.now())


class Judge:
    """Looks at what nodes show. One at a time: it has one connection."""

    def __init__(self, url: str, statements: Statements, standing: Standing) -> None:
        self._connection = DatabaseConnection(url)
        self._statements, self.standing = statements, standing
        self._turn = threading.Lock()
        self._forgers: set[tuple[str, int]] = set()

    def close(self) -> None:
        self._connection.close()

    def say(self, node: str, epoch: int, sequence: int) -> str:
        """Return the statement for a node whose reports were applied up to a number; empty while in doubt."""
        statement = self.standing.say(node, epoch, sequence)
        return "" if statement is None else self._statements.issue(statement)

    def is_fine(self, node: str, text: str, head: tuple[int, int] | None) -> bool:
        """Return whether what a node shows needs no second look; cheap, and without the database."""
        if not text:
            return True
        try:
            return self.standing.covers(self._statements.read(text, node), head)
        except ForgedError:
            return False

    def look(self, node: str, text: str) -> None:
        """Compare what a node shows with the database, and note what does not fit."""
        with self._turn:
            try:
                shown = self._statements.read(text, node)
            except ForgedError as error:
                self._note_forgery(node, str(error))
                return
            self.standing.look(self._connection)
            if reason := self._unknown(shown):
                self._begin_doubt(shown, reason)

    def refuse_in_doubt(self) -> None:
        """Raise InDoubt while this Master doubts that it knows all."""
        if not self.standing.is_known:
            with self._turn:
                self.standing.look(self._connection)
        if self.standing.in_doubt:
            raise InDoubt("This Master was restored from an older copy; it asks nothing of its nodes.")

    def _unknown(self, shown: MasterStatement) -> str:
        """Return what of a statement this Master does not know; an empty text when it knows all of it."""
        here = self.standing
        if shown.generation != here.generation:
            later = f"it was of generation {shown.generation} and is of {here.generation}"
            return later if shown.generation > here.generation else ""
        if shown.revision > here.revision:
            return f"it had made change {shown.revision} and knows of {here.revision}"
        rows = self._connection.rows("known", {"node": shown.node, "ledger": shown.ledger})
        if not rows:
            return "it knew this node and does not any more"
        ((epoch, chain_epoch, sequence, digest),) = rows
        if (digest or "") != shown.digest:
            return f"it had booked batch {shown.ledger} of its ledgers as {shown.digest[:16]}, which is not in them"
        if shown.epoch > epoch or (chain_epoch or 0, sequence or 0) < (shown.epoch, shown.sequence):
            return f"it had applied report {shown.sequence} of epoch {shown.epoch} of this node, and has fewer"
        return ""

    def _begin_doubt(self, shown: MasterStatement, reason: str) -> None:
        message = f"{reason} (shown by {shown.node}, said at {clock.iso(shown.at)})"
        _log.error("I know less than my peer: %s", message)
        row = {
            "node": shown.node,
            "generation": max(shown.generation, self.standing.generation),
            "revision": shown.revision,
            "epoch": shown.epoch,
            "reason": message,
        }
        with self._connection.transaction():
            self._connection.many("add_doubt", [{**row, "at": clock.now()}])
        self.standing.in_doubt = True
        hints.give(hints.REPORTED)

    def _note_forgery(self, node: str, reason: str) -> None:
        now = clock.now()
        key = (node, now // clock.DAY)
        if key in self._forgers:
            return
        _log.warning("%s shows a statement that was never made to it: %s", node, reason)
        with self._connection.transaction():
            self._connection.many("add_forgery", [{"node": node, "day": key[1], "reason": reason, "at": now}])
        self._forgers = {forger for forger in self._forgers if forger[1] == key[1]} | {key}
        hints.give(hints.REPORTED)

"""What instances used, as it was last counted."""

import secrets

import msgspec

from freehold.node.metering import Counters
from freehold.node.state.database import Database
from freehold.node.state.outbox import Outbox
from freehold.protocol.report import Item


class UsageCounters:
    """The counters of each instance, in its row (`instances.py`)."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database, self._outbox = database, outbox

    def all(self) -> dict[str, str]:
        """Return the counters of every instance, as `save` was given them."""
        rows = self._database.mappings("SELECT instance, counters FROM instance")
        return {row["instance"]: row["counters"] for row in rows}

    def begin(self, instance: str) -> None:
        """Record that an instance comes into an empty partition: all that will be read there is its own use."""
        # Its series is named now: a copy of this store that is put back later must not name another.
        counters = msgspec.json.encode(Counters(series=secrets.token_hex(4), is_new=True)).decode()
        with self._database.transaction(quietly=True):
            self._database.execute(
                "UPDATE instance SET counters = ? WHERE instance = ? AND counters = '{}'", (counters, instance)
            )

    def save(self, counters: dict[str, str], items: list[Item]) -> None:
        """Save new counters and report them, in one transaction."""
        with self._database.transaction():
            for instance, text in counters.items():
                self._database.execute("UPDATE instance SET counters = ? WHERE instance = ?", (text, instance))
            if items:
                self._outbox.add(*items)

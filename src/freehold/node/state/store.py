"""What a node remembers, with which it starts, and keeps its promises, without a Master.

What is told to the Master goes to the outbox in the same transaction as the change it tells of: so nothing is told
that did not happen, and nothing that happened is forgotten, whenever the machine stops. Decision 0043 says why it is
made of parts.
"""

import msgspec

from freehold.node.clock import Hardware
from freehold.node.state.counters import UsageCounters
from freehold.node.state.database import Database
from freehold.node.state.instances import Instances
from freehold.node.state.lease import Lease
from freehold.node.state.orphans import Orphans
from freehold.node.state.outbox import BUDGET, Outbox
from freehold.node.state.persistent_clock import Correction, PersistentClock
from freehold.node.state.results import Results
from freehold.node.state.shared import SharedInstances
from freehold.node.state.software import Software
from freehold.protocol.feed import Feed
from freehold.protocol.report import HostFacts


class Store:
    """The parts of a node's state over one database, and what changes several of them at once. Safe from any thread."""

    def __init__(self, database: Database, *, budget: int = BUDGET, hardware: Hardware | None = None) -> None:
        """`budget`: bytes of reports that may wait before they are thinned."""
        hardware = hardware or Hardware()
        self.database = database
        self.clock = PersistentClock(database, hardware)
        self.outbox = Outbox(database, self.clock, budget)
        self.lease = Lease(database, hardware)
        self.results = Results(database, self.outbox)
        self.software = Software(database, self.outbox)
        self.shared = SharedInstances(database)
        self.instances = Instances(database, self.clock, self.outbox, self.lease, self.results, self.shared)
        self.counters = UsageCounters(database, self.outbox)
        self.orphans = Orphans(database)
        self.clock.when_corrected(self._correct_times)
        self.results.when_settled(self.instances.report_guests)

    def close(self) -> None:
        self.database.close()

    @property
    def revision(self) -> int:
        """The bookmark of the feed."""
        return int(self.database.get("revision", "0"))

    def begin_epoch(self, epoch: int) -> bool:
        """Start a new chain; what instances are and publish is found, and reported, anew. Return whether it is new."""
        # One transaction: an epoch that began without the rest would not begin again after a crash, and the Master
        # would never hear what it lost.
        with self.database.transaction():
            if not self.outbox.begin_epoch(epoch):
                return False
            self.database.set("revision", "0")
            self.database.set("host", "")
            self.instances.report_anew()
            self.shared.report_anew()
            self.results.report_anew()
        return True

    def apply_feed(self, feed: Feed, asked_at: int | None = None) -> None:
        """Take over what the Master wants, all of it or nothing.

        `asked`: the revision since which it was asked for. What changed since then is nothing to go on from when all is
        to be asked for again, because another thread began an epoch meanwhile.

        A Master names what it wants destroyed until it heard that it is. An instance that its snapshot does not name is
        one that it forgot, by a restored backup for example: it stays as it is until an operator agrees to its end
        (`freehold node orphans`), or until the Master names it again. Releases, which can be built again, are removed.
        """
        with self.database.transaction():
            if not feed.snapshot and asked_at is not None and asked_at != self.revision:
                return
            if feed.snapshot:
                self.orphans.mark("instance", {entry.instance for entry in feed.instances})
                self.orphans.mark("shared", {entry.instance for entry in feed.shared})
            self.software.apply(feed.installations, snapshot=feed.snapshot)
            for desired in feed.instances:
                self.instances.apply(desired)
            for guest in feed.shared:
                self.shared.apply(guest)
                self.instances.reconfigure_host(guest.host, guest.revision)
            self.database.set("revision", str(feed.revision))
            self.lease.apply(feed.lease)

    def report_host(self, facts: HostFacts) -> bool:
        """Report what the machine offers unless that was reported; return whether it was news."""
        text = msgspec.json.encode(facts).decode()
        with self.database.transaction():
            changed = self.database.get("host", "") != text
            if changed:
                self.database.set("host", text)
                self.outbox.add(facts)
        return changed

    def _correct_times(self, correction: Correction) -> None:
        self.outbox.correct_times(correction)
        self.instances.reset_retries()
        self.software.reset_retries()

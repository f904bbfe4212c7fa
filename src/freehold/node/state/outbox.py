"""Reports that wait for the Master, numbered and chained.

A report gets its number and its place in the chain when it is written, and stays until the Master acknowledged it.
What the Master would refuse for its form does not enter: word of it stands in its place, and the chain goes on.
Customers read the words of a report: a path in them begins at the partition, the release or the node's folder, for
where that folder is concerns nobody else. One that was never handed out may still be written anew: thinned, when too
many wait, or with another time, when the Master says what time it is.
"""

import logging
import re

import msgspec

from freehold.escaping import encodable
from freehold.node.state.compaction import compact
from freehold.node.state.database import Database
from freehold.node.state.persistent_clock import Correction, PersistentClock
from freehold.protocol import MAX_BODY, UNREADABLE, validation
from freehold.protocol.report import GENESIS, AsideReport, AssessmentReport, Item, Report, ReportBody, UsageReport, link

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (sequence INTEGER PRIMARY KEY, hash TEXT NOT NULL, body BLOB NOT NULL);
"""

BUDGET = 64 * 1024 * 1024
"""Bytes of reports that may wait before they are thinned: days of a busy node, or years of a thinned one."""
MOST_BODY = 1024 * 1024
"""Bytes of items in one report, about: more of them make several reports."""
LARGEST_SENT = MAX_BODY - 65536
"""Bytes of a report that a request can hold."""
PACE = 60.0
"""Seconds between reports of what is no news, until the Master says otherwise."""
_log = logging.getLogger(__name__)


class Outbox:
    """Reports, and their chain. Safe from any thread; within a transaction of the caller, all is part of that."""

    def __init__(self, database: Database, clock: PersistentClock, budget: int = BUDGET) -> None:
        database.create_tables(_SCHEMA)
        self._database, self._clock = database, clock
        self._folder = str(database.folder)
        self.pace = PACE
        """Seconds between reports of what is no news, as the Master wants it."""
        self._budget = self._most = budget
        self._size = self._unsent_size()

    def add(self, *items: Item) -> None:
        """Add a report; without items it is a heartbeat."""
        with self._database.transaction():
            now = round(self._clock.now(), 3)
            for packed in _packed([_admitted(_with_words(item, self._folder), now) for item in items]):
                self._append(msgspec.json.encode(ReportBody(now, packed)))
            self._clock.save_latest(now)
            if self._size > self._most:
                self._compact()

    def begin_epoch(self, epoch: int) -> bool:
        """Start a new chain unless it was: what was not told in the former one is told as new; return whether so."""
        with self._database.transaction():
            if self.epoch == epoch:
                return False
            bodies = self._database.values("SELECT body FROM outbox ORDER BY sequence")
            self._database.execute("DELETE FROM outbox")
            self._database.set("epoch", str(epoch))
            self._save_handed_out(0, GENESIS)
            self._go_on_from_sent()
            self._database.forget("acknowledged")
            for body in bodies:
                self._append(body)
        return True

    def hand_out(self, most: int, most_bytes: int, *, after: int = 0) -> list[Report]:
        """Return the oldest reports that were not acknowledged, to be sent: from now on they stay as they are.

        `after`: only those with a larger number.
        """
        reports: list[Report] = []
        size = 0
        if not self._database.values("SELECT 1 FROM outbox LIMIT 1"):
            return reports
        with self._database.transaction(quietly=True):
            self._set_large_aside()
            for row in self._database.select(
                _Row,
                "SELECT sequence, hash, body FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (after, most),
            ):
                size += len(row.body)
                if reports and size > most_bytes:
                    break
                reports.append(Report(row.sequence, row.hash, msgspec.Raw(row.body)))
            if reports and reports[-1].sequence > self.last_handed_out:
                self._save_handed_out(reports[-1].sequence, reports[-1].hash)
        return reports

    def count(self) -> int:
        """Return how many reports wait."""
        return int(self._database.value("SELECT count(*) FROM outbox"))

    @property
    def statement(self) -> str | msgspec.UnsetType:
        """What the Master said last of what it knows, to be shown to it; unset when it said nothing."""
        return self._database.get("statement", "") or msgspec.UNSET

    def acknowledge(self, sequence: int, statement: str | msgspec.UnsetType = msgspec.UNSET) -> None:
        """Forget the reports up to a number: the Master has them; keep what it says that it knows."""
        with self._database.transaction():
            if statement:
                self._database.set("statement", statement)
            for digest in self._database.values("SELECT hash FROM outbox WHERE sequence = ?", (sequence,)):
                self._database.set("acknowledged", f"{sequence} {digest}")
            self._database.execute("DELETE FROM outbox WHERE sequence <= ?", (sequence,))
            self._clock.save_contact()

    def set_aside(self, sequence: int, reason: str) -> None:
        """Replace a report that the Master refuses for its form, and has therefore not applied, by word of it.

        One of several items becomes a report for each: only the one at fault is set aside then. What comes after is
        chained anew: the Master cannot have it either.
        """
        with self._database.transaction():
            self._set_aside(sequence, reason)

    @property
    def last_handed_out(self) -> int:
        """The number of the last report of this epoch that was handed out."""
        return int(self._database.get("sent", self._database.get("sequence", "0")))

    @property
    def epoch(self) -> int:
        return int(self._database.get("epoch", "0"))

    def correct_times(self, correction: Correction) -> None:
        """Write reports that were never handed out anew, with their right times."""
        with self._database.transaction():
            self._rewrite([_corrected(body, correction) for body in map(_read, self._unsent())])

    def _append(self, body: bytes) -> None:
        sequence = int(self._database.get("sequence", "0")) + 1
        digest = link(self._database.get("hash", GENESIS), body)
        self._database.execute("INSERT INTO outbox (sequence, hash, body) VALUES (?, ?, ?)", (sequence, digest, body))
        self._database.set("sequence", str(sequence))
        self._database.set("hash", digest)
        self._size += len(body)

    def _set_large_aside(self) -> None:
        """Set aside what no request can hold: an earlier version let it in."""
        query = "SELECT sequence FROM outbox WHERE length(body) > ? ORDER BY sequence DESC"
        for sequence in self._database.values(query, (LARGEST_SENT,)):
            self._set_aside(sequence, "It is larger than a request to the Master may be.")

    def _set_aside(self, sequence: int, reason: str) -> None:
        before = self._hash_before(sequence)
        bodies = self._database.values("SELECT body FROM outbox WHERE sequence >= ? ORDER BY sequence", (sequence,))
        if before is None or not bodies:
            _log.error("report %s cannot be set aside: the end of the chain before it is not known", sequence)
            return
        _log.error("report %s cannot be sent, and is set aside: %s", sequence, reason)
        first, *following = bodies
        self._database.execute("DELETE FROM outbox WHERE sequence >= ?", (sequence,))
        self._save_handed_out(sequence - 1, before)
        self._go_on_from_sent()
        for body in _without_fault(first, reason):
            self._append(msgspec.json.encode(body))
        for body in following:
            self._append(body)
        self._size = self._unsent_size()

    def _hash_before(self, sequence: int) -> str | None:
        """Return the hash before a report that waits; None when it is not known any more."""
        if sequence == 1:
            return GENESIS
        for digest in self._database.values("SELECT hash FROM outbox WHERE sequence = ?", (sequence - 1,)):
            return str(digest)
        number, _, digest = self._database.get("acknowledged", "").partition(" ")
        return digest if number == str(sequence - 1) else None

    def _compact(self) -> None:
        """Write what waits anew, with less history, into half of the budget if that can be."""
        if (before := self._unsent_size()) > self._most:
            self._rewrite(compact(map(_read, self._unsent()), self._budget // 2))
            _log.warning("reports wait for long: thinned from %s to %s bytes", before, self._unsent_size())
        self._size = self._unsent_size()
        # What cannot be thinned further is looked at again when there is much more of it.
        self._most = max(self._budget, self._size * 5 // 4)

    def _rewrite(self, bodies: list[ReportBody]) -> None:
        self._database.execute("DELETE FROM outbox WHERE sequence > ?", (self.last_handed_out,))
        self._go_on_from_sent()
        for body in bodies:
            self._append(msgspec.json.encode(body))

    def _save_handed_out(self, sequence: int, digest: str) -> None:
        self._database.set("sent", str(sequence))
        self._database.set("sent_hash", digest)

    def _go_on_from_sent(self) -> None:
        self._database.set("hash", self._database.get("sent_hash", self._database.get("hash", GENESIS)))
        self._database.set("sequence", str(self.last_handed_out))

    def _unsent(self) -> list[bytes]:
        query = "SELECT body FROM outbox WHERE sequence > ? ORDER BY sequence"
        return self._database.values(query, (self.last_handed_out,))

    def _unsent_size(self) -> int:
        query = "SELECT coalesce(sum(length(body)), 0) FROM outbox WHERE sequence > ?"
        return int(self._database.value(query, (self.last_handed_out,)))


class _Row(msgspec.Struct, frozen=True):
    sequence: int
    hash: str
    body: bytes


def _read(body: bytes) -> ReportBody:
    return msgspec.json.decode(body, type=ReportBody)


def _admitted(item: Item, now: float) -> Item:
    """Return an item as the Master accepts it; word of it when it does not."""
    try:
        validation.check(item, now)
    except ValueError as error:
        aside = _aside(item, str(error))
        _log.error("an item of kind '%s' about '%s' is set aside: %s", aside.item, aside.instance, aside.reason)
        return aside
    return item


def _with_words(item: Item, folder: str) -> Item:
    """Return an item whose message is of bounded length and names no folder above the node's own."""
    message = getattr(item, "message", None)
    if not message:
        return item
    text = validation.text(encodable(_beginning_inside(folder, message)))
    return item if text == message else msgspec.structs.replace(item, message=text)


def _beginning_inside(folder: str, message: str) -> str:
    if folder not in message:
        return message
    inside = f"{re.escape(folder)}/(?:partitions/[^/\\s]+/|software/[0-9a-f]{{64}}/(?:release/)?)?"
    return re.sub(inside, "", message)


def _aside(item: Item, reason: str) -> AsideReport:
    kind = str(type(item).__struct_config__.tag)
    return AsideReport(kind, validation.text(encodable(reason)), encodable(getattr(item, "instance", ""))[:100])


def _packed(items: list[Item]) -> list[list[Item]]:
    """Return items, in their order, as contents of reports of bounded size; one without items is a heartbeat."""
    packed: list[list[Item]] = [[]]
    size = 0
    for item in items:
        more = len(msgspec.json.encode(item))
        if packed[-1] and size + more > MOST_BODY:
            packed.append([])
            size = 0
        packed[-1].append(item)
        size += more
    return packed


def _without_fault(body: bytes, reason: str) -> list[ReportBody]:
    """Return what stands in the place of a report that is refused for its form."""
    try:
        read = _read(body)
    except UNREADABLE:
        return [ReportBody(0.0, [AsideReport("report", validation.text(reason))])]
    if len(read.items) == 1:
        return [ReportBody(read.at, [_aside(read.items[0], reason)])]
    return [ReportBody(read.at, [item]) for item in read.items]


def _corrected(body: ReportBody, correction: Correction) -> ReportBody:
    """Return a report with the times that the clock's correction gives it."""

    def moved(at: float) -> float:
        return round(max(at + correction.shift, correction.floor), 3) if at >= correction.since else at

    items = [
        msgspec.structs.replace(item, at=moved(item.at)) if isinstance(item, AssessmentReport | UsageReport) else item
        for item in body.items
    ]
    return ReportBody(moved(body.at), items)

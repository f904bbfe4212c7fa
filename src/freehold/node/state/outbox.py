"""Reports that wait for the Master, in the node's memory: a SQLite file that survives power cuts.

A report gets its number and its place in the chain when it is written, and stays until the Master acknowledged it.
What the Master would refuse for its form does not enter: word of it stands in its place, and the chain goes on.
One that was never handed out may still be written anew: thinned, when too many wait, or with another time, when the
Master says what time it is.
"""

import contextlib
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from freehold.escaping import encodable
from freehold.node.clock import Clock, Hardware
from freehold.node.state.compaction import compact
from freehold.protocol import MAX_BODY, UNREADABLE, validation
from freehold.protocol.report import GENESIS, AsideReport, AssessmentReport, Item, Report, ReportBody, UsageReport, link

_SCHEMA = """
CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, value TEXT NOT NULL);
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
_MILLISECOND = 0.001
"""To which times are rounded in reports."""
_log = logging.getLogger(__name__)


class Outbox:
    """The file, with the reports in it. Safe from any thread."""

    def __init__(
        self,
        path: Path,
        more: str = "",
        *,
        budget: int = BUDGET,
        hardware: Hardware | None = None,
        only_look: bool = False,
    ) -> None:
        """Open the file, made when it is not there, with the tables of `more` in it.

        `only_look`: at a copy in memory, for the disk may be full or read-only.
        """
        self._told: Callable[[], None] = lambda: None
        self.pace = PACE
        """Seconds between reports of what is no news, as the Master wants it."""
        self._lock = threading.RLock()
        self._db = _look_into(path) if only_look else _open(path)
        self._db.executescript(_SCHEMA + more)
        self._budget = self._most = budget
        self._hardware = hardware or Hardware()
        self._size = self._unsent_size()
        self._began = 0.0
        """When this boot began for us; what has a later time was written in it."""
        self.clock = self._wind()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def when_told(self, told: Callable[[], None]) -> None:
        """Have `told` called after each change, for there may be reports to send."""
        self._told = told

    def tell(self, *items: Item) -> None:
        """Add a report; without items it is a heartbeat."""
        with self._transaction():
            self._enqueue(*items)

    def begin_epoch(self, epoch: int) -> bool:
        """Start a new chain unless it was: what was not told in the former one is told as new; return whether so."""
        with self._transaction():
            if int(self._get("epoch", "0")) == epoch:
                return False
            bodies = [body for (body,) in self._rows("SELECT body FROM outbox ORDER BY sequence")]
            self._db.execute("DELETE FROM outbox")
            self._set("epoch", str(epoch))
            self._hand_out(0, GENESIS)
            self._go_on_from_sent()
            self._set("revision", "0")
            self._set("host", "")
            self._db.execute("DELETE FROM memory WHERE name = 'acknowledged'")
            for body in bodies:
                self._append(body)
        return True

    def outbox(self, most: int, most_bytes: int, *, after: int = 0) -> list[Report]:
        """Return the oldest reports that were not acknowledged, to be sent: from now on they stay as they are.

        `after`: only those with a larger number.
        """
        reports: list[Report] = []
        size = 0
        if not self._rows("SELECT 1 FROM outbox LIMIT 1"):
            return reports
        with self._transaction(quietly=True):
            self._set_large_aside()
            for sequence, digest, body in self._rows(
                "SELECT sequence, hash, body FROM outbox WHERE sequence > ? ORDER BY sequence LIMIT ?", (after, most)
            ):
                size += len(body)
                if reports and size > most_bytes:
                    break
                reports.append(Report(sequence, digest, msgspec.Raw(body)))
            if reports and reports[-1].sequence > self._sent:
                self._hand_out(reports[-1].sequence, reports[-1].hash)
        return reports

    def outbox_size(self) -> int:
        """Return how many reports wait."""
        return int(self._rows("SELECT count(*) FROM outbox")[0][0])

    @property
    def statement(self) -> str | msgspec.UnsetType:
        """What the Master said last of what it knows, to be shown to it; unset when it said nothing."""
        return self._get("statement", "") or msgspec.UNSET

    def acknowledged(self, sequence: int, statement: str | msgspec.UnsetType = msgspec.UNSET) -> None:
        """Forget the reports up to a number: the Master has them; keep what it says that it knows."""
        with self._transaction():
            if statement:
                self._set("statement", statement)
            for (digest,) in self._rows("SELECT hash FROM outbox WHERE sequence = ?", (sequence,)):
                self._set("acknowledged", f"{sequence} {digest}")
            self._db.execute("DELETE FROM outbox WHERE sequence <= ?", (sequence,))
            if self.clock.heard:
                self._set("heard", repr(self.now()))

    def set_aside(self, sequence: int, reason: str) -> None:
        """Replace a report that the Master refuses for its form, and has therefore not applied, by word of it.

        One of several items becomes a report for each: only the one at fault is set aside then. What comes after is
        chained anew: the Master cannot have it either.
        """
        with self._transaction():
            self._set_aside(sequence, reason)

    @property
    def last_handed_out(self) -> int:
        """The number of the last report of this epoch that was handed out."""
        return self._sent

    @property
    def epoch(self) -> int:
        return int(self._get("epoch", "0"))

    @property
    def was_heard(self) -> bool:
        """Whether the Master ever said what time it is, to this process or to one before."""
        return self.clock.heard or bool(self._get("heard", ""))

    def now(self) -> float:
        """Return the time, seconds since 1970 UTC, as well as this machine can know it."""
        return self.clock.now()

    def hear(self, moment: float) -> None:
        """Take note of what time it is for the Master; what waits and was never handed out gets its right time."""
        with self._lock:
            began, heard = self._began, self.clock.heard
            shift = self.clock.hear(moment)
            if not shift:
                if self.clock.heard and not heard:
                    with self._transaction(quietly=True):
                        self._note_boot(began)
                return
            _log.warning("this machine's clock was wrong by %.0f s; times are those of the Master from here on", -shift)
            with self._transaction():
                self._note_boot(began + shift)
                # Later than this boot began: written in it. With a clock that ran ahead before, earlier boots too, and
                # their error may have been another one: but they were not before the Master was last heard.
                # A moment at which it was heard may be wrong too: it cannot be later than now.
                since = min(began, self._began) - _MILLISECOND
                floor = min(float(self._get("heard", "0")), self.now())
                self._set("heard", repr(floor))
                self._rewrite([_moved(body, shift, since, floor) for body in map(_read, self._unsent())])
                self._set("latest", repr(self.now()))
                self.moved()

    def shows(self) -> float | None:
        """Return the time by a clock that owes nothing to the Master; None where this machine has none."""
        return self.clock.shows()

    def believes(self, begins: float, ends: float) -> bool:
        """Return whether a certificate with these dates may be valid now."""
        return self.clock.believes(begins, ends)

    def moved(self) -> None:
        """The clock was set right: called in that transaction, for what else holds times."""

    # Inside

    def _enqueue(self, *items: Item) -> None:
        now = round(self.now(), 3)
        for packed in _packed([_admitted(item, now) for item in items]):
            self._append(msgspec.json.encode(ReportBody(now, packed)))
        self._set("latest", repr(now))
        if self._size > self._most:
            self._compact()

    def _append(self, body: bytes) -> None:
        sequence = int(self._get("sequence", "0")) + 1
        digest = link(self._get("hash", GENESIS), body)
        self._db.execute("INSERT INTO outbox VALUES (?, ?, ?)", (sequence, digest, body))
        self._set("sequence", str(sequence))
        self._set("hash", digest)
        self._size += len(body)

    def _set_large_aside(self) -> None:
        """Set aside what no request can hold: an earlier version let it in."""
        rows = self._rows("SELECT sequence FROM outbox WHERE length(body) > ? ORDER BY sequence", (LARGEST_SENT,))
        for (sequence,) in reversed(rows):
            self._set_aside(sequence, "It is larger than a request to the Master may be.")

    def _set_aside(self, sequence: int, reason: str) -> None:
        before = self._hash_before(sequence)
        rows = self._rows("SELECT body FROM outbox WHERE sequence >= ? ORDER BY sequence", (sequence,))
        if before is None or not rows:
            _log.error("report %s cannot be set aside: the end of the chain before it is not known", sequence)
            return
        _log.error("report %s cannot be sent, and is set aside: %s", sequence, reason)
        first, *others = [body for (body,) in rows]
        self._db.execute("DELETE FROM outbox WHERE sequence >= ?", (sequence,))
        self._hand_out(sequence - 1, before)
        self._go_on_from_sent()
        for body in _without_fault(first, reason):
            self._append(msgspec.json.encode(body))
        for body in others:
            self._append(body)
        self._size = self._unsent_size()

    def _hash_before(self, sequence: int) -> str | None:
        """Return the hash before a report that waits; None when it is not known any more."""
        if sequence == 1:
            return GENESIS
        for (digest,) in self._rows("SELECT hash FROM outbox WHERE sequence = ?", (sequence - 1,)):
            return str(digest)
        number, _, digest = self._get("acknowledged", "").partition(" ")
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
        self._db.execute("DELETE FROM outbox WHERE sequence > ?", (self._sent,))
        self._go_on_from_sent()
        for body in bodies:
            self._append(msgspec.json.encode(body))

    @property
    def _sent(self) -> int:
        """The number of the last report that was ever handed out."""
        return int(self._get("sent", self._get("sequence", "0")))

    def _hand_out(self, sequence: int, digest: str) -> None:
        self._set("sent", str(sequence))
        self._set("sent_hash", digest)

    def _go_on_from_sent(self) -> None:
        self._set("hash", self._get("sent_hash", self._get("hash", GENESIS)))
        self._set("sequence", str(self._sent))

    def _unsent(self) -> list[bytes]:
        rows = self._rows("SELECT body FROM outbox WHERE sequence > ? ORDER BY sequence", (self._sent,))
        return [body for (body,) in rows]

    def _unsent_size(self) -> int:
        rows = self._rows("SELECT coalesce(sum(length(body)), 0) FROM outbox WHERE sequence > ?", (self._sent,))
        return int(rows[0][0])

    def _wind(self) -> Clock:
        """Return the clock of this boot, as it was set before in it."""
        latest, certain = float(self._get("latest", "0")), float(self._get("heard", "0"))
        noted = msgspec.json.decode(self._get("boot", "{}"), type=dict[str, str | float | bool])
        if noted.get("boot") == self._hardware.boot():
            self._began = float(noted["began"])
            heard = bool(noted.get("heard"))
            return Clock(float(noted["anchor"]), heard=heard, certain=certain, hardware=self._hardware)
        # A little later than all of the boot before, so that the two are told apart.
        self.clock = Clock(latest=latest + 2 * _MILLISECOND, certain=certain, hardware=self._hardware)
        self._note_boot(self.clock.now())
        return self.clock

    def _note_boot(self, began: float) -> None:
        self._began = began
        noted = {"boot": self._hardware.boot(), "anchor": self.clock.anchor, "began": began, "heard": self.clock.heard}
        self._set("boot", msgspec.json.encode(noted).decode())

    def _get(self, name: str, default: str) -> str:
        rows = self._rows("SELECT value FROM memory WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else default

    def _set(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (name, value))

    def _rows(self, query: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self, *, quietly: bool = False) -> Iterator[None]:
        with self._lock:
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            changed = self._db.total_changes != before
        if changed and not quietly:
            self._told()


def _open(path: Path) -> sqlite3.Connection:
    # Partitions' users pass through this folder, and here is what every customer ordered; SQLite gives the
    # files beside it the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=WAL")
    # Reports become money: what was numbered must be there after a power cut.
    database.execute("PRAGMA synchronous=FULL")
    return database


def put_damaged_aside(path: Path) -> Path | None:
    """Rename a store that SQLite cannot read, so that an empty one takes its place; return the new name, None if whole.

    Only whoever has the agent's lock may do so.
    """
    if not path.exists() or _is_whole(path):
        return None
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}")
    # The log first: beside another file it would be applied to that.
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")
    _log.error("the store of this node was damaged and is put aside as %s; the Master is asked for what it held", aside)
    return aside


def _is_whole(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.OperationalError:
        # A full or read-only disk, or another process: no damage.
        return True
    except sqlite3.DatabaseError:
        return False


def _look_into(path: Path) -> sqlite3.Connection:
    """Return a file's database as it is now, in memory; empty when there is no file, or a damaged one."""
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    if not path.exists() or not _is_whole(path):
        return database
    for how in ("mode=ro", "immutable=1"):
        # Without the files beside it, which cannot be made here, nobody writes to it.
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as file:
            try:
                file.backup(database)
                return database
            except sqlite3.OperationalError as error:
                failure = error
    raise failure


def _read(body: bytes) -> ReportBody:
    return msgspec.json.decode(body, type=ReportBody)


def _admitted(item: Item, now: float) -> Item:
    """Return an item as the Master accepts it; word of it when it does not."""
    item = _with_bounded_text(item)
    try:
        validation.check(item, now)
    except ValueError as error:
        aside = _aside(item, str(error))
        _log.error("an item of kind '%s' about '%s' is set aside: %s", aside.item, aside.instance, aside.reason)
        return aside
    return item


def _with_bounded_text(item: Item) -> Item:
    message = getattr(item, "message", None)
    if not message:
        return item
    bounded = validation.text(encodable(message))
    return item if bounded == message else msgspec.structs.replace(item, message=bounded)


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


def _moved(body: ReportBody, shift: float, since: float, floor: float) -> ReportBody:
    """Return a report with every time from `since` on moved, to `floor` at the earliest."""

    def moved(at: float) -> float:
        return round(max(at + shift, floor), 3) if at >= since else at

    items = [
        msgspec.structs.replace(item, at=moved(item.at)) if isinstance(item, AssessmentReport | UsageReport) else item
        for item in body.items
    ]
    return ReportBody(moved(body.at), items)

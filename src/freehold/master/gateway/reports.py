"""Applying reports exactly once, many nodes' in one transaction.

The number and hash of the last report of each node are remembered; a chain that moves only from where it is
believed to end is what makes it true when memory is wrong.
"""

import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from freehold.failpoints import failpoint
from freehold.master.foundation import clock, hints
from freehold.master.foundation.causes import failure
from freehold.master.foundation.errors import Busy, Conflict, MasterError
from freehold.master.gateway.database import DatabaseConnection, integrity_errors
from freehold.master.gateway.items import ItemRows, ReportingNode, collect
from freehold.master.gateway.metering import Meters
from freehold.master.gateway.owners import Owners
from freehold.protocol import MAX_MESSAGE, UNREADABLE, validation
from freehold.protocol.report import GENESIS, Item, Report, ReportBody, link

MOST_JOBS = 512
"""How many requests share a transaction at most."""
BUSY_RATE, GATHERING = 200, 0.05
"""With more requests a second than that, each transaction waits so many seconds for others to share it."""
MOST_WAITING = 64 * 1024 * 1024
"""Bytes of batches that may wait: nodes that come back all at once keep what they have until there is room."""
SHARE, SHARE_A_SECOND = 64 * 1024 * 1024, 512 * 1024
"""Bytes of reports that one node may tell at once, and a second for long: what a node of many services tells is a
hundredth of it, and one that has more to tell comes again, so that nothing is lost."""
MOST_REFUSED, MOST_REFUSED_CHARACTERS, LONGEST_REFUSED = 1000, 4_000_000, 64_000
"""Refused items of a node that are kept, their characters together, and those of one; the oldest go and are counted."""
MOST_LOGGED = 20
"""Lines of the log about refused items of a node in one transaction."""
MOST_CONFLICTING = 10_000
EQUIVOCATION = "This report was told before with another content, or comes after one that was."
_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(ReportBody)


class ReportGap(Conflict):
    type = "report-gap"
    title = "Reports are missing or differ"
    remedy = "Send the reports from the number named in `detail`; if they are lost, enrol the node again."


class StaleHead(Exception):
    """A chain does not end where it is remembered to: another process applied reports of this node."""


@dataclass(frozen=True, slots=True)
class Head:
    """Where a node's chain ends."""

    epoch: int
    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch did: the end of the chain now, and how many items were set aside."""

    sequence: int
    refused: int


@dataclass
class ReportJob:
    """A batch of one node, waiting to be applied; `answer` is called from the writer's thread."""

    node: str
    epoch: int
    reports: Sequence[Report]
    size: int
    """Bytes, about."""
    answer: Callable[["Done | Exception"], None]


@dataclass
class _Refused:
    """What one node told in a transaction that could not be true: the newest of it, and how much there was."""

    newest: "deque[dict[str, Any]]" = field(default_factory=lambda: deque(maxlen=MOST_REFUSED))
    count: int = 0


@dataclass(slots=True)
class _Rows(ItemRows):
    """What a transaction will append."""

    refused: dict[str, _Refused] = field(default_factory=lambda: defaultdict(_Refused))
    """By node."""


_serving: "list[Writer]" = []
"""The writer of this process, while it serves."""


def apply(node: str, epoch: int, reports: Sequence[Report], size: int) -> Done:
    """Apply a batch that came another way than through the gateway, by the writer that serves; return what it did."""
    if not _serving:
        raise Busy("This Master is starting or stopping.")
    answers: queue.SimpleQueue[Done | Exception] = queue.SimpleQueue()
    _serving[-1].submit(ReportJob(node, epoch, reports, size, answers.put))
    answer = answers.get()
    if isinstance(answer, Exception):
        raise answer
    return answer


class BatchingPolicy:
    """Whether so much comes that transactions are better shared: a transaction costs as much as ten reports in it."""

    def __init__(self) -> None:
        self._since = self._came = 0.0
        self._gathers = False

    def came(self, jobs: int) -> None:
        self._came += jobs

    def pause(self, now: float) -> float:
        """Return for how many seconds to wait for more, at a moment; none unless the last second was crowded."""
        if now - self._since >= 1:
            self._gathers = self._came > BUSY_RATE * (now - self._since)
            self._since, self._came = now, 0.0
        return GATHERING if self._gathers else 0.0


class Shares:
    """How much each node may still tell now. The clock is given: seconds, from anywhere on."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, node: str, size: int, now: float) -> bool:
        """Take so many bytes from the share of a node; return False, and take nothing, where it has not as much."""
        left, since = self._left.get(node, (float(SHARE), now))
        left = min(SHARE, left + (now - since) * SHARE_A_SECOND)
        enough = size <= left
        self._left[node] = (left - size if enough else left, now)
        return enough


class Writer(threading.Thread):
    """The thread that applies reports: takes every batch that waits, writes them all, commits once."""

    def __init__(self, url: str) -> None:
        super().__init__(name="report-writer", daemon=True)
        self._connection = DatabaseConnection(url)
        self._jobs: queue.SimpleQueue[ReportJob | None] = queue.SimpleQueue()
        self._heads: dict[str, Head] = {}
        self._meters = Meters(self._connection)
        self._owners = Owners(self._connection)
        self._conflicting_reports: set[tuple[str, int, str]] = set()
        """Reports of another chain that were set aside already."""
        self._waiting = 0
        """Bytes that were submitted and not applied yet."""
        self._counting = threading.Lock()
        self._batching = BatchingPolicy()
        self._shares = Shares()

    def submit(self, job: ReportJob) -> None:
        """Have a batch applied; raise Busy when too much waits already, or this node tells more than its share.

        The node has it, and comes again.
        """
        with self._counting:
            if not self._shares.take(job.node, job.size, time.monotonic()):
                _log.warning("%s tells more than its share, and has to wait", job.node)
                raise Busy("This node tells more than its share.")
            if self._waiting > MOST_WAITING:
                raise Busy("Many nodes report at once.")
            self._waiting += job.size
        self._jobs.put(job)

    def head_of(self, node: str) -> tuple[int, int]:
        """Return epoch and number of the last report of a node that is remembered; (0, 0): none is."""
        head = self._heads.get(node)
        return (head.epoch, head.sequence) if head is not None else (0, 0)

    def stop(self) -> None:
        """End after what was submitted."""
        self._jobs.put(None)
        self.join()
        self.close()

    def close(self) -> None:
        """End the connection of a writer whose thread does not run."""
        self._connection.close()

    def run(self) -> None:
        _serving.append(self)
        try:
            self._work()
        finally:
            _serving.remove(self)

    def _work(self) -> None:
        while (first := self._jobs.get()) is not None:
            jobs = [first]
            time.sleep(self._batching.pause(time.monotonic()))
            try:
                while len(jobs) < MOST_JOBS:
                    job = self._jobs.get_nowait()
                    if job is None:
                        self._jobs.put(None)
                        break
                    jobs.append(job)
            except queue.Empty:
                pass
            self._batching.came(len(jobs))
            self.apply(jobs)
            with self._counting:
                self._waiting -= sum(job.size for job in jobs)

    def apply(self, jobs: list[ReportJob]) -> None:
        """Write batches in one transaction and answer each; called by the thread, or in its place."""
        try:
            self._apply(jobs)
        except Exception as error:
            if len(jobs) == 1 and not isinstance(error, (StaleHead, *integrity_errors())):
                self._give_up(jobs[0], error)
                return
            # What memory says may be wrong (another process wrote), or one of them is at fault: one by one.
            self._heads.clear()
            self._owners.forget()
            self._meters.forget()
            for job in jobs:
                try:
                    self._apply([job])
                except Exception as alone:
                    self._give_up(job, alone)

    def _give_up(self, job: ReportJob, error: Exception) -> None:
        self._meters.forget()
        self._connection.close()
        job.answer(failure(error, f"reports of {job.node} could not be written"))

    def _apply(self, jobs: list[ReportJob]) -> None:
        rows = _Rows(clock.now())
        before: dict[str, Head] = {}
        heads: dict[str, Head] = {}
        answers: list[tuple[ReportJob, Done | Exception]] = []
        with self._connection.transaction():
            self._owners.forget_moved()
            for job in jobs:
                try:
                    head = heads.get(job.node) or self._head(job.node)
                    begin, end, refused = self._collect(job, head, rows)
                    before.setdefault(job.node, begin)
                    heads[job.node] = end
                    answers.append((job, Done(end.sequence, refused)))
                except MasterError as error:
                    answers.append((job, error))
            for statement, values in rows.by_statement.items():
                self._connection.many(statement, values)
            self._keep_refused(rows)
            self._meters.write()
            self._move_chains(before, heads, rows.received_at)
            failpoint("reports-not-committed")
        failpoint("reports-committed")
        self._meters.written()
        self._heads.update(heads)
        for job, answer in answers:
            job.answer(answer)
        if rows.hint:
            hints.give(hints.REPORTED)

    def _move_chains(self, before: dict[str, Head], heads: dict[str, Head], now: int) -> None:
        """Note where the chains end now, and when; raise StaleHead when one did not end where we believed.

        Also when all was known already: its node counts its lease from when it sent that again, and was answered.
        """
        rows: dict[str, list[dict[str, Any]]] = {"begin_chain": [], "move_chain": []}
        for node, end in heads.items():
            if not end.sequence:
                continue
            row = {"node": node, "epoch": end.epoch, "sequence": end.sequence, "hash": end.hash, "received_at": now}
            if before[node].sequence:
                rows["move_chain"].append({**row, "before": before[node].hash})
            else:
                rows["begin_chain"].append(row)
        for statement, values in rows.items():
            if self._connection.many(statement, values) != len(values):
                raise StaleHead

    def _head(self, node: str) -> Head:
        head = self._heads.get(node)
        if head is None:
            ((epoch, sequence, digest),) = self._connection.rows("head", {"node": node})
            head = Head(epoch, sequence or 0, digest or GENESIS)
        return head

    def _collect(self, job: ReportJob, head: Head, rows: _Rows) -> tuple[Head, Head, int]:
        """Add the rows of a job's new reports; return the chain's end, its new end and the count of refused items.

        Raise ReportGap, before anything was added, when the batch does not continue the chain.
        """
        if job.epoch != head.epoch:
            head = self._fresh_head(job)
        for report in job.reports:
            if report.sequence == head.sequence and report.hash != head.hash:
                self._refuse_twin(job.node, report, rows)
                # Answered as applied, what the node tells under this number would be lost to it.
                raise ReportGap(f"Report {report.sequence} was told before with another content.")
        new = [report for report in job.reports if report.sequence > head.sequence]
        end = head
        for report in new:
            if report.sequence != end.sequence + 1:
                raise ReportGap(f"The report after {end.sequence} is missing: {report.sequence} came instead.")
            if link(end.hash, bytes(report.body)) != report.hash:
                self._refuse_twin(job.node, report, rows)
                raise ReportGap(f"Report {report.sequence} does not continue the chain that ends at {end.sequence}.")
            end = Head(head.epoch, report.sequence, report.hash)
        refused = sum(self._collect_report(job.node, report, rows) for report in new)
        return head, end, refused

    def _fresh_head(self, job: ReportJob) -> Head:
        self._heads.pop(job.node, None)
        head = self._head(job.node)
        if job.epoch != head.epoch:
            raise ReportGap(
                f"This node was enrolled anew: reports are now of epoch {head.epoch}, not {job.epoch}.",
                remedy="Stop this machine's agent, or enrol it again with a new token.",
            )
        return head

    def _collect_report(self, node: str, report: Report, rows: _Rows) -> int:
        refused, ahead = 0, ""
        items: list[Item] = []
        try:
            body = _decoder.decode(report.body)
            validation.time(body.at)
            items, ahead = body.items, validation.ahead(body.at, rows.received_at / 1000)
        except (ValueError, *UNREADABLE) as error:
            refused += self._refuse(node, report, str(error), bytes(report.body), rows)
        reporter = ReportingNode(node, report.sequence, rows, self._owners, self._meters)
        for item in items:
            try:
                collect(item, reporter)
            except ValueError as error:
                refused += self._refuse(node, report, str(error), msgspec.json.encode(item), rows)
        if ahead and not refused:
            # The time is set aside alone: nothing is kept under it, and the items have times of their own.
            refused += self._refuse(node, report, ahead, msgspec.json.encode(body.at), rows)
        return refused

    def _refuse_twin(self, node: str, report: Report, rows: _Rows) -> None:
        """Keep a report of a chain that is another than the one we know, once: never in the place of what we have."""
        twin = (node, report.sequence, report.hash)
        if twin in self._conflicting_reports:
            return
        if len(self._conflicting_reports) >= MOST_CONFLICTING:
            self._conflicting_reports.clear()
        self._conflicting_reports.add(twin)
        self._refuse(node, report, EQUIVOCATION, bytes(report.body), rows)

    def _refuse(self, node: str, report: Report, reason: str, item: bytes, rows: _Rows) -> int:
        refused = rows.refused[node]
        refused.count += 1
        if refused.count <= MOST_LOGGED:
            _log.warning("an item of report %s of %s was set aside: %s", report.sequence, node, reason)
        refused.newest.append(
            {
                "node": node,
                "sequence": report.sequence,
                "reason": reason[:MAX_MESSAGE],
                "item": item.decode(errors="replace").replace("\0", "�")[:LONGEST_REFUSED],
                "received_at": rows.received_at,
            }
        )
        return 1

    def _keep_refused(self, rows: _Rows) -> None:
        """Keep what could not be true, as much of it as each node has a share; count the rest."""
        for node, refused in sorted(rows.refused.items()):
            self._connection.many("add_refused", list(refused.newest))
            share = {"node": node, "most": MOST_REFUSED, "characters": MOST_REFUSED_CHARACTERS}
            gone = refused.count - len(refused.newest) + self._connection.many("trim_refused", [share])
            if gone:
                self._connection.many("count_overflow", [{"node": node, "items": gone}])

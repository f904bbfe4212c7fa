"""The two conversations with the Master, each on its own thread: the feed in, the outbox out."""

import logging
from collections.abc import Callable
from random import Random

import msgspec

from freehold.failpoints import failpoint
from freehold.node.errors import LinkDown, LinkError
from freehold.node.runtime import NamedThread, Runtime
from freehold.node.state.store import Store
from freehold.node.upstream import MasterRefused, Unready, Upstream
from freehold.protocol import UNREADABLE
from freehold.protocol.enrol import EpochAnswer
from freehold.protocol.feed import Feed
from freehold.protocol.report import Applied, ReportBatch
from freehold.protocol.stream import StreamRequest

WAIT = 50.0
"""Seconds to wait on the Master for something new."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
SHORTEST_PACE, LONGEST_PACE = 1.0, 86400.0
"""Whatever a Master says."""
CLOCK_PAUSE = 2.0
"""Seconds between questions for the time, while answers contradict this machine's clock."""
BATCH, BATCH_BYTES = 500, 1_000_000
IN_DOUBT, GAP = "in-doubt", "report-gap"
"""Problems by which a Master says that it may know less than it did, and that reports do not continue what it has."""
OF_FORM = ("malformed", "too-large")
"""Problems by which a Master says that it will never take a request as it is."""
_log = logging.getLogger(__name__)
_feeds = msgspec.json.Decoder(Feed)
_answers = msgspec.json.Decoder(Applied)
_epochs = msgspec.json.Decoder(EpochAnswer)


class SyncThread(NamedThread):
    """A loop of exchanges that goes on through failures, ever slower while they last."""

    def __init__(self, name: str, link: Upstream, runtime: Runtime) -> None:
        super().__init__(name=name, daemon=True)
        self.link = link
        self.runtime = runtime
        self.over = runtime.event()
        self.trouble = ""
        """Why the last exchange failed; empty when it did not."""
        self._reconnect = runtime.event()

    def reconnect(self) -> None:
        """Open a new connection at once, with the identity as it is then, also after a failure."""
        self._reconnect.set()

    def run(self) -> None:
        failures = 0
        while not self.over.is_set():
            if self._reconnect.is_set():
                self._reconnect.clear()
                self.link.close()
            try:
                self.exchange()
                if self.trouble:
                    _log.info("%s: the Master answers again", self.name)
                self.trouble, failures = "", 0
            except LinkError as error:
                failures += 1
                if str(error) != self.trouble:
                    _log.warning("%s: %s", self.name, error)
                self.trouble = str(error)
                pause = pause_after(failures, self.runtime.random, down=isinstance(error, LinkDown))
                self._reconnect.wait(min(pause, self.patience()))
            except Exception:
                failures += 1
                _log.exception("%s failed; retrying", self.name)
                self._reconnect.wait(pause_after(failures, self.runtime.random, down=False))
        self.link.close()

    def exchange(self) -> None:
        """Do one exchange; it waits while there is nothing to do."""
        raise NotImplementedError

    def patience(self) -> float:
        """Return the seconds after which the next try must not be put off any more."""
        return LONGEST_PAUSE


def pause_after(failures: int, random: Random, *, down: bool) -> float:
    """Return the seconds until the next try: doubling, at random, so that nodes do not come back all at once.

    A Master that is down may be back at any moment; one that says no will say it again for a while.
    """
    first = FIRST_PAUSE if down else 10 * FIRST_PAUSE
    return random.uniform(0.5, 1.0) * min(first * float(1 << min(failures - 1, 16)), LONGEST_PAUSE)


class FeedReader(SyncThread):
    """Asks for what changed and takes it over."""

    def __init__(
        self,
        link: Upstream,
        store: Store,
        changed: Callable[[], None],
        keep_epoch: Callable[[int], None] = lambda _: None,
        show: Callable[[list[StreamRequest]], None] = lambda _: None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        """`keep_epoch` writes down which epoch the Master gave, before anything is told in it.

        `show` begins to send what the Master asks to be shown, and returns at once.
        """
        super().__init__("feed", link, runtime or Runtime())
        self._show = show
        self._keep_epoch = keep_epoch
        self._store = store
        self._changed = changed

    def exchange(self) -> None:
        since = self._store.revision
        # Who waits for the end of its silence does not wait long.
        longest = self._store.lease.within(WAIT) if self._store.lease.left() else 0.0
        wait = 0.0 if since == 0 or self.trouble else longest
        asked_at = self._store.clock.since_boot()
        path = f"/node/v1/feed?since={since}&wait={wait:g}&streams=1&statement={self._store.outbox.statement or ''}"
        status, content, _ = self.link.call("GET", path, timeout=wait + 20)
        if status != 200:
            if self._store.lease.feed_heard(asked_at):
                self._changed()
            return
        feed = _read_feed(content)
        if feed.epoch > self._store.outbox.epoch:
            # A Master that lost what it knew begins each node's chain anew; all of the feed is asked for again.
            self._keep_epoch(feed.epoch)
            self._store.begin_epoch(feed.epoch)
            return
        failpoint("feed-heard")
        self._store.apply_feed(feed, since)
        failpoint("feed-taken-over")
        self._store.lease.feed_heard(asked_at)
        if feed.streams:
            self._show(feed.streams)
        self._changed()


class OutboxSender(SyncThread):
    """Sends reports in order; after a while without any, a heartbeat. `renewed` is told when the lease begins anew."""

    def __init__(
        self,
        link: Upstream,
        store: Store,
        renewed: Callable[[], None] = lambda: None,
        keep_epoch: Callable[[int], None] = lambda _: None,
        *,
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__("outbox", link, runtime or Runtime())
        self._keep_epoch = keep_epoch
        self._store = store
        self._renewed = renewed
        self._told = self.runtime.event()
        self._singly_until = 0
        """Reports up to this number are sent one by one: the Master refused one of them for its form."""
        self._heartbeat_at = self._next_heartbeat()

    def told(self) -> None:
        """There is something to send."""
        self._told.set()

    def stop(self) -> None:
        self.over.set()
        self._told.set()
        self._reconnect.set()

    def exchange(self) -> None:
        if not self._store.clock.heard:
            # Before anything is handed out for good, we know what time it is: answers tell, some when they agree.
            self.link.call("GET", "/authority.pem")
            if not self._store.clock.heard:
                self.over.wait(CLOCK_PAUSE)
                return
        self._told.clear()
        if self.over.is_set():
            return
        reports = self._store.outbox.hand_out(1 if self._singly_until else BATCH, BATCH_BYTES)
        if not reports:
            is_woken = self._told.wait(max(0.0, self._heartbeat_at - self.runtime.monotonic()))
            # What was told quietly is as good as a heartbeat.
            if not is_woken and not self.over.is_set() and not self._store.outbox.count():
                self._store.outbox.add()
            return
        body = msgspec.json.encode(
            ReportBatch(self._store.outbox.epoch, reports, statement=self._store.outbox.statement)
        )
        sent = self._store.clock.since_boot()
        try:
            _, content, _ = self.link.call("POST", "/node/v1/reports", body)
        except Unready as error:
            if error.problem.type == IN_DOUBT and self._store.lease.seconds:
                # While it doubts what it knows it moves nothing, and nothing has to end here.
                self._store.lease.renew(sent)
                self._renewed()
            raise
        except MasterRefused as error:
            if error.problem.type == GAP:
                _log.error("The Master does not accept this node's reports: %s", error)
                self._leave_fork()
            if not self._is_about_form(error):
                raise
            if len(reports) > 1:
                self._singly_until = reports[-1].sequence
            else:
                self._store.outbox.set_aside(reports[0].sequence, f"The Master refuses it: {error}")
            return
        applied = _read_applied(content)
        if applied.refused:
            _log.warning("the Master set %s items aside", applied.refused)
            self._store.results.report_anew()
        failpoint("reports-sent")
        if applied.sequence > self._store.outbox.last_handed_out:
            # Acknowledged, what we just told would be lost: the Master skipped numbers that it has.
            _log.error("I know less than my peer: the Master has report %s of this node", applied.sequence)
            self._ask_for_epoch()
            return
        self._store.outbox.acknowledge(applied.sequence, applied.statement)
        if applied.sequence >= self._singly_until:
            self._singly_until = 0
        if self._store.lease.seconds:
            self._store.lease.renew(sent)
            self._renewed()
        failpoint("reports-forgotten")
        self._store.outbox.pace = min(max(SHORTEST_PACE, applied.next_contact), LONGEST_PACE)
        self._heartbeat_at = self._next_heartbeat()

    def _leave_fork(self) -> None:
        """Begin a new epoch, unless the Master gave one that the feed will tell of.

        Either it has other reports of ours, and this store is an older copy, or it forgot which epoch it gave us.
        """
        _, content, _ = self.link.call("GET", "/node/v1/feed?since=0&wait=0")
        if _read_feed(content).epoch <= self._store.outbox.epoch:
            self._ask_for_epoch()

    def _ask_for_epoch(self) -> None:
        """Begin a new chain, for this store does not know how the present one went on: it was lost or damaged."""
        _, content, _ = self.link.call("POST", "/node/v1/epoch", b"{}")
        try:
            epoch = _epochs.decode(content).epoch
        except UNREADABLE as error:
            raise LinkError(f"The Master's answer is not understood ({error}). Update this node.") from None
        _log.warning("this node's store knows of no report that the Master has: reports begin anew, in epoch %s", epoch)
        self._keep_epoch(epoch)
        self._store.begin_epoch(epoch)

    def _is_about_form(self, error: MasterRefused) -> bool:
        """Return whether the Master refuses what we sent, and not whatever we would send."""
        if error.problem.type not in OF_FORM:
            return False
        # A Master that refuses a batch of nothing (another version of the protocol) is not heard about the reports.
        self.link.call("POST", "/node/v1/reports", msgspec.json.encode(ReportBatch(self._store.outbox.epoch, [])))
        return True

    def patience(self) -> float:
        # A Master that is in doubt renews the lease as well, by saying so.
        return self._store.lease.within(LONGEST_PAUSE)

    def _next_heartbeat(self) -> float:
        return self.runtime.monotonic() + self._store.lease.within(self._store.outbox.pace)


def _read_applied(content: bytes) -> Applied:
    try:
        return _answers.decode(content)
    except UNREADABLE as error:
        raise LinkError(f"The Master's answer to reports is not understood ({error}). Update this node.") from None


def _read_feed(content: bytes) -> Feed:
    try:
        # As text: parts of it are kept as they are, and must be text too.
        return _feeds.decode(content.decode())
    except UNREADABLE as error:
        raise LinkError(f"The Master's feed is not understood ({error}). Update this node.") from None

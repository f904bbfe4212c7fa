"""What the gateway keeps in memory: each node's revision and who waits for the next one; identities.

A thread asks the database one question (the revision clock) when hinted and twice a second, and tells the
event loop what changed. So changes made by another process are seen as well, a little later.
"""

import asyncio
import logging
import threading
from collections import defaultdict
from dataclasses import dataclass

from freehold.master.foundation import certificates, clock, hints
from freehold.master.foundation.errors import Unauthenticated
from freehold.master.gateway.clocks import LIVING_S, Comparison, NodeClocks
from freehold.master.gateway.database import DatabaseConnection
from freehold.master.gateway.doubt import Standing

TICK = 0.5
COMPARE_S = 2.0
"""Seconds between two comparisons of clocks."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Whom a certificate speaks for."""

    node: str
    not_after: int


class Revisions:
    """The revision of every node, and the requests that wait for a newer one. Used on the event loop only."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._identities: dict[str, CertificateIdentity] = {}
        self._fingerprints: dict[str, set[str]] = defaultdict(set)
        self.updates = 0
        """How many times `update` was called."""

    def of(self, node: str) -> int:
        """Return the last known revision of a node; 0 for one never seen."""
        return self._known.get(node, 0)

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return len(self._known)

    def learn(self, node: str, revision: int) -> None:
        """Note a revision that was read from the database before the watcher told of it."""
        self._known[node] = max(self.of(node), revision)

    async def newer(self, node: str, revision: int, wait: float) -> bool:
        """Return whether the node has a newer revision, waiting so many seconds for one at most."""
        if self.of(node) != revision or wait <= 0:
            return self.of(node) != revision
        future = asyncio.get_running_loop().create_future()
        self._waiting[node].add(future)
        try:
            async with asyncio.timeout(wait):
                await future
            return True
        except TimeoutError:
            return self.of(node) != revision
        finally:
            self._waiting[node].discard(future)
            if not self._waiting[node]:
                del self._waiting[node]

    def update(self, changed: list[tuple[str, int]]) -> None:
        """Note new revisions, forget what was known of these nodes, and wake who waits for them."""
        self.updates += 1
        for node, revision in changed:
            for fingerprint in self._fingerprints.pop(node, ()):
                self._identities.pop(fingerprint, None)
            if self.of(node) == revision:
                continue
            self._known[node] = revision
            self.wake(node)

    def wake(self, node: str) -> None:
        """Have the requests of a node look anew."""
        for future in self._waiting.get(node, ()):
            if not future.done():
                future.set_result(None)

    def identity(self, fingerprint: str) -> CertificateIdentity | None:
        """Return a remembered identity; None when it must be looked up."""
        return self._identities.get(fingerprint)

    def remember(self, fingerprint: str, identity: CertificateIdentity, asked_at: int) -> None:
        """Remember an identity, unless `update` was called since it was looked up (`updates` was `asked_at`).

        It may have been revoked in between, and nobody would tell again.
        """
        if asked_at != self.updates:
            return
        self._identities[fingerprint] = identity
        self._fingerprints[identity.node].add(fingerprint)

    def release_all(self) -> None:
        """Answer whoever waits: the server is stopping."""
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_result(None)


def look_up(connection: DatabaseConnection, fingerprint: str) -> CertificateIdentity:
    """Return the node of a certificate, whose date is still to be checked; raise Unauthenticated or Forbidden."""
    rows = connection.rows("identify", {"fingerprint": fingerprint})
    if not rows:
        raise Unauthenticated("This certificate was not issued here.", remedy="Enrol the node: freehold node enrol.")
    kind, subject, not_after, revoked_at = rows[0]
    certificates.check(kind, "node", not_after, revoked_at, renewing=True)
    return CertificateIdentity(subject, not_after)


class Watcher(threading.Thread):
    """The thread that watches the revision clock, and what this Master knows of itself."""

    def __init__(
        self,
        url: str,
        revisions: Revisions,
        standing: Standing,
        clocks: NodeClocks,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self._clocks = clocks
        self._began = self._compared_at = clock.passed()
        self._noted: Comparison | None = None
        """What the database says; None: what a Master before this one noted."""
        self._connection = DatabaseConnection(url)
        self._revisions = revisions
        self._standing = standing
        self._loop = loop
        self._wake = threading.Event()
        self._over = False
        self._seen = 0

    def run(self) -> None:
        hints.listen(hints.FLEET_CHANGED, self._wake.set)
        is_new = True
        while not self._over:
            try:
                if is_new:
                    with self._connection.transaction():
                        self._connection.many("forget_agreement", [{"is_agreed": False}])
                    is_new = False
                self._look()
                self._compare()
            except Exception:
                _log.exception("the revision clock cannot be read; trying again")
                self._connection.close()
            self._wake.wait(TICK)
            self._wake.clear()
        hints.forget(hints.FLEET_CHANGED, self._wake.set)
        self._connection.close()

    def stop(self) -> None:
        self._over = True
        self._wake.set()
        self.join()

    def _compare(self) -> None:
        if clock.passed() - self._compared_at < COMPARE_S:
            return
        self._compared_at = clock.passed()
        comparison = self._clocks.compare()
        if self._noted is None and not (
            comparison.is_agreed or comparison.ahead or clock.passed() - self._began > LIVING_S
        ):
            # Nobody was heard yet.
            return
        if self._noted is not None and comparison.resembles(self._noted):
            return
        if comparison.ahead:
            _log.error(
                "This Master's clock is %.0f s ahead of most of its nodes' (%d)",
                comparison.ahead / 1000,
                comparison.nodes,
            )
        elif self._noted is not None and self._noted.ahead:
            _log.warning("This Master's clock is not contradicted any more")
        row = {
            "nodes": comparison.nodes,
            "is_agreed": comparison.is_agreed,
            "ahead": comparison.ahead,
            "at": clock.now(),
        }
        with self._connection.transaction():
            self._connection.many("set_comparison", [row])
        self._noted = comparison
        hints.give(hints.REPORTED)

    def _look(self) -> None:
        self._standing.look(self._connection)
        now = self._standing.revision
        if now == self._seen:
            return
        changed = self._connection.rows("changed_nodes", {"revision": self._seen})
        self._seen = max([now, *(revision for _, revision in changed)])
        self._loop.call_soon_threadsafe(self._revisions.update, changed)

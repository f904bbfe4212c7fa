"""The thread by which a node cares for itself: guards its partitions, keeps promises of its own, and tells of both."""

import logging
import re
import threading
import time
from collections.abc import Callable

import msgspec

from freehold.node.forkserver import ForkServer, ForkServerError
from freehold.node.host.facts import host_facts
from freehold.node.instances.enclosure import Enclosures
from freehold.node.maintenance.cleanup import clean_up
from freehold.node.maintenance.limits import LimitEnforcer
from freehold.node.runtime import NamedThread
from freehold.node.settings import Paths, Settings
from freehold.node.state.store import Store
from freehold.protocol import UNREADABLE
from freehold.protocol.report import HostPromise

LOOK = 2.0
TELL = 5.0
HEALTH = 60.0
TIDY = 3600.0
SLOWEST = 60.0
"""Words that change while a promise stays broken are told so often at most."""
_promises = msgspec.json.Decoder(list[HostPromise])
_log = logging.getLogger(__name__)


class MaintenanceLoop(NamedThread):
    """Cares until stopped."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        store: Store,
        enclosures: Enclosures,
        contain: Callable[[str, str], None],
        shorten_logs: Callable[[], None],
        reopen: Callable[[], None],
        fork_server: ForkServer,
    ) -> None:
        """`contain(instance, why)` ends what an instance runs; `reopen` makes containers anew that are gone."""
        super().__init__(name="maintenance", daemon=True)
        self._paths = paths
        self._settings = settings
        self._store = store
        self._enclosures = enclosures
        self._limits = LimitEnforcer(paths, settings, store.instances, enclosures, contain, shorten_logs)
        self._fork_server = fork_server
        self._reopen = reopen
        self._health: list[HostPromise] = []
        self._health_due = 0.0
        self._over = threading.Event()
        self._hurry = threading.Event()
        self._told_at = 0.0
        self._told: list[tuple[str, bool, str]] = []

    def stop(self) -> None:
        self._over.set()
        self._hurry.set()

    def tell_soon(self) -> None:
        """What the node obeys may have changed: the Master is to hear it."""
        self._hurry.set()

    def run(self) -> None:
        due = 0.0
        tidy_due = time.monotonic() + TIDY
        while not self._over.is_set():
            hurry = self._hurry.wait(LOOK)
            self._hurry.clear()
            try:
                self._reopen()
                if self._limits.look() or hurry:
                    due = 0.0
                if time.monotonic() >= due:
                    due = time.monotonic() + TELL
                    self.tell(self.promises())
                if time.monotonic() >= tidy_due:
                    tidy_due = time.monotonic() + TIDY
                    self._tidy()
            except Exception:
                _log.exception("the maintenance loop failed; retrying")

    def promises(self) -> list[HostPromise]:
        """Return the node's own promises as they are now: of the machine, then of its partitions."""
        if time.monotonic() >= self._health_due:
            self._health_due = time.monotonic() + HEALTH
            self._health = self._look()
        growth = [HostPromise("disk growth", False, self._limits.unexplained)] if self._limits.unexplained else []
        return [*self._health, *growth] + [
            HostPromise(f"partition {name} within its walls", False, words)
            for name, words in self._limits.tell_attempts().items()
        ]

    def _look(self) -> list[HostPromise]:
        payload = str(self._paths.root).encode()
        try:
            return _promises.decode(self._fork_server.call("freehold.node.maintenance.health:look", payload))
        except (ForkServerError, *UNREADABLE) as error:
            return [HostPromise("health", False, f"The machine cannot be looked at: {error}"[-1000:])]

    def _tidy(self) -> None:
        removed = clean_up(self._paths, self._store)
        if removed:
            _log.info("removed what nothing needs: %s", ", ".join(path.name[:12] for path in removed))

    def tell(self, promises: list[HostPromise]) -> None:
        """Keep and tell what the machine offers and how it is, when that is news."""
        self._store.results.record_health(promises)
        # A number that grows is no news, and what is well needs no words.
        reported = [
            promise if not promise.kept else msgspec.structs.replace(promise, message="") for promise in promises
        ]
        news = [(promise.name, promise.kept, re.sub(r"[0-9]+", "", promise.message)) for promise in reported]
        lease = self._store.lease.seconds
        news.append((f"lease {lease}", True, ""))
        if news == self._told and time.monotonic() - self._told_at < SLOWEST:
            return
        self._told, self._told_at = news, time.monotonic()
        holding = self._enclosures.protections.holding()
        self._store.report_host(host_facts(self._paths.root, self._settings, holding, reported, lease))

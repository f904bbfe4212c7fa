"""Instances: what is wanted of each here, as it was last configured, and how far it is."""

import hashlib
import logging

import msgspec

from freehold.node.partition.layout import LIMITS_PROMISE, TASK_PROMISE, Layout, promise_names
from freehold.node.plan import PlannedInstance
from freehold.node.state.database import Database
from freehold.node.state.lease import Lease
from freehold.node.state.outbox import Outbox
from freehold.node.state.persistent_clock import PersistentClock
from freehold.node.state.results import Results
from freehold.node.state.shared import SharedInstances
from freehold.protocol import MAX_MESSAGE, UNREADABLE, size
from freehold.protocol.feed import WantedInstance, WantedPeer
from freehold.protocol.report import InstanceReport, Item, PublicationReport
from freehold.protocol.size import Size
from freehold.protocol.states import Observed, Wanted

UNASKED = "The Master does not know yet what it requests."
RECONFIGURE_PAUSE = 300.0
"""Seconds after which a promise may have its instance configured again once more."""
_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instance (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, partition TEXT NOT NULL, release TEXT NOT NULL,
  type TEXT NOT NULL, wanted TEXT NOT NULL, title TEXT NOT NULL, parameters TEXT NOT NULL,
  state TEXT, state_revision INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
  layout TEXT NOT NULL DEFAULT '{}', counters TEXT NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS instance_in ON instance (partition);
"""
_LATER_COLUMNS = {
    "seed": "TEXT NOT NULL DEFAULT ''",
    "given": "TEXT NOT NULL DEFAULT '{}'",
    "renew_at": "REAL NOT NULL DEFAULT 0",
    "asking": "TEXT NOT NULL DEFAULT ''",
    "asked": "TEXT NOT NULL DEFAULT ''",
    "ask_attempts": "INTEGER NOT NULL DEFAULT 0",
    "ask_next_try": "REAL NOT NULL DEFAULT 0",
    "movable": "INTEGER NOT NULL DEFAULT 0",
    "orphan": "INTEGER NOT NULL DEFAULT 0",
    "hold": "INTEGER NOT NULL DEFAULT 0",
    "restarts": "TEXT NOT NULL DEFAULT '{}'",
    "cluster": "TEXT NOT NULL DEFAULT '{}'",
    "size": "TEXT NOT NULL DEFAULT '{}'",
    "held_back": "TEXT NOT NULL DEFAULT '[]'",
    "peers": "TEXT NOT NULL DEFAULT '[]'",
}
"""For a file that an earlier version made. `asking` is the digest of what an instance requests of others, `asked` that
of what the Master granted; `held_back`: what it
was held back by since it was configured, as a promise of the node's own."""

_WANTED = "CASE WHEN orphan = 1 AND movable = 1 AND wanted = 'started' THEN 'stopped' ELSE wanted END"
"""What is done with an instance: one without data that the Master does not name may run elsewhere, and rests here."""


class DesiredInstance(msgspec.Struct, frozen=True):
    """An instance as wanted and as last configured: what the agent's hands need."""

    instance: str
    revision: int
    partition: str
    release: str
    type: str
    wanted: Wanted
    title: str
    parameters: str
    state: Observed | None
    state_revision: int
    message: str
    attempts: int
    layout: Layout
    seed: str = ""
    child_publications: str = "{}"
    """JSON: what the instances that it requested published, by title."""
    asking: str = ""
    """The digest of what it requests of others; empty when it requests nothing."""
    ask_attempts: int = 0
    movable: bool = False
    restarts: str = "{}"
    """JSON: the token of the last restart of each service, and under the empty name of all of them."""
    cluster: str = "{}"
    """JSON: of a member of a cluster, who its siblings are."""


class _Wanted(msgspec.Struct, frozen=True):
    wanted: Wanted
    revision: int


class _Found(msgspec.Struct, frozen=True):
    state: Observed
    state_revision: int
    message: str
    layout: str


def _asking(layout: Layout) -> str:
    """Return the digest of what an instance requests; empty when it requests nothing."""
    outcome = layout.outcome
    if outcome.await_ready or outcome.clusters:
        asking: object = [outcome.requests, outcome.await_ready, outcome.clusters]
    elif outcome.requests:
        # As earlier versions wrote it: what was asked is not asked again for an upgrade.
        asking = outcome.requests
    else:
        return ""
    return hashlib.sha256(msgspec.json.encode(asking)).hexdigest()


class Instances:
    """The instances of this node. Within a transaction of the caller, all is part of that."""

    def __init__(
        self,
        database: Database,
        clock: PersistentClock,
        outbox: Outbox,
        lease: Lease,
        results: Results,
        shared: SharedInstances,
    ) -> None:
        self._database, self._clock, self._outbox = database, clock, outbox
        self._lease, self._results, self._shared = lease, results, shared
        database.create_tables(_SCHEMA)
        database.add_columns("instance", _LATER_COLUMNS)

    # What is wanted

    def planned(self) -> list[PlannedInstance]:
        """Return every instance, as the plan wants it; nothing is planned of one that nobody knows."""
        return self._database.select(
            PlannedInstance,
            f"SELECT instance, partition, release, {_WANTED} AS wanted, revision, state, state_revision, attempts, "
            "next_try, renew_at, asking <> asked AS unasked, ask_next_try, movable, hold "
            "FROM instance WHERE NOT (orphan = 1 AND state IS NULL AND wanted <> 'destroyed')",
        )

    def desired(self, instance: str) -> DesiredInstance | None:
        """Return one instance with all that is known of it."""
        return next(iter(self._desired("WHERE instance = ?", (instance,))), None)

    def started_partitions(self) -> dict[str, str]:
        """Return the partition of each instance that is wanted started and may run here, and read nothing else."""
        rows = self._database.mappings(f"SELECT instance, partition FROM instance {self._startable()}")
        return {row["instance"]: row["partition"] for row in rows}

    def size_in(self, partition: str) -> Size:
        """Return the size of the instance that lives in a partition."""
        query = "SELECT size FROM instance WHERE partition = ? AND state IS NOT 'destroyed'"
        return size.read(self._database.value(query, (partition,), "{}"))

    def peers_in(self, partition: str) -> list[WantedPeer]:
        """Return the others of the tree of the instance that lives in a partition, if it knows them."""
        query = "SELECT peers FROM instance WHERE partition = ? AND state IS NOT 'destroyed'"
        text = self._database.value(query, (partition,), "[]")
        return [] if text == "[]" else msgspec.json.decode(text, type=list[WantedPeer])

    def sizes(self) -> dict[str, Size]:
        """Return the size of each instance that has one, by partition."""
        rows = self._database.mappings("SELECT partition, size FROM instance WHERE size <> '{}'")
        return {row["partition"]: size.read(row["size"]) for row in rows}

    def started(self, partition: str | None = None) -> list[DesiredInstance]:
        """Return every instance, or that of a partition, that is wanted started and may run here, with all of it."""
        if partition is None:
            return self._desired(self._startable())
        return self._desired(f"{self._startable()} AND partition = ?", (partition,))

    def all(self) -> list[DesiredInstance]:
        """Return every instance with all that is known of it."""
        return self._desired()

    def _startable(self) -> str:
        return f"WHERE {_WANTED} = 'started' {'' if self._lease.left() else 'AND movable = 0'}"

    def _desired(self, condition: str = "", values: tuple[object, ...] = ()) -> list[DesiredInstance]:
        rows = self._database.mappings(
            f"SELECT instance, revision, partition, release, type, {_WANTED} AS wanted, title, parameters, state, "
            "state_revision, message, attempts, layout, seed, given AS child_publications, asking, ask_attempts, "
            f"movable, restarts, cluster FROM instance {condition} ORDER BY partition",
            values,
        )
        for row in rows:
            row["layout"] = _layout(row["instance"], row["layout"])
        return [msgspec.convert(row, DesiredInstance, strict=False) for row in rows]

    def apply(self, desired: WantedInstance) -> None:
        """Take over what the feed says of an instance."""
        self._database.execute(
            "INSERT INTO instance "
            "(instance, revision, partition, release, type, wanted, title, parameters, seed, given, "
            "movable, hold, restarts, cluster, size, peers) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance) DO UPDATE SET "
            "revision = excluded.revision, release = excluded.release, wanted = excluded.wanted, "
            "title = excluded.title, parameters = excluded.parameters, seed = excluded.seed, "
            "given = excluded.given, movable = excluded.movable, hold = excluded.hold, restarts = excluded.restarts, "
            "cluster = excluded.cluster, size = excluded.size, peers = excluded.peers, "
            "orphan = 0, next_try = 0, attempts = 0 "
            "WHERE excluded.revision > instance.revision",
            (
                desired.instance,
                desired.revision,
                desired.partition,
                desired.release,
                desired.type,
                desired.wanted.value,
                desired.title,
                bytes(desired.parameters).decode(),
                desired.seed,
                bytes(desired.child_publications).decode(),
                int(desired.movable),
                int(desired.hold),
                msgspec.json.encode({restart.process: restart.token for restart in desired.restarts}).decode(),
                msgspec.json.encode(desired.cluster).decode() if desired.cluster else "{}",
                desired.size.text(),
                msgspec.json.encode(desired.peers).decode(),
            ),
        )

    def reconfigure_host(self, host: str, revision: int) -> None:
        """Have a host configured anew, as of a revision: one of its shared instances changed."""
        self._database.execute(
            "UPDATE instance SET revision = max(revision, ?), next_try = 0, attempts = 0 WHERE instance = ?",
            (revision, host),
        )

    def reset_retries(self) -> None:
        """Retry now what was to be tried at a time of the former clock."""
        self._database.execute("UPDATE instance SET next_try = 0, ask_next_try = 0")

    def report_anew(self) -> None:
        """Have the state and publications of every instance found, and reported, anew."""
        self._database.execute("UPDATE instance SET state_revision = 0, next_try = 0")

    # What was found

    def record_state(
        self,
        instance: str,
        revision: int,
        state: Observed,
        *,
        message: str = "",
        layout: Layout | None = None,
        next_try: float = 0.0,
        attempts: int = 0,
    ) -> None:
        """Record, and report, the state of an instance as of a revision of what was wanted.

        With a layout (it was configured) its promises and what it publishes are reported as well.
        """
        with self._database.transaction():
            if state is Observed.STARTED and layout is not None and self._awaits_grant(instance, layout):
                state, message = Observed.CONFIGURING, UNASKED
            names = promise_names(layout) if layout is not None else []
            processes = _services(layout) if layout is not None else []
            items: list[Item] = [InstanceReport(instance, revision, state, message[-MAX_MESSAGE:], names, processes)]
            self._database.execute(
                "UPDATE instance SET state = ?, state_revision = ?, message = ?, attempts = ?, next_try = ? "
                "WHERE instance = ?",
                (state.value, revision, message, attempts, next_try, instance),
            )
            if layout is not None:
                self._keep_layout(instance, layout)
                items.append(PublicationReport(instance, revision, layout.published))
                if not layout.outcome.keeps:
                    is_done = self._tasks_are_done(instance, revision, names)
                    items += self._shared.serve(instance, revision, layout.outcome.served, is_done=is_done)
            if state not in (Observed.STARTED, Observed.CONFIGURING):
                self._results.forget(instance)
            if state is Observed.DESTROYED:
                self._database.execute("DELETE FROM instance WHERE instance = ?", (instance,))
                self._results.forget_history(instance)
                items += self._shared.end_with(instance)
            self._outbox.add(*items)

    def report_guests(self, host: str) -> None:
        """Tell what is so of the shared instances of a host, if its tasks ended well as it is configured now."""
        for row in self._found(host):
            names = promise_names(_layout(host, row.layout))
            if self._tasks_are_done(host, row.state_revision, names) and (items := self._shared.report_answers(host)):
                self._outbox.add(*items)

    def _found(self, instance: str) -> list[_Found]:
        query = "SELECT state, state_revision, message, layout FROM instance WHERE instance = ? AND state IS NOT NULL"
        return self._database.select(_Found, query, (instance,))

    def _tasks_are_done(self, instance: str, revision: int, promises: list[str]) -> bool:
        tasks = [name for name in promises if name.startswith(TASK_PROMISE)]
        return all(self._results.is_kept(instance, revision, name) for name in tasks)

    def _keep_layout(self, instance: str, layout: Layout) -> None:
        outcome, digest = layout.outcome, _asking(layout)
        # What was served is kept by shared instance: a host may serve thousands.
        without_guests = msgspec.structs.replace(layout, outcome=msgspec.structs.replace(outcome, served={}))
        self._database.execute(
            "UPDATE instance SET layout = ?, renew_at = ?, asking = ?, ask_next_try = 0, ask_attempts = 0, "
            "held_back = '[]' "
            "WHERE instance = ?",
            (msgspec.json.encode(without_guests).decode(), outcome.renew_at or 0, digest, instance),
        )

    def configuration_failed(
        self, instance: str, revision: int, message: str, *, attempts: int, next_try: float
    ) -> None:
        """Record, and report, that an instance cannot be configured; what is wanted of it by now is done at once."""
        with self._database.transaction():
            query = "SELECT wanted, revision FROM instance WHERE instance = ?"
            for row in self._database.select(_Wanted, query, (instance,)):
                if row != _Wanted(Wanted.STARTED, revision):
                    next_try, attempts = 0.0, 0
            self.record_state(
                instance, revision, Observed.FAILED, message=message, attempts=attempts, next_try=next_try
            )

    # What instances request of others

    def record_requests(
        self, instance: str, digest: str, *, refused: str = "", next_try: float = 0.0, attempts: int = 0
    ) -> None:
        """Record that the Master heard what an instance requests; `refused` says what it did not grant."""
        with self._database.transaction():
            self._database.execute(
                "UPDATE instance SET asked = ?, ask_next_try = ?, ask_attempts = ? WHERE instance = ? AND asking = ?",
                ("" if refused or next_try else digest, next_try, attempts, instance, digest),
            )
            for row in self._found(instance):
                if not refused and not next_try and row.state is Observed.CONFIGURING:
                    self._start_granted(instance, row)
                if refused and row.message != refused:
                    self._database.execute("UPDATE instance SET message = ? WHERE instance = ?", (refused, instance))
                    text, layout = refused[-MAX_MESSAGE:], _layout(instance, row.layout)
                    names, processes = self._promises(instance, layout), _services(layout)
                    self._outbox.add(InstanceReport(instance, row.state_revision, row.state, text, names, processes))

    def _awaits_grant(self, instance: str, layout: Layout) -> bool:
        """Whether the Master does not know yet what is wanted of its clusters: until then they are not as wanted."""
        rows = self._database.mappings("SELECT asked FROM instance WHERE instance = ?", (instance,))
        return bool(layout.outcome.clusters) and [row["asked"] for row in rows] != [_asking(layout)]

    def _start_granted(self, instance: str, row: _Found) -> None:
        """Report an instance started that waited for nothing but the Master to take its clusters."""
        layout = _layout(instance, row.layout)
        if layout.outcome.clusters and not layout.outcome.missing:
            self._database.execute(
                "UPDATE instance SET state = ?, message = '' WHERE instance = ?", (Observed.STARTED.value, instance)
            )
            names, processes = self._promises(instance, layout), _services(layout)
            self._outbox.add(InstanceReport(instance, row.state_revision, Observed.STARTED, "", names, processes))

    # What it was held back from

    def record_held_back(self, instance: str, promise: str, kept: bool, message: str) -> None:
        """Record, and report, a promise of the node's own of an instance that was held back by its limits or walls.

        Whoever never was has no such promise; a new configuration begins without it.
        """
        with self._database.transaction():
            for row in self._found(instance):
                own = self._own_promises(instance)
                if row.state is Observed.STARTED and promise not in own:
                    if kept and promise == LIMITS_PROMISE:
                        # It is well again, as it was configured again meanwhile.
                        continue
                    self._database.execute(
                        "UPDATE instance SET held_back = ? WHERE instance = ?",
                        (msgspec.json.encode([*own, promise]).decode(), instance),
                    )
                    layout = _layout(instance, row.layout)
                    names, processes = self._promises(instance, layout), _services(layout)
                    report = InstanceReport(instance, row.state_revision, row.state, row.message, names, processes)
                    self._outbox.add(report)
                    own.append(promise)
                if promise in own:
                    self._results.record(instance, row.state_revision, promise, kept, message, self._clock.now())

    def beyond_limits(self) -> list[str]:
        """Return the instances that ran into a limit since they were configured."""
        rows = self._database.mappings("SELECT instance, held_back FROM instance WHERE held_back <> '[]'")
        return [row["instance"] for row in rows if LIMITS_PROMISE in msgspec.json.decode(row["held_back"])]

    def _own_promises(self, instance: str) -> list[str]:
        text = self._database.value("SELECT held_back FROM instance WHERE instance = ?", (instance,), "[]")
        return msgspec.json.decode(text, type=list[str])

    def _promises(self, instance: str, layout: Layout) -> list[str]:
        return promise_names(layout) + self._own_promises(instance)

    # What is configured again

    def runs_by(self, python: str) -> bool:
        """Note which interpreter the agent runs by; when it is another one, have each instance configured again."""
        with self._database.transaction(quietly=True):
            known = self._database.get("python", "")
            self._database.set("python", python)
            if known in ("", python):
                return False
            self._database.execute("UPDATE instance SET renew_at = ? WHERE wanted = 'started'", (self._clock.now(),))
        return True

    def force_reconfigure(self, instance: str) -> bool:
        """Have an instance configured again soon, unless that was done minutes ago; return whether it will be."""
        forced = f"bang {instance}"
        now = self._clock.now()
        with self._database.transaction(quietly=True):
            # Also those of instances that are gone.
            self._database.execute(
                "DELETE FROM memory WHERE name LIKE 'bang %' AND CAST(value AS REAL) NOT BETWEEN ? AND ?",
                (now - RECONFIGURE_PAUSE, now),
            )
            if self._database.get(forced, ""):
                return False
            self._database.set(forced, repr(now))
            self._database.execute("UPDATE instance SET renew_at = ? WHERE instance = ?", (now, instance))
        return True


def _services(layout: Layout) -> list[str]:
    return [service.name for service in layout.services]


def _layout(instance: str, text: str) -> Layout:
    """Return a layout as it was kept; an empty one when an earlier version kept what is beyond today's bounds."""
    try:
        return msgspec.json.decode(text, type=Layout)
    except UNREADABLE as error:
        _log.error("the layout of %s that was kept is not one, and counts as empty: %s", instance, error)
        return Layout()

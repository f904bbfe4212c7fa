"""The node's own memory: one SQLite file. With it the node starts, and keeps its promises, without a Master.

What is told to the Master goes to the outbox in the same transaction as the change it tells of: so nothing is told
that did not happen, and nothing that happened is forgotten, whenever the machine stops.
"""

import hashlib
import logging
import secrets
from pathlib import Path

import msgspec

from freehold.node.clock import Hardware
from freehold.node.metering import Counters
from freehold.node.partition.layout import Layout, Served
from freehold.node.partition.order import Guest
from freehold.node.plan import PlannedInstance, PlannedSoftware
from freehold.node.state.outbox import BUDGET
from freehold.node.state.results import Assessments
from freehold.protocol import MAX_MESSAGE, UNREADABLE
from freehold.protocol.feed import Feed, SharedInstance
from freehold.protocol.report import (
    HostFacts,
    InstanceReport,
    Item,
    PublicationReport,
    SoftwareReport,
)
from freehold.protocol.states import Observed, SoftwareObserved, SoftwareWanted, Wanted

BANG_PAUSE = 300.0
_log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS software (
  release TEXT PRIMARY KEY, revision INTEGER NOT NULL, wanted TEXT NOT NULL, name TEXT NOT NULL,
  state TEXT, attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS instance (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, partition TEXT NOT NULL, release TEXT NOT NULL,
  type TEXT NOT NULL, wanted TEXT NOT NULL, title TEXT NOT NULL, parameters TEXT NOT NULL,
  state TEXT, state_revision INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
  attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
  layout TEXT NOT NULL DEFAULT '{}', counters TEXT NOT NULL DEFAULT '{}');
CREATE TABLE IF NOT EXISTS shared (
  instance TEXT PRIMARY KEY, revision INTEGER NOT NULL, host TEXT NOT NULL, type TEXT NOT NULL, wanted TEXT NOT NULL,
  parameters TEXT NOT NULL, seed TEXT NOT NULL, told_revision INTEGER NOT NULL DEFAULT 0,
  told TEXT NOT NULL DEFAULT '', orphan INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shared_by_host ON shared (host);
"""

_LATER_COLUMNS = {
    "instance": {
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
    },
    "shared": {"orphan": "INTEGER NOT NULL DEFAULT 0"},
}
"""By table, for a file that an earlier version made. `asking` is the digest of what an instance requests of others,
`asked` that of what the Master granted."""


_WANTED = "CASE WHEN orphan = 1 AND movable = 1 AND wanted = 'started' THEN 'stopped' ELSE wanted END"
"""What is done with an instance: one without data that the Master does not name may run elsewhere, and rests here."""


class Orphan(msgspec.Struct, frozen=True):
    """An instance that the Master does not name any more."""

    instance: str
    wanted: Wanted
    title: str
    partition: str
    """Where it is; of a shared instance the id of its host."""


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
    given: str = "{}"
    asking: str = ""
    ask_attempts: int = 0
    movable: bool = False


class Store(Assessments):
    """What is wanted and what was found, in the file of the outbox. Safe from any thread."""

    def __init__(
        self, path: Path, *, budget: int = BUDGET, hardware: Hardware | None = None, only_look: bool = False
    ) -> None:
        super().__init__(path, _SCHEMA, budget=budget, hardware=hardware, only_look=only_look)
        # `freehold node status` may open a new file at the same moment as the agent.
        self._db.execute("BEGIN IMMEDIATE")
        for table, columns in _LATER_COLUMNS.items():
            present = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            for name, kind in columns.items():
                if name not in present:
                    self._db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")
        self._db.execute("COMMIT")

    def begin_epoch(self, epoch: int) -> bool:
        """Start a new chain; what instances are and publish is found, and told, anew. Return whether it is new."""
        with self._lock:
            begun = super().begin_epoch(epoch)
            if begun:
                self._db.execute("UPDATE instance SET state_revision = 0, next_try = 0")
                self._db.execute("UPDATE shared SET told_revision = 0")
                self.tell_promises_anew()
        return begun

    def orphans(self) -> list[Orphan]:
        """Return the instances, shared ones last, that the Master does not name any more."""
        rows = self._rows(
            "SELECT instance, wanted, title, partition FROM instance WHERE orphan = 1 AND wanted <> 'destroyed' "
            "UNION ALL "
            "SELECT instance, wanted, 'shared', host FROM shared WHERE orphan = 1 AND wanted <> 'destroyed'"
        )
        return [Orphan(instance, Wanted(wanted), title, where) for instance, wanted, title, where in rows]

    def adopt(self, tenants: dict[str, str]) -> list[str]:
        """Note those that have a partition (`tenants`: its name, by instance) and that nobody names; return them."""
        known = {instance for (instance,) in self._rows("SELECT instance FROM instance")}
        if not (unknown := sorted(tenants.keys() - known)):
            return []
        with self._transaction(quietly=True):
            self._db.executemany(
                "INSERT OR IGNORE INTO instance "
                "(instance, revision, partition, release, type, wanted, title, parameters, orphan) "
                "VALUES (?, 0, ?, '', '', 'stopped', 'unknown', '{}', 1)",
                [(instance, tenants[instance]) for instance in unknown],
            )
        return unknown

    def destroy_orphan(self, instance: str) -> bool:
        """Have an instance destroyed that the Master does not name, as an operator agreed; return whether it is one."""
        forgotten = "WHERE instance = ? AND orphan = 1 AND wanted <> 'destroyed'"
        with self._transaction():
            own = self._db.execute(
                f"UPDATE instance SET wanted = 'destroyed', next_try = 0 {forgotten}", (instance,)
            ).rowcount
            shared = self._db.execute(f"UPDATE shared SET wanted = 'destroyed' {forgotten}", (instance,)).rowcount
            # Its host is configured without it.
            self._db.execute(
                "UPDATE instance SET state_revision = 0, next_try = 0 "
                "WHERE instance = (SELECT host FROM shared WHERE instance = ?)",
                (instance,),
            )
            return bool(own or shared)

    def moved(self) -> None:
        """What was to be tried at a time of the former clock is tried now."""
        self._db.execute("UPDATE instance SET next_try = 0, ask_next_try = 0")
        self._db.execute("UPDATE software SET next_try = 0")

    # What is wanted

    @property
    def revision(self) -> int:
        """The bookmark of the feed."""
        return int(self._get("revision", "0"))

    def apply_feed(self, feed: Feed, asked: int | None = None) -> None:
        """Take over what the Master wants, all of it or nothing.

        `asked`: the revision since which it was asked for. What changed since then is nothing to go on from when all is
        to be asked for again, because another thread began an epoch meanwhile.

        A Master names what it wants destroyed until it heard that it is. An instance that its snapshot does not name is
        one that it forgot, by a restored backup for example: it stays as it is until an operator agrees to its end
        (`freehold node orphans`), or until the Master names it again. Releases, which can be built again, are removed.
        """
        with self._transaction():
            if not feed.snapshot and asked is not None and asked != self.revision:
                return
            if feed.snapshot:
                releases = {one.release for one in feed.installations}
                instances = {one.instance for one in feed.instances}
                for (release,) in self._rows("SELECT release FROM software"):
                    if release not in releases:
                        self._db.execute("UPDATE software SET wanted = 'removed' WHERE release = ?", (release,))
                self._note_orphans("instance", instances)
                self._note_orphans("shared", {one.instance for one in feed.shared})
            for one in feed.installations:
                self._db.execute(
                    "INSERT INTO software (release, revision, wanted, name) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (release) DO UPDATE SET revision = excluded.revision, wanted = excluded.wanted, "
                    "name = excluded.name, next_try = 0, attempts = 0, "
                    "state = CASE WHEN state = 'removed' THEN NULL ELSE state END",
                    (one.release, one.revision, one.wanted.value, one.name),
                )
            for desired in feed.instances:
                self._db.execute(
                    "INSERT INTO instance "
                    "(instance, revision, partition, release, type, wanted, title, parameters, seed, given, movable, "
                    "hold) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (instance) DO UPDATE SET "
                    "revision = excluded.revision, release = excluded.release, wanted = excluded.wanted, "
                    "title = excluded.title, parameters = excluded.parameters, seed = excluded.seed, "
                    "given = excluded.given, movable = excluded.movable, hold = excluded.hold, orphan = 0, "
                    "next_try = 0, attempts = 0 "
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
                        bytes(desired.given).decode(),
                        int(desired.movable),
                        int(desired.hold),
                    ),
                )
            for guest in feed.shared:
                self._take_over(guest)
            self._set("revision", str(feed.revision))
            self._take_lease(feed.lease)

    def _note_orphans(self, table: str, named: set[str]) -> None:
        for (instance,) in self._rows(f"SELECT instance FROM {table} WHERE wanted <> 'destroyed'"):
            if instance not in named:
                _log.error("the Master does not name %s any more: it is kept", instance)
            self._db.execute(f"UPDATE {table} SET orphan = ? WHERE instance = ?", (instance not in named, instance))

    def _take_over(self, guest: SharedInstance) -> None:
        self._db.execute(
            "INSERT INTO shared (instance, revision, host, type, wanted, parameters, seed) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (instance) DO UPDATE SET revision = excluded.revision, wanted = excluded.wanted, "
            "type = excluded.type, parameters = excluded.parameters, orphan = 0 "
            "WHERE excluded.revision > shared.revision",
            (
                guest.instance,
                guest.revision,
                guest.host,
                guest.type,
                guest.wanted.value,
                bytes(guest.parameters).decode(),
                guest.seed,
            ),
        )
        self._disturb(guest.host, guest.revision)

    def _disturb(self, host: str, revision: int) -> None:
        """A host's work changed with one of its shared instances: it is configured as of that revision."""
        self._db.execute(
            "UPDATE instance SET revision = max(revision, ?), next_try = 0, attempts = 0 WHERE instance = ?",
            (revision, host),
        )

    def software(self) -> list[PlannedSoftware]:
        """Return every release, as the plan wants it."""
        rows = self._rows("SELECT release, wanted, state, attempts, next_try FROM software")
        return [
            PlannedSoftware(
                release,
                SoftwareWanted(wanted),
                SoftwareObserved(state) if state else None,
                attempts,
                next_try,
            )
            for release, wanted, state, attempts, next_try in rows
        ]

    def instances(self) -> list[PlannedInstance]:
        """Return every instance, as the plan wants it; nothing is planned of one that nobody knows."""
        rows = self._rows(
            f"SELECT instance, partition, release, {_WANTED}, revision, state, state_revision, attempts, next_try, "
            "renew_at, asking <> asked, ask_next_try, movable, hold FROM instance "
            "WHERE NOT (orphan = 1 AND state IS NULL AND wanted <> 'destroyed')"
        )
        return [
            PlannedInstance(
                instance,
                partition,
                release,
                Wanted(wanted),
                revision,
                Observed(state) if state else None,
                state_revision,
                attempts,
                next_try,
                renew_at,
                bool(unasked),
                ask_next_try,
                bool(movable),
                bool(hold),
            )
            for (
                instance,
                partition,
                release,
                wanted,
                revision,
                state,
                state_revision,
                attempts,
                next_try,
                renew_at,
                unasked,
                ask_next_try,
                movable,
                hold,
            ) in rows
        ]

    def desired(self, instance: str) -> DesiredInstance | None:
        """Return one instance with all that is known of it."""
        found = self._desired("WHERE instance = ?", (instance,))
        return found[0] if found else None

    def started_partitions(self) -> list[tuple[str, str]]:
        """Return instance and partition of all that is wanted started and may run here, with nothing else of them."""
        return self._rows(f"SELECT instance, partition FROM instance {self._startable()}")

    def started(self, partition: str | None = None) -> list[DesiredInstance]:
        """Return every instance, or that of a partition, that is wanted started and may run here, with all of it."""
        if partition is None:
            return self._desired(self._startable())
        return self._desired(f"{self._startable()} AND partition = ?", (partition,))

    def _startable(self) -> str:
        return f"WHERE {_WANTED} = 'started' {'' if self.lease_left() else 'AND movable = 0'}"

    def all_desired(self) -> list[DesiredInstance]:
        """Return every instance with all that is known of it."""
        return self._desired()

    def _desired(self, condition: str = "", values: tuple[object, ...] = ()) -> list[DesiredInstance]:
        rows = self._rows(
            f"SELECT instance, revision, partition, release, type, {_WANTED}, title, parameters, state, "
            "state_revision, message, attempts, layout, seed, given, asking, ask_attempts, movable "
            f"FROM instance {condition} ORDER BY partition",
            values,
        )
        return [
            DesiredInstance(
                instance,
                revision,
                partition,
                release,
                type,
                Wanted(wanted),
                title,
                parameters,
                Observed(state) if state else None,
                state_revision,
                message,
                attempts,
                _layout(instance, layout),
                seed,
                given,
                asking,
                ask_attempts,
                bool(movable),
            )
            for (
                instance,
                revision,
                partition,
                release,
                type,
                wanted,
                title,
                parameters,
                state,
                state_revision,
                message,
                attempts,
                layout,
                seed,
                given,
                asking,
                ask_attempts,
                movable,
            ) in rows
        ]

    # What was found

    def software_is(
        self,
        release: str,
        state: SoftwareObserved,
        *,
        message: str = "",
        next_try: float = 0.0,
        attempts: int = 0,
    ) -> None:
        """Note, and tell, the state of a release."""
        with self._transaction():
            self._db.execute(
                "UPDATE software SET state = ?, attempts = ?, next_try = ? WHERE release = ?",
                (state.value, attempts, next_try, release),
            )
            if state is SoftwareObserved.REMOVED:
                self._db.execute("DELETE FROM software WHERE release = ? AND wanted = 'removed'", (release,))
            self._enqueue(SoftwareReport(release, state, message[-MAX_MESSAGE:]))

    def instance_is(
        self,
        instance: str,
        revision: int,
        state: Observed,
        *,
        message: str = "",
        layout: Layout | None = None,
        promises: list[str] | None = None,
        next_try: float = 0.0,
        attempts: int = 0,
    ) -> None:
        """Note, and tell, the state of an instance as of a revision of what was wanted.

        With a layout (it was configured) what it publishes is told as well.
        """
        with self._transaction():
            items: list[Item] = [InstanceReport(instance, revision, state, message[-MAX_MESSAGE:], promises or [])]
            self._db.execute(
                "UPDATE instance SET state = ?, state_revision = ?, message = ?, attempts = ?, next_try = ? "
                "WHERE instance = ?",
                (state.value, revision, message, attempts, next_try, instance),
            )
            if layout is not None:
                self._keep_layout(instance, layout)
                items.append(PublicationReport(instance, revision, layout.published))
                items += self._serve(instance, revision, layout.outcome.served)
            if state not in (Observed.STARTED, Observed.CONFIGURING):
                self._forget_results(instance)
            if state is Observed.DESTROYED:
                self._db.execute("DELETE FROM instance WHERE instance = ?", (instance,))
                self._forget_history(instance)
                items += self._let_go(instance)
            self._enqueue(*items)

    def _keep_layout(self, instance: str, layout: Layout) -> None:
        outcome = layout.outcome
        asking = hashlib.sha256(msgspec.json.encode(outcome.requests)).hexdigest() if outcome.requests else ""
        # What was served is kept by shared instance: a host may serve thousands.
        kept = msgspec.structs.replace(layout, outcome=msgspec.structs.replace(outcome, served={}))
        self._db.execute(
            "UPDATE instance SET layout = ?, renew_at = ?, asking = ?, ask_next_try = 0, ask_attempts = 0 "
            "WHERE instance = ?",
            (msgspec.json.encode(kept).decode(), outcome.renew_at or 0, asking, instance),
        )

    # Shared instances

    def guests(self, host: str) -> list[Guest]:
        """Return the shared instances that a host is to serve, by id."""
        rows = self._rows(
            "SELECT instance, type, wanted, parameters, seed FROM shared WHERE host = ? AND wanted <> 'destroyed' "
            "ORDER BY instance",
            (host,),
        )
        return [Guest(*row) for row in rows]

    def _serve(self, host: str, revision: int, served: dict[str, Served]) -> list[Item]:
        """Return what is to be told of shared instances after their host was configured as of a revision."""
        items: list[Item] = []
        rows = self._rows(
            "SELECT instance, revision, wanted, told_revision, told FROM shared WHERE host = ? AND revision <= ?",
            (host, revision),
        )
        for instance, own, wanted, told_revision, told in rows:
            if wanted == Wanted.DESTROYED:
                if instance not in served:
                    items.append(InstanceReport(instance, own, Observed.DESTROYED))
                    self._db.execute("DELETE FROM shared WHERE instance = ?", (instance,))
                continue
            answer = served.get(instance)
            if answer is None:
                continue
            text = hashlib.sha256(msgspec.json.encode(answer)).hexdigest()
            if (told_revision, told) == (own, text):
                continue
            state = Observed.STARTED if wanted == Wanted.STARTED else Observed.STOPPED
            if answer.error:
                state = Observed.FAILED
            items.append(InstanceReport(instance, own, state, answer.error[-MAX_MESSAGE:]))
            if not answer.error:
                items.append(PublicationReport(instance, own, answer.published))
            self._db.execute("UPDATE shared SET told_revision = ?, told = ? WHERE instance = ?", (own, text, instance))
        return items

    def _let_go(self, host: str) -> list[Item]:
        """Return what is to be told of shared instances whose host is gone."""
        rows = self._rows("SELECT instance, revision FROM shared WHERE host = ?", (host,))
        self._db.execute("DELETE FROM shared WHERE host = ?", (host,))
        return [InstanceReport(instance, revision, Observed.DESTROYED) for instance, revision in rows]

    # What instances request of others

    def configuration_failed(
        self, instance: str, revision: int, message: str, *, attempts: int, next_try: float
    ) -> None:
        """Note, and tell, that an instance cannot be configured; what is wanted of it by now is done at once."""
        with self._lock:
            rows = self._rows("SELECT wanted, revision FROM instance WHERE instance = ?", (instance,))
            if rows and rows[0] != (Wanted.STARTED.value, revision):
                next_try, attempts = 0.0, 0
            self.instance_is(instance, revision, Observed.FAILED, message=message, attempts=attempts, next_try=next_try)

    def asked(self, instance: str, asking: str, *, refused: str = "", next_try: float = 0.0, attempts: int = 0) -> None:
        """Note that the Master heard what an instance requests; `refused` says what it did not grant."""
        with self._transaction():
            self._db.execute(
                "UPDATE instance SET asked = ?, ask_next_try = ?, ask_attempts = ? WHERE instance = ? AND asking = ?",
                ("" if refused or next_try else asking, next_try, attempts, instance, asking),
            )
            rows = self._rows("SELECT state, state_revision, message FROM instance WHERE instance = ?", (instance,))
            if rows and refused and rows[0][2] != refused:
                state, revision, _ = rows[0]
                self._db.execute("UPDATE instance SET message = ? WHERE instance = ?", (refused, instance))
                self._enqueue(InstanceReport(instance, revision, Observed(state), refused[-MAX_MESSAGE:]))

    def runs_by(self, python: str) -> bool:
        """Note which interpreter the agent runs by; when it is another one, have each instance configured again."""
        with self._transaction(quietly=True):
            known = self._get("python", "")
            self._set("python", python)
            if known in ("", python):
                return False
            self._db.execute("UPDATE instance SET renew_at = ? WHERE wanted = 'started'", (self.now(),))
        return True

    def bang(self, instance: str) -> bool:
        """Have an instance configured again soon, unless that was done minutes ago; return whether it will be."""
        banged = f"bang {instance}"
        now = self.now()
        with self._transaction(quietly=True):
            # Also those of instances that are gone.
            self._db.execute(
                "DELETE FROM memory WHERE name LIKE 'bang %' AND CAST(value AS REAL) NOT BETWEEN ? AND ?",
                (now - BANG_PAUSE, now),
            )
            if self._get(banged, ""):
                return False
            self._set(banged, repr(now))
            self._db.execute("UPDATE instance SET renew_at = ? WHERE instance = ?", (now, instance))
        return True

    def counters(self) -> dict[str, str]:
        """Return the counters of every instance, as `count` kept them."""
        return dict(self._rows("SELECT instance, counters FROM instance"))

    def begin_counting(self, instance: str) -> None:
        """Note that an instance comes into an empty partition: all that will be read there is its own use."""
        # Its series is named now: a copy of this store that is put back later must not name another.
        counters = msgspec.json.encode(Counters(series=secrets.token_hex(4), is_new=True)).decode()
        with self._transaction(quietly=True):
            self._db.execute(
                "UPDATE instance SET counters = ? WHERE instance = ? AND counters = '{}'", (counters, instance)
            )

    def count(self, counters: dict[str, str], items: list[Item]) -> None:
        """Keep new counters and tell them, in one transaction."""
        with self._transaction():
            for instance, text in counters.items():
                self._db.execute("UPDATE instance SET counters = ? WHERE instance = ?", (text, instance))
            if items:
                self._enqueue(*items)

    def tell_host(self, facts: HostFacts) -> bool:
        """Tell what the machine offers unless that was told; return whether it was news."""
        text = msgspec.json.encode(facts).decode()
        with self._transaction():
            changed = self._get("host", "") != text
            if changed:
                self._set("host", text)
                self._enqueue(facts)
        return changed


def _layout(instance: str, text: str) -> Layout:
    """Return a layout as it was kept; an empty one when an earlier version kept what is beyond today's bounds."""
    try:
        return msgspec.json.decode(text, type=Layout)
    except UNREADABLE as error:
        _log.error("the layout of %s that was kept is not one, and counts as empty: %s", instance, error)
        return Layout()

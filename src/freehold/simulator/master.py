"""The Master of a simulation: its real rooms in this process, asked by simulated nodes."""

import os
import sqlite3
from collections import defaultdict
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from freehold.master.foundation import clock
from freehold.node.errors import LinkDown
from freehold.protocol import size
from freehold.protocol.enrol import EpochAnswer
from freehold.protocol.report import Applied, ReportBatch
from freehold.protocol.states import Wanted
from freehold.simulator.network import Answer
from freehold.simulator.world import SimulatedEvent, World

OWNER, PASSWORD = "owner@example.org", "of a simulation"
PRODUCT = "simulated"
NEXT_CONTACT = 60.0
DESTROY_GRACE = 600.0
"""Seconds for which what is destroyed can be had back here: a part of a history."""
GONE = '"state":"destroyed"'
LATE = 60.0
"""Seconds that an answer may be on its way."""
_DESCRIPTOR = {
    "name": PRODUCT,
    "version": "1.0",
    "description": "Says what it was told.",
    "software-type": {
        "default": {"title": "Page", "request": "in.json", "response": "out.json"},
        "movable": {"title": "Page without data", "request": "in.json", "response": "out.json", "data": False},
    },
}


class Rooms:
    """The database and the rooms, made once in a process; as new for each world."""

    def __init__(self, root: Path) -> None:
        os.environ["FREEHOLD_DESTROY_GRACE"] = str(DESTROY_GRACE)
        os.environ["DATABASE_URL"] = f"sqlite:///{root / 'master.sqlite'}"
        from freehold.master.commands import initialise

        initialise(root, ["localhost"], "provider", OWNER, PASSWORD)
        from django.conf import settings

        from freehold.master.catalog import actions as catalog
        from freehold.master.fleet import actions as fleet
        from freehold.master.people import identity
        from freehold.master.people.models import Person

        self.root, self.path = root, root / "master.sqlite"
        self.url = str(settings.DATABASE_URL)
        self.owner = identity.by_person(Person.objects.get(email=OWNER).id)
        self.release = catalog.publish(_release(root / "release"), "provider", acting=self.owner)
        fleet.add_site("provider", "here", acting=self.owner)
        self._new = self.back_up()

    def begin(self) -> None:
        """Have the database as it was when it was made: a first project, its owner, and a product."""
        self.restore(self._new)

    def back_up(self) -> sqlite3.Connection:
        """Return a copy of the database, in memory."""
        copy = sqlite3.connect(":memory:")
        with closing(sqlite3.connect(self.path)) as database:
            database.backup(copy)
        return copy

    def restore(self, copy: sqlite3.Connection) -> None:
        with closing(sqlite3.connect(self.path)) as database:
            copy.backup(database)


class VirtualClock(clock.SystemClock):
    """A Master's clock in virtual time, right or wrong."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.wrong_by = 0.0
        """Seconds."""

    def wall(self) -> float:
        return self._world.now + self.wrong_by

    def now(self) -> int:
        return int(self.wall() * 1000)

    def passed(self) -> float:
        return self._world.now


class Master:
    """Answers nodes as the gateway does, one after the other."""

    def __init__(self, world: World, rooms: Rooms) -> None:
        from freehold.master.fleet import actions as fleet
        from freehold.master.foundation import hints
        from freehold.master.gateway import feeds, reports
        from freehold.master.gateway.database import DatabaseConnection

        self._world, self._rooms = world, rooms
        self._feeds, self._reports, self._hints, self._fleet = feeds, reports, hints, fleet
        self._clock = VirtualClock(world)
        self._closing = ExitStack()
        self._closing.enter_context(clock.use(self._clock))
        rooms.begin()
        self._forget_clock()
        self._reader = DatabaseConnection(rooms.url)
        self._judge = self._new_judge()
        self.asked: dict[str, list[tuple[float, str]]] = defaultdict(list)
        """By instance: what was wanted of it, and when. Customers remember it whatever a Master forgets."""
        self._movable: set[str] = set()
        self._writer = reports.Writer(rooms.url)
        self._changed = SimulatedEvent(world)
        self.down = False
        self._hinted = False
        hints.listen(hints.REPORTED, self._hint)
        self._reconciling = world.spawn(self._reconcile_for_ever)

    def stop(self) -> None:
        """End what goes on by itself, once the world goes on."""
        self._reconciling.kill()

    def close(self) -> None:
        self._hints.forget(self._hints.REPORTED, self._hint)
        self._reader.close()
        self._writer.close()
        self._closing.close()

    def crash(self) -> None:
        """Lose all that was only in memory."""
        self._writer.close()
        self._writer = self._reports.Writer(self._rooms.url)
        self._judge.close()
        self._judge = self._new_judge()
        self._forget_clock()

    def come_up(self) -> None:
        """Answer again."""
        self.down = False

    def now(self) -> float:
        """Return what its clock shows."""
        return self._clock.wall()

    def set_clock(self, wrong_by: float) -> None:
        """Have its clock be wrong by so many seconds. In life it is looked at every few seconds, and so it is here."""
        self._clock.wrong_by = wrong_by
        clock.steadiness.look()

    def _forget_clock(self) -> None:
        clock.steadiness.forget()

    # Its database, and older copies of it

    def back_up(self) -> sqlite3.Connection:
        """Return a copy of the database, in memory."""
        return self._rooms.back_up()

    def restore(self, copy: sqlite3.Connection) -> None:
        """Be an older Master."""
        self._rooms.restore(copy)
        self.crash()

    def doubts(self) -> bool:
        """Return whether it found out that it knows less than it did."""
        from freehold.master.generation import doubt

        return bool(doubt.doubts())

    def resume(self) -> None:
        """Go on from the older copy, as its operator decided."""
        from freehold.master.ordering import recovery

        recovery.resume()
        self.crash()
        self._changed.set()

    def _new_judge(self) -> Any:
        from freehold.master.foundation.statements import Statements
        from freehold.master.gateway.doubt import Judge, Standing

        return Judge(self._rooms.url, Statements(b"of a simulation"), Standing())

    # What nodes ask

    def enrol(self, title: str, signing_request: str) -> Any:
        """Return the identity of a node; one of the same title is enrolled anew."""
        from freehold.master.fleet import actions

        token = actions.make_enrol_token("provider", "here", acting=self._rooms.owner)
        return actions.enrol(token.secret, title, signing_request)

    def answer(self, node: str, method: str, path: str, body: bytes | None) -> Answer:
        """Answer a node; raise LinkDown when there is no Master now."""
        if self.down:
            raise LinkDown("The Master is down.")
        url = urlsplit(path)
        from freehold.master.foundation.errors import MasterError

        try:
            if url.path == "/node/v1/feed":
                query = parse_qs(url.query)
                statement = query.get("statement", [""])[0]
                return self._feed(node, int(query["since"][0]), float(query["wait"][0]), statement)
            if url.path == "/node/v1/reports":
                return self._apply(node, body or b"")
            if url.path == "/node/v1/epoch":
                return 200, msgspec.json.encode(EpochAnswer(self._fleet.begin_epoch(node)))
        except MasterError as error:
            return error.status, msgspec.json.encode(error.problem())
        return 200, b""

    def _feed(self, node: str, since: int, wait: float, statement: str) -> Answer:
        end = self._world.now + wait
        self._look_at(node, statement)
        while True:
            self._judge.standing.look(self._reader)
            self._judge.refuse_in_doubt()
            ((revision, *_),) = self._reader.rows("node_revision", {"node": node})
            if since == 0 or since != revision:
                return 200, msgspec.json.encode(self._feeds.read_feed(self._reader, node, since, NEXT_CONTACT))
            if self._world.now >= end:
                return 204, b""
            self._changed.clear()
            self._changed.wait(end - self._world.now)
            if self.down:
                raise LinkDown("The Master went down.")

    def _look_at(self, node: str, statement: str) -> None:
        self._judge.standing.look(self._reader)
        if not self._judge.is_fine(node, statement, self._writer.head_of(node)):
            self._judge.look(node, statement)

    def _apply(self, node: str, body: bytes) -> Answer:
        batch = msgspec.json.decode(body, type=ReportBatch)
        self._look_at(node, batch.statement or "")
        answers: list[Any] = []
        self._writer.apply([self._reports.ReportJob(node, batch.epoch, batch.reports, len(body), answers.append)])
        (done,) = answers
        if isinstance(done, Exception):
            self._judge.refuse_in_doubt()
            raise done
        statement = self._judge.say(node, batch.epoch, done.sequence) or msgspec.UNSET
        return 200, msgspec.json.encode(Applied(done.sequence, NEXT_CONTACT, done.refused, statement))

    # What the Master does by itself, and what people want of it

    def reconcile(self) -> None:
        from freehold.master.tasks import lanes

        self._hinted = False
        if not self.down:
            lanes.run_once(quietly=True)
            self._changed.set()

    def supply(self, nodes: list[str]) -> None:
        from freehold.master.fleet import actions

        actions.supply(self._rooms.release, nodes, "provider", acting=self._rooms.owner)
        self._changed.set()

    def lease(self, nodes: list[str], seconds: int) -> None:
        """Give nodes a lease, as their owner."""
        from freehold.master.fleet import actions

        for node in nodes:
            actions.change_node(node, "provider", lease=seconds, acting=self._rooms.owner)
        self._changed.set()

    def request(
        self, title: str, greeting: str, state: str, type: str | None = None, *, memory_mb: int, now: bool = False
    ) -> None:
        """Request as the customer (an end: `now`, or after its time of grace); raise MasterError when it is refused."""
        from freehold.master.ordering import actions

        desired = actions.Request(
            "provider",
            title,
            product=PRODUCT,
            type=type,
            parameters={"greeting": greeting},
            size={"memory_mb": memory_mb},
            state=Wanted(state),
        )
        granted = actions.request(desired, now=now, acting=self._rooms.owner)
        self.asked[granted.instance].append((self._world.now, state))
        if type == "movable":
            self._movable.add(granted.instance)
        self._changed.set()

    def instances(self) -> list[Any]:
        """Return the row of every instance that ever was."""
        from freehold.master.ordering.models import Instance

        return list(Instance.objects.select_related("node").order_by("created_at", "id"))

    def kept(self, node: str) -> tuple[int, int, int]:
        """Return what memory of a node is kept: as its row, its partitions' rows and the sizes of instances say."""
        from django.db.models import Sum

        from freehold.master.fleet.models import Node, Partition
        from freehold.master.ordering.models import Instance

        places = Partition.objects.filter(node=node, instance__isnull=False)
        sizes = Instance.objects.filter(id__in=places.values("instance")).values_list("size", flat=True)
        left = places.filter(instance__startswith="left:").aggregate(Sum("kept_memory_mb"))["kept_memory_mb__sum"] or 0
        return (
            Node.objects.values_list("kept_memory_mb", flat=True).get(id=node),
            places.aggregate(Sum("kept_memory_mb"))["kept_memory_mb__sum"] or 0,
            left + sum(size.read(text).memory_mb for text in sizes),
        )

    def wants(self, instance: str) -> str:
        """Return what was wanted last of an instance, whether or not the Master knows of it still."""
        return self.asked[instance][-1][1]

    def was_to_stop(self, instance: str, node: str) -> bool:
        """Return whether something else is wanted of an instance there, or was lately: that may be heard late."""
        from freehold.master.ordering.models import Instance

        row = Instance.objects.filter(id=instance).first()
        if (instance in self._movable) if row is None else row.node_id != node or row.wanted != Wanted.STARTED:
            # One without data that is not named may run elsewhere; a restored Master may want what was wanted before.
            return True
        since = self._world.now - LATE
        earlier = [state for at, state in self.asked[instance] if at <= since]
        lately = [state for at, state in self.asked[instance] if at > since]
        return any(state != Wanted.STARTED for state in [*earlier[-1:], *lately])

    def is_ready(self, instance: str) -> bool:
        """Return whether the Master knows that an instance is as wanted."""
        from freehold.master.monitoring import queries as monitoring
        from freehold.master.ordering import queries

        (picture,) = monitoring.pictures([queries.by_id(instance)])
        return bool(picture.status.ready)

    def used(self, instance: str) -> tuple[int, int]:
        """Return the milliseconds of processor that an instance used: by its counters, and by its hours."""
        from django.db.models import Sum

        from freehold.master.usage import queries
        from freehold.master.usage.models import Hour

        hours = Hour.objects.filter(instance_id=instance).aggregate(Sum("cpu_ms"))["cpu_ms__sum"]
        return queries.so_far(instance)["cpu_ms"] or 0, hours or 0

    def refused(self) -> list[str]:
        """Return why items of reports were set aside.

        Not that something is destroyed which is gone: a node that asks for everything anew, before the Master acted on
        its word of that, is told to destroy it once more, and says so once more.
        """
        from freehold.master.fleet.models import RefusedItem

        items = RefusedItem.objects.exclude(reason__endswith="does not live on this node", item__contains=GONE)
        return list(items.values_list("reason", flat=True))

    def _hint(self) -> None:
        if not self._hinted:
            self._hinted = True
            self._world.at(self._world.now + 0.05, lambda: self._world.spawn(self.reconcile))

    def _reconcile_for_ever(self) -> None:
        while True:
            self.reconcile()
            # Rarer than in life: what it finds without having been hinted at is found late all the same.
            self._world.sleep(300.0)


def _release(folder: Path) -> bytes:
    from freehold.protocol import archive

    folder.mkdir()
    schema = {"type": "object", "properties": {"greeting": {"type": "string"}}}
    (folder / "software.cfg").write_text("[buildout]\nparts =\n")
    (folder / "software.cfg.json").write_bytes(msgspec.json.encode(_DESCRIPTOR))
    (folder / "in.json").write_bytes(msgspec.json.encode(schema))
    (folder / "out.json").write_text("{}")
    return archive.pack(folder)

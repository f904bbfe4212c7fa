"""The Master of a simulation: its real rooms in this process, asked by simulated nodes."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from freehold.node.errors import LinkDown
from freehold.protocol.report import Applied, Batch
from freehold.protocol.states import Wanted
from freehold.simulator.network import Answer
from freehold.simulator.world import Event, World

PASSWORD = "of a simulation"
PRODUCT = "simulated"
NEXT_CONTACT = 60.0
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
    """The database and the rooms, made once in a process; emptied for each world."""

    def __init__(self, root: Path) -> None:
        os.environ["DATABASE_URL"] = f"sqlite:///{root / 'master.sqlite'}"
        from freehold.master.commands import initialise

        initialise(root, ["localhost"], "provider", "owner@example.org", PASSWORD)
        from django.conf import settings

        self.root = root
        self.url = str(settings.DATABASE_URL)
        self._archive = _release(root / "release")

    def begin(self) -> None:
        """Empty all, then make the first project, its owner, and a product."""
        from django.apps import apps
        from django.db import connection, transaction

        from freehold.master.catalog import actions as catalog
        from freehold.master.fleet import actions as fleet
        from freehold.master.fleet.models import RevisionClock
        from freehold.master.foundation import clock, ids
        from freehold.master.people import actions, identity
        from freehold.master.people.models import Person, Role

        with transaction.atomic(), connection.cursor() as cursor:
            for model in apps.get_models(include_auto_created=True):
                cursor.execute(f"DELETE FROM {model._meta.db_table}")
            RevisionClock.objects.create(id=1, value=0)
        project = actions.add_project("provider", acting=identity.system())
        owner = Person.objects.create(
            id=ids.new("pers"), email="owner@example.org", password="!", created_at=clock.now()
        )
        actions.give_role(owner, project, Role.OWNER, acting=identity.system())
        self.owner = identity.by_person(owner.id)
        self.release = catalog.publish(self._archive, "provider", acting=self.owner)
        fleet.add_site("provider", "here", acting=self.owner)


class Master:
    """Answers nodes as the gateway does, one after the other."""

    def __init__(self, world: World, rooms: Rooms) -> None:
        from freehold.master.foundation import clock, hints
        from freehold.master.gateway import feeds, reports
        from freehold.master.gateway.database import Connection

        self._world, self._rooms = world, rooms
        self._feeds, self._reports, self._hints = feeds, reports, hints
        setattr(clock, "now", lambda: int(world.now * 1000))  # noqa: B010
        rooms.begin()
        self._reader = Connection(rooms.url)
        self._writer = reports.Writer(rooms.url)
        self._changed = Event(world)
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

    def crash(self) -> None:
        """Lose all that was only in memory."""
        self._writer.close()
        self._writer = self._reports.Writer(self._rooms.url)

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
        if url.path == "/node/v1/feed":
            query = parse_qs(url.query)
            return self._feed(node, int(query["since"][0]), float(query["wait"][0]))
        if url.path == "/node/v1/reports":
            return self._apply(node, body or b"")
        return 200, b""

    def _feed(self, node: str, since: int, wait: float) -> Answer:
        end = self._world.now + wait
        while True:
            ((revision, *_),) = self._reader.rows("node_revision", {"node": node})
            if since == 0 or since != revision:
                return 200, msgspec.json.encode(self._feeds.read_feed(self._reader, node, since, NEXT_CONTACT))
            if self._world.now >= end:
                return 204, b""
            self._changed.clear()
            self._changed.wait(end - self._world.now)
            if self.down:
                raise LinkDown("The Master went down.")

    def _apply(self, node: str, body: bytes) -> Answer:
        batch = msgspec.json.decode(body, type=Batch)
        answers: list[Any] = []
        self._writer.apply([self._reports.Job(node, batch.epoch, batch.reports, len(body), answers.append)])
        (done,) = answers
        if isinstance(done, Exception):
            return 409, str(done).encode()
        return 200, msgspec.json.encode(Applied(done.sequence, NEXT_CONTACT, done.refused))

    # What the Master does by itself, and what people want of it

    def reconcile(self) -> None:
        from freehold.master import reconcilers

        self._hinted = False
        if not self.down:
            for room in reconcilers.ROOMS:
                room()
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

    def request(self, title: str, greeting: str, state: str, type: str | None = None) -> None:
        """Request as the customer; raise MasterError when it is refused."""
        from freehold.master.ordering import actions

        wish = actions.Request(
            "provider", title, PRODUCT, type=type, parameters={"greeting": greeting}, state=Wanted(state)
        )
        actions.request(wish, acting=self._rooms.owner)
        self._changed.set()

    def instances(self) -> list[Any]:
        """Return the row of every instance that ever was."""
        from freehold.master.ordering.models import Instance

        return list(Instance.objects.select_related("node").order_by("created_at", "id"))

    def wants(self, instance: str) -> str:
        """Return what is wanted of an instance."""
        from freehold.master.ordering.models import Instance

        return str(Instance.objects.values_list("wanted", flat=True).get(id=instance))

    def was_to_stop(self, instance: str, node: str) -> bool:
        """Return whether something else is wanted of an instance there, or was lately: that may be heard late."""
        from freehold.master.ordering.models import Instance, RequestRow

        if Instance.objects.get(id=instance).node_id != node:
            return True

        since = int((self._world.now - LATE) * 1000)
        asked = RequestRow.objects.filter(instance_id=instance)
        lately = [*asked.filter(at__lte=since).order_by("-id")[:1], *asked.filter(at__gt=since)]
        return any(row.asked != Wanted.STARTED for row in lately)

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
        """Return why items of reports were set aside."""
        from freehold.master.fleet.models import RefusedItem

        return list(RefusedItem.objects.values_list("reason", flat=True))

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

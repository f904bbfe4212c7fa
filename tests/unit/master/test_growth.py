"""A Master that has much of something reads as many rows for what it is asked as one that has little of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from support.lists import LISTS, WAYS, Asker
from support.panels import Visitor
from support.rooms import Rooms

if TYPE_CHECKING:
    from freehold.master.tasks.registry import MasterTask

WORK = 20
"""Runs after which a task has nothing to do."""
FEW, MANY = 250, 500
"""Both more than a part of a list, a page or a field of choices holds."""
_RELEASE, _SCHEMA = "{:064}", '{"properties": {"greeting": {"type": "string"}}}'
PAGES = (
    "/",
    "/?q=s-0",
    "/?state=started",
    "/?state=trouble",
    "/services/provider/s-00001",
    "/services/provider/s-00001/-/live",
    "/services/provider/s-00001/-/change",
    "/services/provider/s-00001/-/destroy",
    "/catalogue",
    "/catalogue/product-00000",
    "/fleet/provider",
    "/fleet/provider/nodes/n-00000",
    "/fleet/provider/supplies",
    "/fleet/provider/supplies/sup-0",
    "/fleet/provider/supplies/sup-0/log",
    "/fleet/provider/enrol",
    "/members/provider",
    "/prices",
    "/status",
    "/costs/provider",
    "/tickets",
    "/tickets/provider/tick-0",
    "/account",
    "/account/tokens",
    "/account/security",
    "/account/messages",
    "/webhooks/provider",
    "/webhooks/provider/hook-0",
    "/tasks",
    "/projects",
)


@contextmanager
def rows_read() -> Iterator[list[int]]:
    """Count the rows that the database hands over meanwhile, in the only element."""
    from django.db.backends.utils import CursorWrapper

    read = [0]

    class Counting(CursorWrapper):
        def fetchone(self) -> Any:
            row = self.cursor.fetchone()
            read[0] += row is not None
            return row

        def fetchmany(self, *size: int) -> Any:
            return self._counted(self.cursor.fetchmany(*size))

        def fetchall(self) -> Any:
            return self._counted(self.cursor.fetchall())

        def __iter__(self) -> Iterator[Any]:
            for row in self.cursor:
                read[0] += 1
                yield row

        def _counted(self, rows: Any) -> Any:
            read[0] += len(rows)
            return rows

    names = ("fetchone", "fetchmany", "fetchall", "__iter__", "_counted")
    with pytest.MonkeyPatch.context() as patched:
        for name in names:
            patched.setattr(CursorWrapper, name, Counting.__dict__[name], raising=False)
        yield read


def grow(first: int, end: int) -> None:
    """Have project `provider` own so many of everything: products, sites, nodes, services, tickets, people."""
    from freehold.master.catalog.models import Product, Release, ReleaseType
    from freehold.master.fleet.models import Chain, Node, Partition, Site, Supply
    from freehold.master.foundation.transactions import writing
    from freehold.master.monitoring.models import Assessment
    from freehold.master.notifications.models import Cause, OutgoingMessage, Webhook
    from freehold.master.ordering.models import Instance, InstanceRow, ProjectSuspension, RequestRow
    from freehold.master.people.models import Membership, Person, Project
    from freehold.master.support.models import Message, Ticket

    project, owner = Project.objects.get(name="provider").id, Person.objects.get(email="owner@example.org").id
    numbers = range(first, end)
    made: list[Any] = []
    for n in numbers:
        release, site, node, instance = _RELEASE.format(n), f"site-{n}", f"node-{n}", f"inst-{n}"
        made += [
            Product(id=f"prod-{n}", name=f"product-{n:05}", project_id=project, created_at=0),
            # Of one product there are many releases, too.
            Release(id=release, product_id=f"prod-{n}", version="1.0", description="", size=1, published_at=n),
            Release(id=f"a{n:063}", product_id="prod-0", version=f"2.{n}", description="", size=1, published_at=n),
            Site(id=site, project_id=project, name=f"place-{n:05}", created_at=0),
            Node(id=node, project_id=project, site_id=site, title=f"n-{n:05}", revision=1, created_at=0),
            Chain(node_id=node, epoch=1, sequence=1, hash="00", received_at=1),
            Partition(id=f"{node}:p0", node_id=node, name="p0", number=0, address=f"10.0.{n % 250}.{n // 250}"),
            Instance(
                id=instance, project_id=project, tree=instance, title=f"s-{n:05}", product=f"product-{n:05}",
                release_id=release, type="default", parameters="{}", constraints="{}", requested_state="started",
                wanted="started", seed="", node_id=node, partition="p0", weight=1, revision=1, created_at=n,
                changed_at=n,
            ),
            InstanceRow(
                instance_id=instance, revision=1, at=1, state="started", message="", promises='["page"]'
            ),
            # One service has a long history.
            RequestRow(
                instance_id="inst-1", at=n, actor="me", release_id=_RELEASE.format(1), parameters="{}",
                requested_state="started",
            ),
            Assessment(instance_id=instance, revision=1, at=1, promise="page", kept=False, message="no"),
            Assessment(instance_id="inst-1", revision=1, at=n, promise="page", kept=n % 2 == 0, message="no"),
            Project(id=f"proj-{n}", name=f"far-{n}", created_at=0),
            ProjectSuspension(project_id=f"proj-{n}", reason="abuse", actor="me", at=n, settled_at=n),
            Person(id=f"pers-{n}", email=f"p{n}@example.org", password="!", created_at=0),
            Membership(person_id=f"pers-{n}", project_id=project, role="customer"),
            Ticket(
                id=f"tick-{n}", project_id=project, provider_id=project, scope="operate", about=f"service:{instance}",
                title="?", opened_at=n,
            ),
            Message(ticket_id="tick-0", at=n, author="me", text="and"),
            Cause(
                id=f"caus-{n}", project_id=project, kind="ticket.said", subject="tick-0", key=f"ticket.said {n}",
                scope="read", detail="{}", opened_at=n, noticed_at=n, ended_at=n,
            ),
            Webhook(
                id=f"hook-{n}", project_id=project, maker_id=owner, url=f"https://h{n}.example/", scopes="read",
                created_at=n,
            ),
            OutgoingMessage(
                id=f"mess-{n}", webhook_id="hook-0", state="sent", due_at=n, made_at=n, queued_at=n, sent_at=n
            ),
            OutgoingMessage(id=f"mail-{n}", person_id=owner, state="sent", due_at=n, made_at=n, queued_at=n, sent_at=n),
            Supply(
                id=f"sup-{n}", release_id=release, node_id=node, site_id=site, observed="available", revision=1,
                observed_at=1, message="done",
            ),
            Supply(
                id=f"sup-a{n}", release_id=f"a{n:063}", node_id="node-0", site_id="site-0", observed="available",
                revision=1, observed_at=1, message="done",
            ),
        ]  # fmt: skip
    made += [
        ReleaseType(release_id=row.id, name="default", title="Default", request_schema=_SCHEMA, response_schema=_SCHEMA)
        for row in made
        if isinstance(row, Release)
    ]
    with writing():
        for model in (
            Project, ProjectSuspension, Product, Release, ReleaseType, Site, Node, Chain, Partition, Supply,
            Instance, InstanceRow, RequestRow, Assessment, Person, Membership, Ticket, Message, Cause, Webhook,
            OutgoingMessage,
        ):  # fmt: skip
            model.objects.bulk_create([row for row in made if isinstance(row, model)])


def _finish(task: "MasterTask") -> None:
    """Run a task until it finds nothing to do."""
    for _ in range(WORK):
        if not task.run():
            return


def _asked(visitor: Visitor, asker: Asker) -> dict[str, int]:
    """Return how many rows each page, each list of the API and each task that finds nothing to do reads."""
    from freehold.master.tasks.registry import TASKS

    found: dict[str, int] = {}
    for task in TASKS:
        _finish(task)
    for path in PAGES:
        # A release's schemas are read once by each process; they never change.
        visitor.get(path)
        with rows_read() as read:
            answer = visitor.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        found[path] = read[0]
    for path in LISTS:
        if "{code}" in path:
            continue
        way = WAYS.get(path, path).replace("{project}", "provider").replace("{ticket}", "tick-0")
        way = way.replace("{webhook}", "hook-0")
        with rows_read() as read:
            asker.get(way)
        found[way] = read[0]
    for task in TASKS:
        _finish(task)
        with rows_read() as read:
            task.run()
        found[task.name] = read[0]
    return found


def test_no_page_list_or_idle_task_reads_more_rows_where_there_is_more_of_everything(rooms: Rooms) -> None:
    visitor, asker = Visitor(rooms.owner), Asker(rooms)
    grow(0, FEW)
    few = _asked(visitor, asker)
    grow(FEW, MANY)
    many = _asked(visitor, asker)
    assert {name: (few[name], read) for name, read in many.items() if read > few[name]} == {}


def test_what_is_too_much_to_choose_from_is_named(rooms: Rooms) -> None:
    """An operator of many sites and nodes types where a machine or a release goes."""
    from freehold.master.fleet.models import EnrolToken, Supply

    visitor = Visitor(rooms.owner)
    grow(0, FEW)
    page = visitor.get("/fleet/provider/enrol").content.decode()
    assert '<input id="site"' in page
    assert "<select" not in page.partition("<main")[2]
    machine = {"title": "rack-1", "partitions": "4"}
    assert visitor.post("/fleet/provider/enrol", {**machine, "site": "place-00007"}).status_code == 200
    assert EnrolToken.objects.get().site_id == "site-7"
    assert visitor.post("/fleet/provider/enrol", {**machine, "site": "nowhere"}).status_code == 404
    release = {"release": _RELEASE.format(3), "everyone": "on", "wanted": "available"}
    for where, nodes in (("node:n-00001", {"node-1"}), ("site:place-00002", {"node-2"})):
        assert visitor.post("/fleet/provider/supplies", {**release, "where": where}).status_code == 302
        found = Supply.objects.filter(release=release["release"]).exclude(id="sup-3")
        assert set(found.values_list("node", flat=True)) == nodes
        found.delete()
    for where in ("node:nobody", "site:nowhere"):
        assert visitor.post("/fleet/provider/supplies", {**release, "where": where}).status_code == 404
    for where in ("", "rack", "all:", "site:", "node", "place:paris", "everywhere"):
        answer = visitor.post("/fleet/provider/supplies", {**release, "where": where})
        assert (answer.status_code, "all, site:NAME or node:NAME" in answer.content.decode()) == (422, True), where
    assert Supply.objects.filter(release=release["release"]).count() == 1
    assert visitor.post("/fleet/provider/supplies", {**release, "where": "all"}).status_code == 302
    assert Supply.objects.filter(release=release["release"]).count() == FEW

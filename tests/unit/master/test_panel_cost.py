"""A page costs the database as much among many services as among few, and shows the same states as it."""

import html
import itertools
import json
import re
from collections.abc import Iterator

from support.panels import Visitor, ready_shop
from support.rooms import Rooms

A_NODE = 50
"""Instances on a node."""
RELEASE, SITE, NODE = "{:064}", "site-{:05}", "node-{:05}"
SCHEMA = '{"properties": {"greeting": {"type": "string"}, "key": {"type": "string", "format": "password"}}}'
PAGES = {
    "desk": "/desk/provider",
    "services": "/",
    "services, searched": "/?q=s-0",
    "services in a state": "/?state=started",
    "service": "/services/provider/s-00001",
    "service, live part": "/services/provider/s-00001/-/live",
    "service, a day": "/services/provider/s-00001/-/pictures",
    "service, a quarter": "/services/provider/s-00001/-/pictures?period=quarter",
    "service, tree": "/services/provider/s-00000",
    "change": "/services/provider/s-00001/-/change",
    "catalogue": "/catalogue",
    "order": "/catalogue/product-00000",
    "fleet": "/fleet/provider",
    "node": "/fleet/provider/nodes/n-00000",
    "node, revoking": "/fleet/provider/nodes/n-00000/revoke",
    "supplies": "/fleet/provider/supplies",
    "build": "/fleet/provider/supplies/sup-00000-00000",
    "build, live part": "/fleet/provider/supplies/sup-00000-00000/log",
    "enrolment": "/fleet/provider/enrol",
}


def grow(count: int) -> None:
    """Have project `provider` run that many services that publish and keep promises, on nodes of 50 partitions each.

    There is a product for each 20, a site for each 100; a tenth of all are a part of the first service. What is
    there stays as it is.
    """
    from freehold.master.catalog.models import Product, Release, ReleaseType
    from freehold.master.fleet.models import Chain, Node, Partition, Site, Supply
    from freehold.master.foundation.transactions import writing
    from freehold.master.ordering.models import Instance
    from freehold.master.people.models import Project

    project = Project.objects.get(name="provider").id
    with writing():
        for n in range(Product.objects.filter(name__startswith="product-").count(), -(-count // 20)):
            product = Product.objects.create(id=f"prod-{n}", name=f"product-{n:05}", project_id=project, created_at=0)
            release = Release.objects.create(
                id=RELEASE.format(n), product=product, version="1.0", description="For tests.", size=1, published_at=n
            )
            ReleaseType.objects.create(
                release=release, name="default", title="Default", request_schema=SCHEMA, response_schema=SCHEMA
            )
        for n in range(Site.objects.filter(id__startswith="site-0").count(), -(-count // 100)):
            Site.objects.create(id=SITE.format(n), project_id=project, name=f"place-{n}", created_at=0)
        for n in range(Node.objects.filter(id__startswith="node-0").count(), -(-count // A_NODE)):
            node = Node.objects.create(
                id=NODE.format(n), project_id=project, site_id=SITE.format(n * A_NODE // 100), title=f"n-{n:05}",
                revision=1, created_at=0,
            )  # fmt: skip
            Chain.objects.create(node=node, epoch=1, sequence=1, hash="00", received_at=1)
            Partition.objects.bulk_create(
                Partition(id=f"{node.id}:p{p}", node=node, name=f"p{p}", number=p, address=f"10.0.{n}.{p}")
                for p in range(A_NODE)
            )
        for release, node in itertools.product(Release.objects.all(), Node.objects.filter(id__startswith="node-0")):
            Supply.objects.get_or_create(
                release=release, node=node,
                defaults={"id": f"sup-{release.id[-5:]}-{node.id[-5:]}", "observed": "available", "revision": 1,
                          "observed_at": 1, "message": "done\n" * 100, "site_id": node.site_id},
            )  # fmt: skip
        have = Instance.objects.filter(id__startswith="inst-0").count()
        for first in range(have, count, 200):
            _run(project, range(first, min(first + 200, count)))
        if have < 2 <= count:
            _give_a_past("inst-00001")


def _run(project: str, numbers: range) -> None:
    from freehold.master.monitoring.models import Assessment
    from freehold.master.ordering.models import Instance, InstanceRow, PublicationRow, RequestRow
    from freehold.master.usage.models import LastReading

    rows = []
    for n in numbers:
        is_part = n % 10 == 9
        rows.append(
            Instance(
                id=f"inst-{n:05}",
                project_id=project,
                tree="inst-00000" if is_part else f"inst-{n:05}",
                parent="inst-00000" if is_part else None,
                title=f"s-00000/part-{n:05}" if is_part else f"s-{n:05}",
                product=f"product-{n // 20:05}",
                release_id=RELEASE.format(n // 20),
                type="default",
                parameters='{"greeting": "hello"}',
                constraints="{}",
                requested_state="started",
                wanted="started",
                seed="",
                node_id=NODE.format(n // A_NODE),
                partition=f"p{n % A_NODE}",
                weight=1,
                revision=1,
                created_at=n,
                changed_at=n,
            )
        )
    Instance.objects.bulk_create(rows)
    told = [{"instance_id": row.id, "revision": 1, "at": 1} for row in rows]
    InstanceRow.objects.bulk_create(
        InstanceRow(**one, state="started", message="", promises='["page", "port"]') for one in told
    )
    published = json.dumps({"url": "http://10.0.0.1/", "key": "sesame"})
    PublicationRow.objects.bulk_create(PublicationRow(**one, published=published) for one in told)
    Assessment.objects.bulk_create(
        Assessment(**one, promise=promise, kept=kept, message="200 OK")
        for one in told
        for promise in ("page", "port")
        for kept in (True, False, True)
    )
    LastReading.objects.bulk_create(LastReading(instance_id=row.id, series="", at=1, cpu_ms=5) for row in rows)
    RequestRow.objects.bulk_create(
        RequestRow(
            instance_id=row.id,
            at=at,
            actor="me",
            release_id=row.release_id,
            parameters=row.parameters,
            requested_state="started",
        )
        for row in rows
        for at in range(3)
    )


def _give_a_past(instance: str) -> None:
    """Have a service be known for a year: what it used by hours, its promises by days and, of today, by quarters."""
    from freehold.master.foundation import clock
    from freehold.master.monitoring.models import Assessment, KeptDay
    from freehold.master.usage.models import Hour

    now = clock.now()
    hour, today = now // 3_600_000, now // clock.DAY
    Hour.objects.bulk_create(
        Hour(instance_id=instance, hour=hour - n, cpu_ms=n, memory_mb_s=n, disk_mb_s=n, network_in=n, network_out=n)
        for n in range(365 * 24)
    )
    KeptDay.objects.bulk_create(
        KeptDay(instance_id=instance, day=today - n, kept=clock.DAY - n, counted=clock.DAY, unknown=0)
        for n in range(1, 366)
    )
    Assessment.objects.bulk_create(
        Assessment(instance_id=instance, revision=1, promise=promise, kept=True, message="", at=now - n * 900_000)
        for n in range(96, 0, -1)
        for promise in ("page", "port")
    )


def _questions(visitor: Visitor) -> dict[str, int]:
    """Return how often each page asks the database."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    found = {}
    for name, path in PAGES.items():
        # A release's schemas are read once by each process; they never change.
        visitor.get(path)
        with CaptureQueriesContext(connection) as asked:
            answer = visitor.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        found[name] = len(asked)
    return found


def test_no_page_asks_more_of_the_database_among_many_services_than_among_few(rooms: Rooms) -> None:
    visitor = Visitor(rooms.owner)
    grow(10)
    few = _questions(visitor)
    grow(200)
    assert _questions(visitor) == few
    assert max(few.values()) <= 15, few


def test_long_lists_have_pages(rooms: Rooms) -> None:
    from freehold.master.fleet.models import Node

    grow(1000)
    Node.objects.bulk_create(
        Node(
            id=f"more-{n}", project_id=rooms.provider, site_id=SITE.format(0), title=f"m-{n}", revision=1, created_at=0
        )
        for n in range(60)
    )
    visitor = Visitor(rooms.owner)
    for path, rows in (("/", 900), ("/fleet/provider", 80), ("/fleet/provider/supplies", 1000)):
        found = list(_pages(visitor, path))
        assert max(map(len, found)) == 50
        assert len(found) == -(-rows // 50)
        assert len(set().union(*found)) == rows, path


def _pages(visitor: Visitor, path: str) -> Iterator[set[str]]:
    """Yield where the rows of each page of a list lead to, following its link to the next one."""
    following: str | None = path
    while following:
        content = visitor.get(following).content.decode()
        yield set(re.findall(r'<th scope="row"><a href="([^"]+)"', content))
        link = re.search(r'rel="next" href="([^"]+)"', content)
        following = path + html.unescape(link[1]) if link else None


def test_the_database_and_the_page_call_each_state_by_the_same_name(rooms: Rooms) -> None:
    """Searching by state asks the database, which says in SQL what `ordering.status` says of each service."""
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import listing, queries
    from freehold.master.panel import services

    made = _every_combination(rooms)
    shown = {one.row["id"]: one.status.state for one in monitoring.pictures(queries.by_ids(made))}
    assert len(shown) == len(made) > 300
    found: dict[str, str] = {}
    for state in {*services._FILTERS, *shown.values()} - {"trouble"}:
        for number in itertools.count(1):
            page = listing.page([rooms.provider], state=state, number=number)
            found.update({row["id"]: state for row in page.rows})
            if number >= page.pages:
                break
    assert {one: state for one, state in found.items() if one in shown} == shown
    assert set(shown.values()) - {"destroyed"} == set(services._FILTERS) - {"trouble"}


def _every_combination(rooms: Rooms) -> list[str]:
    """Have a service for whatever can be wanted of it, and said of it and of its release; return their ids."""
    from freehold.master.fleet.models import Node, Supply
    from freehold.master.ordering.models import Instance, InstanceRow
    from freehold.protocol.states import Observed, SoftwareObserved, Wanted

    release = ready_shop(rooms)
    nodes = {software: rooms.node(software or "silent") for software in ["", *SoftwareObserved]}
    rooms.supply(release, *nodes.values())
    for software, node in nodes.items():
        Supply.objects.filter(node=node).update(observed=software)
    nodes["never supplied"] = rooms.node("unsupplied")
    nodes["not heard"] = rooms.node("away")
    Node.objects.filter(title="away").update(silent_since=1)
    said = [None, *itertools.product(Observed, (4, 5, 6))]
    instances, told = [], []
    for number, (wanted, software, one) in enumerate(itertools.product(Wanted, nodes, said)):
        name = f"inst-{number}"
        instances.append(
            Instance(
                id=name,
                project_id=rooms.provider,
                tree=name,
                title=name,
                product="tiny",
                release_id=release.id,
                type="default",
                parameters="{}",
                constraints="{}",
                requested_state=wanted,
                wanted=wanted,
                seed="",
                node=nodes[software],
                partition=name,
                weight=1,
                revision=5,
                created_at=1,
                changed_at=1,
            )
        )
        if one is not None:
            state, revision = one
            told.append(InstanceRow(instance_id=name, revision=revision, state=state, message="", promises="[]", at=1))
    Instance.objects.bulk_create(instances)
    InstanceRow.objects.bulk_create(told)
    return [one.id for one in instances]

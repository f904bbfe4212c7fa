"""The desk of whoever runs nodes: what is broken, since when, where and whose; nothing that is not their business."""

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.panels import Visitor
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.desk.queries import Desk
    from freehold.master.fleet.models import Node
    from support.rooms import Rooms

MINUTE = 60_000
HOUR = 60 * MINUTE


@pytest.fixture
def node(rooms: "Rooms") -> "Node":
    """A node of `provider` that is heard, where the customer of `shop` may order."""
    made = rooms.node("rack-1", partitions=4)
    rooms.supply(rooms.publish(tiny_release()), made)
    heard(made)
    return made


def heard(node: "Node") -> None:
    from freehold.master.fleet.models import Chain
    from freehold.master.foundation import clock

    told = {"epoch": 1, "sequence": 1, "hash": "00", "received_at": clock.now()}
    Chain.objects.update_or_create(node_id=node.id, defaults=told)


def look(rooms: "Rooms", **how: Any) -> "Desk":
    from freehold.master.desk import queries

    return queries.desk(rooms.provider, **how)


def started(rooms: "Rooms", title: str, ago: int = HOUR) -> str:
    """Have a service of `shop` run since some time; return its id."""
    from freehold.master.ordering.models import InstanceRow

    instance = str(rooms.request(title, parameters={"greeting": "whispered"}).instance)
    rooms.node_says(instance, "started", promises='["page"]', message="hushed words")
    InstanceRow.objects.filter(instance_id=instance).update(at=_ago(ago))
    return instance


def said(instance: str, *results: bool, promise: str = "page", every: int = 15 * MINUTE) -> None:
    """Have a node tell results of a promise, the last of them now."""
    from freehold.master.monitoring.models import Assessment

    for number, kept in enumerate(results, start=1):
        at = _ago((len(results) - number) * every)
        Assessment.objects.create(
            instance_id=instance, revision=10**9, promise=promise, kept=kept, message="hushed words", at=at
        )


def _ago(milliseconds: int) -> int:
    from freehold.master.foundation import clock

    return clock.now() - milliseconds


def test_a_broken_promise_is_on_the_desk_since_it_broke_with_whose_and_where(rooms: "Rooms", node: "Node") -> None:
    shop = started(rooms, "shop-page")
    fine = started(rooms, "fine")
    said(shop, True, False, True, False, False, False)
    said(fine, False, False, True)
    (row,) = look(rooms).services.rows
    assert (row.title, row.project, row.promise, row.node, row.site) == ("shop-page", "shop", "page", "rack-1", "here")
    assert abs(row.since - _ago(30 * MINUTE)) < MINUTE, "since the first that was not kept after the last that was"
    said(shop, True)
    assert look(rooms).services.total == 0


def test_a_service_that_just_started_or_was_changed_since_is_no_outage(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.monitoring.models import Assessment
    from freehold.master.ordering.models import Instance

    instance = started(rooms, "young", ago=0)
    said(instance, False)
    assert look(rooms).services.total == 0
    started_long_ago = started(rooms, "changed")
    said(started_long_ago, False)
    assert look(rooms).services.total == 1
    Assessment.objects.update(revision=1)
    Instance.objects.update(revision=2)
    assert look(rooms).services.total == 0, "what was checked of a former configuration says nothing of this one"


def test_each_broken_promise_of_a_service_is_one_line_and_the_last_that_broke_is_first(
    rooms: "Rooms", node: "Node"
) -> None:
    instance = started(rooms, "page")
    said(instance, False, False, False, promise="a")
    said(instance, True, True, promise="b")
    said(instance, True, False, promise="c")
    assert [row.promise for row in look(rooms).services.rows] == ["c", "a"]


def test_a_machine_that_breaks_its_own_promise_is_there_since_it_did(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet.models import Node

    def tells(kept: bool) -> None:
        rooms.tell(node, promises=[{"name": "disk", "kept": kept, "message": 'it says "kept": false'}])

    tells(True)
    assert look(rooms).machines.total == 0, "words of a message are no verdict"
    tells(False)
    (row,) = look(rooms).machines.rows
    assert (row.node, row.promise, row.message) == ("rack-1", "disk", 'it says "kept": false')
    assert row.since is not None
    since = row.since
    time.sleep(0.01)
    tells(False)
    assert look(rooms).machines.rows[0].since == since, "it began when it began"
    Node.objects.update(silent_since=1)
    assert look(rooms).machines.total == 0, "of what is silent it is not known"


def test_the_desk_names_each_node_on_which_nothing_new_can_be_placed(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet.models import Node, Site
    from freehold.master.foundation import clock

    made = {title: rooms.node(title) for title in ("closed", "silent", "stopped", "lost", "full", "flying", "loaded")}
    for one in made.values():
        heard(one)
    rooms.node("new")
    Site.objects.create(id="plane", project_id=rooms.provider, name="plane", expected_silence=10_000, created_at=0)
    now = clock.now()
    for title, change in {
        "closed": {"open": False},
        "silent": {"silent_since": now - HOUR},
        "stopped": {"silent_since": now - 2 * HOUR, "stopped": "node"},
        "lost": {"silent_since": now - 3 * HOUR, "lost_at": now - HOUR},
        "flying": {"silent_since": now - MINUTE, "site_id": "plane"},
        "full": {"free": 0},
        "loaded": {"capacity": 5, "used": 5},
    }.items():
        Node.objects.filter(title=title).update(**change)
    found = look(rooms).nodes
    assert {row.node: row.state for row in found.rows} == {
        "closed": "closed", "silent": "silent", "stopped": "stopped", "lost": "lost", "flying": "silent",
        "full": "full", "loaded": "full", "new": "new",
    }  # fmt: skip
    assert [row.node for row in found.rows][:4] == ["lost", "stopped", "silent", "flying"]
    by_name = {row.node: row for row in found.rows}
    assert by_name["silent"].since == now - HOUR
    assert (by_name["flying"].expected_until or 0) > now
    assert by_name["silent"].expected_until is None
    capacity = look(rooms).capacity
    assert (capacity.nodes, capacity.heard, capacity.free) == (9, 4, 4)


def test_a_node_that_is_emptied_says_so_until_nothing_is_left_there(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet import actions
    from freehold.master.ordering.models import Departure, Instance

    instance = started(rooms, "page")
    actions.change_node(node.id, "provider", open=False, acting=rooms.owner)
    assert look(rooms).nodes.rows[0].state == "closed"
    row = Instance.objects.get(id=instance)
    Departure.objects.create(instance=row, node=node, partition="p9", weight=1, revision=1, at=0)
    (found,) = look(rooms).nodes.rows
    assert (found.state, found.leaving, found.services) == ("draining", 1, 1)


def test_what_was_ordered_and_does_not_come_is_there_after_ten_minutes_with_the_reason(
    rooms: "Rooms", node: "Node"
) -> None:
    from freehold.master.desk import queries
    from freehold.master.fleet.models import Supply
    from freehold.master.ordering.models import Instance

    instance = str(rooms.request("page").instance)
    assert look(rooms).orders.total == 0, "it was just ordered"
    Instance.objects.update(changed_at=_ago(queries.STUCK_MS + MINUTE))

    def reason() -> tuple[str, str]:
        (row,) = look(rooms).orders.rows
        assert (row.title, row.project, row.node) == ("page", "shop", "rack-1")
        assert row.reason in queries.REASONS
        return row.state, row.reason

    assert reason() == ("waiting", "not-built")
    Supply.objects.update(observed="available")
    assert reason() == ("waiting", "not-taken")
    Supply.objects.update(observed="building")
    assert reason() == ("building", "building")
    Supply.objects.update(observed="failed")
    assert reason() == ("failed", "build-failed")
    Supply.objects.update(observed="available")
    rooms.node_says(instance, "configuring")
    assert reason() == ("configuring", "configuring")
    rooms.node_says(instance, "failed", message="hushed words")
    assert reason() == ("failed", "configure-failed")
    Instance.objects.update(changed_at=_ago(0))
    assert reason() == ("failed", "configure-failed"), "what failed is there at once"
    rooms.node_says(instance, "started")
    assert look(rooms).orders.total == 0
    Instance.objects.update(wanted="destroyed", changed_at=_ago(queries.STUCK_MS + MINUTE))
    assert reason() == ("destroying", "destroying")


def test_a_failed_build_shows_its_last_lines(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet.models import Supply

    log = "\n".join(f"line {number}" for number in range(100))
    Supply.objects.update(observed="failed", message=log, observed_at=_ago(HOUR))
    (row,) = look(rooms).builds.rows
    assert row.log.splitlines() == [f"line {number}" for number in range(92, 100)]
    assert (row.product, row.node) == ("tiny", "rack-1")


def test_a_ticket_is_there_while_an_operator_should_speak(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.support import actions

    started(rooms, "page")
    ticket = actions.ask("shop", "page", "Slow", "why?", acting=rooms.customer)
    actions.notice("clock:x", "This Master's clock is wrong", "look", project=rooms.provider)
    assert [(row.author, row.project) for row in look(rooms).tickets.rows] == [
        ("customer@shop.example", "shop"),
        ("freehold", "provider"),
    ]
    actions.answer("provider", ticket.id, "We look.", acting=rooms.owner)
    assert [row.author for row in look(rooms).tickets.rows] == ["freehold"]
    actions.answer("shop", ticket.id, "Still slow.", acting=rooms.customer)
    assert look(rooms).tickets.total == 2
    actions.answer("shop", ticket.id, "", close=True, acting=rooms.customer)
    assert look(rooms).tickets.total == 1


def test_a_certificate_is_there_when_its_renewal_has_failed_for_days(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.fleet.models import Certificate
    from freehold.master.foundation import clock

    instance = started(rooms, "page")
    now = clock.now()

    def lives(fingerprint: str, kind: str, subject: str, days: int) -> None:
        ends = now + days * clock.DAY
        Certificate.objects.create(
            fingerprint=fingerprint, kind=kind, subject=subject, not_after=ends, issued_at=ends - 30 * clock.DAY
        )

    lives("a", "node", node.id, 3)
    lives("b", "node", node.id, 25)
    assert look(rooms).certificates.total == 0, "a newer one is there"
    lives("c", "instance", instance, -1)
    Certificate.objects.filter(fingerprint="b").update(revoked_at=now)
    assert [(row.kind, row.title, row.project) for row in look(rooms).certificates.rows] == [
        ("instance", "page", "shop"),
        ("node", "rack-1", "provider"),
    ]


def test_only_who_runs_the_master_sees_how_its_tasks_go(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.tasks.models import TaskState

    TaskState.objects.create(name="fleet.silence", began_at=1, ended_at=2, failures=3, error="no space left")
    assert look(rooms).tasks is None
    tasks = look(rooms, is_staff=True).tasks
    assert tasks is not None
    assert [row.error for row in tasks.rows if row.name == "fleet.silence"] == ["no space left"]


def test_a_provider_sees_nothing_of_the_nodes_of_another(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.desk import queries

    said(started(rooms, "page"), False)
    assert look(rooms).total == 1
    assert queries.desk(rooms.shop).total == 0


def test_nothing_that_a_customer_typed_or_a_node_said_of_it_is_on_the_page_or_in_the_api(
    rooms: "Rooms", node: "Node"
) -> None:
    from freehold.master.ordering.models import PublicationRow

    broken = started(rooms, "page")
    said(broken, False)
    rooms.node_says(
        str(rooms.request("other", parameters={"greeting": "whispered"}).instance), "failed", message="hushed words"
    )
    PublicationRow.objects.create(instance_id=broken, revision=10**9, published='{"password": "sesame"}', at=0)
    visitor = Visitor(rooms.owner)
    page = visitor.reads("/desk/provider")
    assert {"page", "other", "shop"} <= set(page.split())
    assert "Its configuration fails on its node" in page
    api = json.dumps(_api(rooms, "/projects/provider/desk"))
    for secret in ("whispered", "hushed", "sesame"):
        assert secret not in page + api
    assert '/services/shop/page"' not in visitor.get("/desk/provider").content.decode(), "it may not open that page"


def _api(rooms: "Rooms", path: str) -> Any:
    from django.test import Client

    from freehold.master.people import actions
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person

    person = Person.objects.get(id=rooms.owner.person)
    token, _ = actions.make_token(person, title="desk", scopes=frozenset(Scope))
    answer = Client(headers={"authorization": f"Bearer {token}"}).get(f"/api/v1{path}", secure=True)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)


def test_a_long_list_says_how_many_more_there_are_and_shows_them_when_asked(rooms: "Rooms", node: "Node") -> None:
    from freehold.master.desk import queries

    instance = started(rooms, "page")
    for number in range(queries.USUAL + 3):
        said(instance, False, promise=f"promise-{number:02}")
    visitor = Visitor(rooms.owner)
    page = visitor.reads("/desk/provider")
    assert "And 3 more." in page
    assert page.count("promise-") == queries.USUAL
    assert visitor.reads("/desk/provider?all").count("promise-") == queries.USUAL + 3
    found = _api(rooms, "/projects/provider/desk?limit=5")
    assert (found["services"]["total"], len(found["services"]["rows"])) == (queries.USUAL + 3, 5)


def test_each_reason_is_said_in_words_at_every_door() -> None:
    from freehold.master.desk import queries
    from freehold.master.panel import labels

    assert {name: labels.waiting(name) for name in queries.REASONS} == queries.REASONS


def test_who_runs_nodes_comes_home_to_the_desk_and_a_customer_to_services(rooms: "Rooms") -> None:
    assert Visitor(rooms.owner).get("/home")["Location"] == "/", "nothing runs there yet"
    rooms.node("rack-1")
    assert Visitor(rooms.owner).get("/home")["Location"] == "/desk"
    assert Visitor(rooms.owner).get("/desk")["Location"] == "/desk/provider"
    assert Visitor(rooms.customer).get("/home")["Location"] == "/"


def test_a_desk_on_which_nothing_lies_says_so(rooms: "Rooms", node: "Node") -> None:
    assert "Nothing needs you." in Visitor(rooms.owner).reads("/desk/provider")
    assert "Rien ne vous attend." in Visitor(rooms.owner, "fr").reads("/desk/provider")


def test_ten_thousand_services_on_a_thousand_nodes_cost_as_many_questions_as_a_few(rooms: "Rooms") -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    _grow(rooms, nodes=10, each=10)
    with CaptureQueriesContext(connection) as few:
        assert look(rooms, is_staff=True).capacity.services == 100
    _grow(rooms, nodes=1000, each=10)
    begun = time.monotonic()
    with CaptureQueriesContext(connection) as many:
        found = look(rooms, is_staff=True)
    assert found.capacity.services == 10_000
    assert (found.services.total, found.orders.total, found.nodes.total) == (1000, 1000, 100)
    assert len(few) == len(many) <= 11
    assert time.monotonic() - begun < 10


def _grow(rooms: "Rooms", *, nodes: int, each: int) -> None:
    """Have so many nodes with so many services: a tenth is closed, one service of each is broken, one is stuck."""
    from freehold.master.catalog.models import Release
    from freehold.master.fleet.models import Chain, Node, Site, Supply
    from freehold.master.foundation.transactions import writing
    from freehold.master.monitoring.models import Assessment
    from freehold.master.ordering.models import Instance, InstanceRow

    release = Release.objects.first() or rooms.publish(tiny_release())
    site, _ = Site.objects.get_or_create(id="site-0", project_id=rooms.provider, name="hall", created_at=0)
    have = Node.objects.filter(id__startswith="grown").count()
    names = [f"grown-{number:04}" for number in range(have, nodes)]
    common = {"release_id": release.id, "project_id": rooms.shop, "type": "default", "product": "tiny", "seed": ""}
    asked = {"parameters": "{}", "constraints": "{}", "requested_state": "started", "wanted": "started"}
    with writing():
        Node.objects.bulk_create(
            Node(id=name, project_id=rooms.provider, site=site, title=name, revision=1, created_at=0, free=5,
                 open=not name.endswith("0"))
            for name in names
        )  # fmt: skip
        Chain.objects.bulk_create(Chain(node_id=name, epoch=1, sequence=1, hash="", received_at=1) for name in names)
        Supply.objects.bulk_create(
            Supply(id=f"sup-{name}", release_id=release.id, node_id=name, observed="available", revision=1, site=site)
            for name in names
        )
        services = [f"{name}-{number}" for name in names for number in range(each)]
        Instance.objects.bulk_create(
            Instance(id=name, tree=name, title=name, node_id=name.rpartition("-")[0], partition=name, weight=1,
                     revision=1, created_at=1, changed_at=1, **common, **asked)
            for name in services
        )  # fmt: skip
        InstanceRow.objects.bulk_create(
            InstanceRow(instance_id=name, revision=1, message="", promises='["page"]', at=1,
                        state="configuring" if name.endswith("-1") else "started")
            for name in services
        )  # fmt: skip
        Assessment.objects.bulk_create(
            Assessment(instance_id=name, revision=1, promise=promise, kept=kept, message="", at=1)
            for name in services
            for promise in ("page", "port")
            for kept in (True, promise == "page" or not name.endswith("-0"))
        )

"""A provider suspends a project: what it has stops, with its data, and goes on as it was when that is lifted."""

from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound, ProjectSuspended
from freehold.protocol.states import Wanted
from support.panels import Visitor, text
from support.trees import ask, packed

if TYPE_CHECKING:
    from support.rooms import Rooms

WHY = "Mail to strangers leaves from it."


@pytest.fixture
def shop(rooms: "Rooms") -> "Rooms":
    """Project `shop` with a service of two parts, one that it stopped itself, and a neighbour's service."""
    node = rooms.node("rack", partitions=9)
    rooms.supply(rooms.publish(packed("tiny", default={}, other={"requests": []})), node)
    rooms.partial = True
    ask(rooms.request("web").instance, part={})
    rooms.request("off", state=Wanted.STOPPED)
    order(rooms, "provider", "neighbour")
    return rooms


def order(rooms: "Rooms", project: str, title: str, **spec: Any) -> Any:
    from freehold.master.ordering import actions

    asked = actions.Request(project, title, product="tiny", **spec)
    return actions.request(asked, partial=True, acting=rooms.owner if project == "provider" else rooms.customer)


def wanted() -> dict[str, str]:
    from freehold.master.ordering.models import Instance

    return dict(Instance.objects.filter(gone_at=None).order_by("title").values_list("title", "wanted"))


def suspend(project: str = "shop", reason: str = WHY) -> None:
    from freehold.master.ordering import project_suspension
    from freehold.master.people import identity

    project_suspension.suspend(project, reason, acting=identity.system())


def lift(project: str = "shop") -> None:
    from freehold.master.ordering import project_suspension
    from freehold.master.people import identity

    project_suspension.lift(project, acting=identity.system())


def run_tasks() -> None:
    from freehold.master.tasks import lanes

    assert lanes.run_once() == []


BEFORE = {"neighbour": "started", "off": "stopped", "web": "started", "web/part": "started"}


def test_all_that_it_has_stops_and_goes_on_as_it_was(shop: "Rooms") -> None:
    from freehold.master.ordering.models import ProjectSuspension

    suspend()
    run_tasks()
    assert wanted() == {**BEFORE, "web": "stopped", "web/part": "stopped"}
    run_tasks()
    assert ProjectSuspension.objects.get().settled_at
    lift()
    run_tasks()
    assert wanted() == BEFORE
    assert not ProjectSuspension.objects.exists()


def test_it_orders_starts_and_changes_nothing_but_may_destroy(shop: "Rooms") -> None:
    from freehold.master.ordering import handover

    suspend()
    for spec in ({}, {"parameters": {"a": 1}}, {"state": Wanted.STARTED}, {"note": "x"}, {"protected": True}):
        for title in ("new", "web", "off"):
            with pytest.raises(ProjectSuspended, match=WHY):
                order(shop, "shop", title, **spec)
    with pytest.raises(ProjectSuspended):
        order(shop, "shop", "web", state=Wanted.STOPPED)
    answers = ask(_root("web"), part={}, more={})
    assert {type(one) for one in answers.values()} == {ProjectSuspended}, "nor do its services"
    from freehold.master.people import identity

    both = identity.system()
    for old, new in (("shop", "provider"), ("provider", "shop")):
        with pytest.raises(ProjectSuspended):
            handover.hand_over(old, "web" if old == "shop" else "neighbour", new, acting=both)
    order(shop, "shop", "off", state=Wanted.DESTROYED)
    run_tasks()
    assert "off" not in {title for title, state in wanted().items() if state != "destroyed"}
    order(shop, "provider", "another")


def _root(title: str) -> str:
    from freehold.master.ordering.models import Instance

    return str(Instance.objects.get(title=title).id)


def test_a_change_of_mind_before_anything_stopped_stops_nothing(shop: "Rooms") -> None:
    suspend()
    lift()
    run_tasks()
    assert wanted() == BEFORE
    suspend(reason="Again.")
    run_tasks()
    assert wanted()["web"] == "stopped"


def test_what_its_people_read(shop: "Rooms") -> None:
    from freehold.master.foundation.paging import ListPart
    from freehold.master.monitoring import queries as monitoring
    from freehold.master.ordering import queries

    suspend()
    run_tasks()
    for row in queries.in_projects([shop.shop], ListPart()):
        shop.node_says(row["id"], "stopped")
    (picture,) = monitoring.pictures(queries.by_ids([_root("web")]))
    assert picture.status.message == f"Its provider suspended its project: {WHY} Its data is kept."
    assert WHY in Visitor(shop.customer).reads("/services/shop/web")
    refused = Visitor(shop.customer).post("/services/shop/web/-/state", {"state": "started"})
    assert (refused.status_code, "The project is suspended" in text(refused)) == (403, True)


def test_it_is_told_once_and_so_is_its_end(shop: "Rooms") -> None:
    from freehold.master.notifications.models import Cause

    suspend()
    run_tasks()
    run_tasks()
    (cause,) = Cause.objects.filter(kind="project.suspended")
    assert (cause.project_id, cause.ended_at) == (shop.shop, None)
    lift()
    run_tasks()
    cause.refresh_from_db()
    assert cause.ended_at
    suspend()
    run_tasks()
    assert Cause.objects.filter(kind="project.suspended").count() == 2


def test_only_staff_suspends_and_says_why(shop: "Rooms") -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.ordering import project_suspension

    for nobody in (shop.owner, shop.customer):
        with pytest.raises(Forbidden):
            project_suspension.suspend("shop", WHY, acting=nobody)
        with pytest.raises(Forbidden):
            project_suspension.lift("shop", acting=nobody)
    for reason in ("", "  ", "x" * 501, "two\nlines", "\x1b[2J"):
        with pytest.raises(Invalid):
            suspend(reason=reason)
    for name in ("lost", "sh\0op"):
        with pytest.raises(NotFound):
            suspend(name)
    with pytest.raises(NotFound):
        lift()
    suspend()
    with pytest.raises(Conflict):
        suspend()
    lift()
    with pytest.raises(NotFound):
        lift()
    verbs = list(AuditRow.objects.filter(verb__startswith="project.").order_by("id").values_list("verb", flat=True))
    assert verbs[-2:] == ["project.suspend", "project.resume"]


def test_time_in_which_it_is_suspended_is_no_broken_promise(shop: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring import queries as monitoring

    begin = clock.now()
    monkeypatch.setattr(clock, "now", lambda: begin + 1000)
    suspend()
    run_tasks()
    found = monitoring.available(_root("web"), (begin + 2000, begin + 10_000_000))
    assert found.counted == 0


def test_staff_does_it_on_a_page(shop: "Rooms") -> None:
    from freehold.master.people import identity
    from freehold.master.people.models import Person

    Person.objects.filter(id=shop.owner.person).update(is_staff=True)
    visitor = Visitor(identity.by_person(shop.owner.person))
    assert "No project is suspended." in visitor.reads("/projects")
    assert visitor.post("/projects", {"act": "suspend", "name": "lost", "reason": WHY}).status_code == 404
    assert visitor.post("/projects", {"act": "suspend", "name": "shop", "reason": ""}).status_code == 422
    assert visitor.post("/projects", {"act": "suspend", "name": "shop", "reason": WHY}).status_code == 302
    assert WHY in visitor.reads("/projects")
    assert visitor.post("/projects", {"act": "dance", "name": "shop"}).status_code == 422
    assert visitor.post("/projects", {"act": "lift", "name": "shop"}).status_code == 302
    assert "No project is suspended." in visitor.reads("/projects")

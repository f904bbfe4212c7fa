"""Announced maintenance: said in time at every door, seen by who is concerned, and not counted against a promise."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from support.panels import Visitor, ready_shop, text
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.monitoring.models import Maintenance
    from support.market import Market
    from support.rooms import Rooms

HOUR = 3_600_000
DAY = 24 * HOUR
SITE = "/fleet/provider/sites/here"


def announce(rooms: "Rooms", begins_in: int = 3 * DAY, hours: int = 4, **more: Any) -> "Maintenance":
    from freehold.master.foundation import clock
    from freehold.master.monitoring import actions

    begin = clock.now() + begins_in
    told = {"site": "here", "what": "new <b>switch</b>", **more}
    return actions.announce("provider", told["site"], begin, begin + hours * HOUR, told["what"], acting=rooms.owner)


def begun(made: "Maintenance", ago: int = HOUR) -> None:
    """Have an announced maintenance have begun some time ago."""
    from freehold.master.foundation import clock
    from freehold.master.monitoring.models import Maintenance

    length = made.ends_at - made.begins_at
    begin = clock.now() - ago
    Maintenance.objects.filter(id=made.id).update(begins_at=begin, ends_at=begin + length)


def typed(moment: int) -> str:
    """Return a moment as a browser sends what was typed into a field for day and time."""
    return datetime.fromtimestamp(moment / 1000, UTC).strftime("%Y-%m-%dT%H:%M")


def test_customers_see_it_before_and_while_it_goes_on_and_not_after(rooms: "Rooms") -> None:
    ready_shop(rooms)
    rooms.request("page")
    customer = Visitor(rooms.customer)
    made = announce(rooms)
    before = customer.get("/services/shop/page")
    assert "Maintenance of its site is announced from" in text(before)
    assert "new <b>switch</b>. It may be down then." in text(before), "its words are text, and no page of their own"
    assert "maintenance at" in customer.reads("/")
    begun(made)
    assert "Maintenance of its site goes on until" in customer.reads("/services/shop/page")
    assert "maintenance until" in customer.reads("/")
    begun(made, ago=5 * HOUR)
    assert "aintenance" not in customer.reads("/services/shop/page") + customer.reads("/")


def test_a_page_that_looks_for_news_hears_of_it(rooms: "Rooms") -> None:
    ready_shop(rooms)
    rooms.request("page")
    customer = Visitor(rooms.customer)
    seen = _seen(customer.get("/services/shop/page/-/live").content.decode())
    assert customer.get(f"/services/shop/page/-/live?seen={seen}").status_code == 204
    announce(rooms)
    assert "is announced from" in text(customer.get(f"/services/shop/page/-/live?seen={seen}"))


def _seen(content: str) -> str:
    return content.partition("?seen=")[2].partition('"')[0]


def test_who_lives_on_another_site_is_not_told(rooms: "Rooms") -> None:
    rooms.supply(rooms.publish(tiny_release()), rooms.node("one", site="here"))
    rooms.node("two", site="there")
    rooms.request("page")
    announce(rooms, site="there")
    assert "aintenance" not in Visitor(rooms.customer).reads("/services/shop/page")


def test_it_is_announced_and_withdrawn_on_the_page_of_the_site(rooms: "Rooms") -> None:
    from freehold.master.foundation import clock
    from freehold.master.foundation.models import AuditRow
    from freehold.master.monitoring.models import Maintenance

    rooms.node("one")
    operator = Visitor(rooms.owner)
    assert "None is announced." in operator.reads(SITE)
    begin = (clock.now() + 3 * DAY) // 60_000 * 60_000
    form = {"begins_at": typed(begin), "ends_at": typed(begin + HOUR), "what": "new switch"}
    assert operator.post(SITE, form).status_code == 302
    made = Maintenance.objects.get()
    assert (made.begins_at, made.ends_at, made.what, made.site.name) == (begin, begin + HOUR, "new switch", "here")
    assert "new switch" in operator.reads(SITE)
    assert operator.post(SITE, {"withdraw": str(made.id)}).status_code == 302
    assert not Maintenance.objects.exists()
    verbs = AuditRow.objects.filter(verb__startswith="maintenance").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["maintenance.announce", "maintenance.withdraw"]


@pytest.mark.parametrize(
    ("begins", "ends", "what"),
    [(1, 25, "late"), (49, 49, "no time"), (49, 74, "too long"), (49, 50, " "), (49, 50, "x" * 501), (None, 50, "x")],
)
def test_what_is_announced_too_late_or_for_too_long_is_refused_and_stays_typed(
    rooms: "Rooms", begins: int | None, ends: int, what: str
) -> None:
    from freehold.master.foundation import clock
    from freehold.master.monitoring.models import Maintenance

    rooms.node("one")
    now = clock.now() + 60_000
    form = {
        "begins_at": "soon" if begins is None else typed(now + begins * HOUR),
        "ends_at": typed(now + ends * HOUR),
        "what": what,
    }
    answer = Visitor(rooms.owner).post(SITE, form)
    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.content.decode()
    assert form["ends_at"] in answer.content.decode()
    assert not Maintenance.objects.exists()


def test_what_has_begun_is_not_withdrawn_and_another_projects_is_not_found(rooms: "Rooms") -> None:
    from freehold.master.monitoring import actions
    from freehold.master.monitoring.models import Maintenance
    from freehold.master.people import actions as people
    from freehold.master.people import identity
    from freehold.master.people.models import Person, Project, Role

    rooms.node("one")
    made = announce(rooms)
    rival = Person.objects.get(id=rooms.customer.person)
    people.give_role(rival, Project.objects.get(name="shop"), Role.OWNER, acting=identity.system())
    for name in (str(made.id), "x", "9" * 30, "-1", "²", ""):
        with pytest.raises(NotFound):
            actions.withdraw("shop", name, acting=identity.by_person(rival.id))
    begun(made)
    with pytest.raises(Conflict, match="It has begun"):
        actions.withdraw("provider", str(made.id), acting=rooms.owner)
    assert Maintenance.objects.count() == 1


def test_no_more_are_announced_than_customers_can_be_shown(rooms: "Rooms") -> None:
    from freehold.master.monitoring.actions import MOST_COMING
    from freehold.master.monitoring.models import Maintenance

    rooms.node("one")
    made = announce(rooms)
    row = {"site": made.site, "begins_at": made.begins_at, "ends_at": made.ends_at, "what": "x", "announced_at": 0}
    Maintenance.objects.bulk_create(Maintenance(**row) for _ in range(MOST_COMING - 1))
    with pytest.raises(Conflict, match="announced already"):
        announce(rooms)
    with pytest.raises(NotFound):
        announce(rooms, site="nul\0byte")
    with pytest.raises(Invalid):
        announce(rooms, what="nul\0byte")


def test_it_goes_through_the_api_and_a_service_tells_it(rooms: "Rooms") -> None:
    from freehold.master.foundation import clock

    ready_shop(rooms)
    rooms.request("page")
    operator, customer = _api(rooms.owner), _api(rooms.customer)
    begin = clock.now() + 3 * DAY
    body = {"site": "here", "begins_at": clock.iso(begin), "ends_at": clock.iso(begin + HOUR), "what": "new switch"}
    made = operator("POST", "/projects/provider/maintenances", 201, body)
    assert made | body == made
    assert [one["id"] for one in operator("GET", "/projects/provider/maintenances")] == [made["id"]]
    (told,) = customer("GET", "/projects/shop/instances/page")["maintenances"]
    assert told == {name: body[name] for name in ("begins_at", "ends_at", "what")}
    wrong = operator("POST", "/projects/provider/maintenances", 422, {**body, "begins_at": "2026-12-01T10:00"})
    assert wrong["errors"][0]["field"].endswith("begins_at")
    operator("DELETE", f"/projects/provider/maintenances/{made['id']}", 204)
    assert customer("GET", "/projects/shop/instances/page")["maintenances"] == []


def _api(who: Any) -> Any:
    from django.test import Client

    from freehold.master.people import actions
    from freehold.master.people.identity import Scope
    from freehold.master.people.models import Person

    token, _ = actions.make_token(Person.objects.get(id=who.person), title="x", scopes=frozenset(Scope))
    client = Client(headers={"authorization": f"Bearer {token}"})

    def call(method: str, path: str, expected: int = 200, body: Any = None) -> Any:
        answer = client.generic(
            method, f"/api/v1{path}", json.dumps(body) if body else "", "application/json", secure=True
        )
        assert answer.status_code == expected, answer.content
        return json.loads(answer.content) if answer.content else None

    return call


@pytest.mark.parametrize("becomes", ["announced", "withdrawn"])
def test_what_was_down_in_an_announced_time_is_not_given_back_and_what_was_withdrawn_is(
    market: "Market", becomes: str
) -> None:
    """March has 743 hours in Paris; 99.9 % of them are promised. Ten hours are a quarter of the price."""
    from freehold.master.billing.queries import lines
    from freehold.master.monitoring import actions

    market.offer(availability=999_000)
    market.prices(market.price(10000))
    market.pay(market.customer(), 10000, "deposit")
    web = market.order()
    market.turn("2026-03-01T00:00")
    market.ready(web)
    down = market.now + 100 * HOUR
    made = actions.announce("provider", "paris", down, down + 10 * HOUR, "new switch", acting=market.rooms.owner)
    if becomes == "withdrawn":
        actions.withdraw("provider", str(made.id), acting=market.rooms.owner)
    for quarter in range(1, 743 * 4):
        at = market.now + quarter * HOUR // 4
        market.assess(web, kept=not down <= at < down + 10 * HOUR, at=at)
    (invoice,) = market.bill("2026-04-01")
    credits = [line["net"] for line in lines(invoice.id) if line["kind"] == "sla"]
    assert credits == ([-2500] if becomes == "withdrawn" else [])

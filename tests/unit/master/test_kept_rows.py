"""Rows have an end, loads have a bound, and no search is cut before it is over."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from support.machines import REPOSITORY

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms


@pytest.fixture
def shop(market: "Market") -> "Market":
    from freehold.master.sales.rating import Model

    market.offer()
    market.prices(
        market.price(3100), market.price(100, "usage", meter="cpu_ms", model=Model.UNIT, unit=3_600_000)
    )  # fmt: skip
    return market


def test_each_table_says_how_long_it_keeps_its_rows(database: str) -> None:
    from django.apps import apps

    page = (REPOSITORY / "docs" / "operators.md").read_text()
    table = page.partition("## What is kept how long")[2].partition("\n### ")[0]
    named = re.findall(r"`([a-z]+_[a-z_]+)`", table)
    there = [model._meta.db_table for model in apps.get_models(include_auto_created=True)]
    assert sorted(named) == sorted(there)


def test_what_is_over_for_long_is_forgotten_and_what_still_counts_is_not(shop: "Market") -> None:
    """Two and a half years pass; of everything that has an end, only what is still good for something is left."""
    from django.utils import timezone

    from freehold.master.fleet.models import Certificate, EnrolToken, RefusedItem
    from freehold.master.foundation import clock
    from freehold.master.generation.models import Forgery
    from freehold.master.monitoring.models import Maintenance
    from freehold.master.people.models import ApiToken, Person, Session
    from freehold.master.tasks import lanes

    person = Person.objects.get(email="owner@example.org")
    begun = shop.now
    for days, name in ((-40, "old"), (900, "new")):
        at = begun + days * clock.DAY
        ApiToken.objects.create(
            id=f"t-{name}", person=person, digest=name, scopes="read", title="", expires_at=at,
            created_at=begun - 99 * clock.DAY,
        )  # fmt: skip
        EnrolToken.objects.create(
            id=f"e-{name}", digest=name, project_id=shop.rooms.provider, site=shop.node.site, created_by=person,
            expires_at=at,
        )  # fmt: skip
    for number, ended in ((1, 30), (2, 60), (3, 90)):
        Certificate.objects.create(
            fingerprint=str(number), kind="node", subject=shop.node.id,
            issued_at=begun + (ended - 30) * clock.DAY, not_after=begun + ended * clock.DAY,
        )  # fmt: skip
    RefusedItem.objects.create(node=shop.node, sequence=1, reason="", item="{}", received_at=begun)
    Forgery.objects.create(node=shop.node.id, day=0, reason="", at=begun)
    Maintenance.objects.create(site=shop.node.site, begins_at=begun, ends_at=begun + 1, what="", announced_at=begun)
    for name, hours in (("over", -1), ("open", 1)):
        Session.objects.create(
            session_key=name, expire_date=timezone.now() + timedelta(hours=hours), began_at=0, seen_at=0
        )

    shop.turn("2028-09-01")
    lanes.run_once(bulk=True)
    assert list(ApiToken.objects.values_list("id", flat=True)) == ["t-new"]
    assert list(EnrolToken.objects.values_list("digest", flat=True)) == ["new"]
    assert list(Certificate.objects.filter(subject=shop.node.id).values_list("fingerprint", flat=True)) == ["3"], (
        "the last one may be renewed, however long it is over"
    )
    assert not RefusedItem.objects.exists()
    assert not Forgery.objects.exists()
    assert not Maintenance.objects.exists()
    assert list(Session.objects.values_list("session_key", flat=True)) == ["open"]


def test_the_audit_log_is_kept_for_ten_years(shop: "Market", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.foundation import reconcile
    from freehold.master.foundation.models import AuditRow

    monkeypatch.setattr(reconcile, "BATCH", 2)
    AuditRow.objects.update(at=shop.now)
    before = AuditRow.objects.count()
    assert before > 4
    shop.turn("2036-02-01")
    reconcile.clean_up()
    assert AuditRow.objects.count() == before
    shop.offer("late")
    shop.turn("2036-04-01")
    reconcile.clean_up()
    assert [row.verb for row in AuditRow.objects.all()] == ["offer.add"]


def test_hours_of_use_go_after_two_years_and_nothing_is_given_back_for_them(shop: "Market") -> None:
    """A node is back after three years: what it used then is billed no more, nor given back what was billed."""
    from freehold.master.billing.models import Consumption, Document
    from freehold.master.tasks import lanes
    from freehold.master.usage.models import Hour
    from support.metering import HOUR, use

    shop.pay(shop.customer(), 3100, "deposit")
    web = shop.order()
    shop.ready(web)
    use(web, "2026-03-01", 5 * HOUR, "cpu_ms")
    shop.bill("2026-04-01")
    shop.end("web")
    shop.bill("2026-05-01")
    shop.turn("2028-03-15")
    lanes.run_once(bulk=True)
    assert Hour.objects.count() == 1, "two years later"
    shop.turn("2029-03-15")
    lanes.run_once(bulk=True)
    assert not Hour.objects.exists()
    documents = Document.objects.count()
    use(web, "2026-03-01", 1 * HOUR, "cpu_ms")
    shop.turn("2029-05-01")
    lanes.run_once(bulk=True)
    assert [(row.rated, row.billed) for row in Consumption.objects.all()] == [(500, 500)]
    assert Document.objects.count() == documents


def test_services_that_never_are_ready_do_not_stand_before_those_that_are(
    shop: "Market", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.billing.models import Subscription
    from freehold.master.billing.subscriptions import actions as subscriptions

    monkeypatch.setattr(subscriptions, "PENDING", 2)
    shop.pay(shop.customer(), 31_000, "deposit")
    broken = [shop.order(f"broken-{number}") for number in range(3)]
    for instance in broken:
        shop.assess(instance, kept=False)
        shop.rooms.node_says(instance, "started", promises='["port"]')
    web = shop.order()
    shop.ready(web)
    active = Subscription.objects.filter(state="active").values_list("instance", flat=True)
    assert list(active) == [web]


def test_a_host_where_a_guest_is_to_be_is_found_behind_any_number_of_others(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.ordering import sharing
    from freehold.master.ordering.models import HostOffer, Instance
    from support.trees import packed

    monkeypatch.setattr(sharing, "MOST_HOSTS", 1)
    shared = {"shared": True, "software-type": "default"}
    nodes = [rooms.node("large", site="here"), rooms.node("small", site="there", region="moon")]
    rooms.supply(rooms.publish(packed("store", default={}, shelf=shared)), *nodes)
    rooms.partial = True
    for title, node in (("many", "large"), ("few", "small")):
        rooms.request(title, "store", constraints={"node": node})
    few = Instance.objects.get(title="few")
    HostOffer.objects.filter(host=few).update(free=3)
    for number, constraints in enumerate(({"site": "there"}, {"region": "moon"}, {"node": "small"})):
        rooms.request(f"guest-{number}", "store", type="shelf", constraints=constraints)
    assert set(Instance.objects.filter(title__startswith="guest").values_list("host", flat=True)) == {few.id}


def test_what_children_published_while_nobody_looked_is_passed_on_a_part_at_a_time(
    rooms: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Master that starts knows of no publication that it passed on: it does not take all of them into memory."""
    from freehold.master.monitoring import queries
    from freehold.master.ordering import trees

    monkeypatch.setattr(trees, "_MOST_NEWS", 2)
    seen: list[int] = []
    whole = trees.run

    def counted(query: Any, **values: Any) -> Any:
        rows = whole(query, **values)
        if query.name == "news":
            seen.append(len(rows))
        return rows

    monkeypatch.setattr(trees, "run", counted)
    given = _publish_from_children(rooms, 5)
    trees.PublicationForwarder(queries.ready_among)()
    assert max(seen) == 2
    assert given() == {f"part-{number}": {"url": f"u{number}"} for number in range(5)}


def _publish_from_children(rooms: "Rooms", count: int) -> Any:
    """Have parts of a service publish, and the service not know of it; return how to see what it knows."""
    import json

    from freehold.master.foundation import clock
    from freehold.master.ordering.models import Instance, PublicationRow
    from support.trees import ask, packed

    spec = {"product": "leaf", "type": "default"}
    rooms.supply(rooms.publish(packed("leaf", default={"requests": []})), rooms.node("rack", partitions=count + 2))
    rooms.supply(
        rooms.publish(packed("site", default={"requests": [{**spec, "number": count}]})),
        *_nodes(),
    )
    root = rooms.request("site", "site").instance
    ask(root, **{f"part-{number}": spec for number in range(count)})
    for number in range(count):
        part = Instance.objects.get(title=f"site/part-{number}")
        published = json.dumps({"url": f"u{number}"})
        PublicationRow.objects.create(instance=part, revision=1, published=published, at=clock.now())
    return lambda: json.loads(Instance.objects.get(id=root).child_publications)


def _nodes() -> Any:
    from freehold.master.fleet.models import Node

    return Node.objects.all()

"""Long lists: whoever asks part by part gets each row once, in the same order; what is searched is never cut before."""

from typing import TYPE_CHECKING, Any

import pytest

from support.lists import DOCUMENT, LISTS, WAYS, Asker
from support.panels import Visitor
from support.running import tiny_release

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms
FOR_OPERATORS = (
    "/sites",
    "/nodes",
    "/supplies",
    "/grants",
    "/customers",
    "/members",
    "/invitations",
    "/maintenances",
    "/audit",
)


def test_every_list_of_the_api_is_asked_for_in_parts_by_a_cursor_that_its_rows_have() -> None:
    assert len(LISTS) > 15
    for path, operation in LISTS.items():
        names = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
        assert names[-2:] == ["after", "limit"], path
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        row = DOCUMENT["components"]["schemas"][schema["items"]["$ref"].rpartition("/")[2]]
        assert row["properties"][operation["x-cursor"]]["type"] == "string", path


def cost(market: "Market", site: str) -> None:
    from freehold.master.billing import public_prices

    public_prices.add_cost(
        "provider", site=site, offer="small", kind="loan", currency="EUR", amount=100, from_day=0,
        evidence="ab" * 32, acting=market.sales,
    )  # fmt: skip


@pytest.fixture
def full(market: "Market") -> Asker:
    """A Master with at least four rows in each of its lists."""
    from freehold.master.catalog import actions as catalog
    from freehold.master.fleet.models import Chain
    from freehold.master.foundation import clock
    from freehold.master.monitoring import actions as monitoring
    from freehold.master.notifications import actions as notifications
    from freehold.master.notifications.models import OutgoingMessage, Webhook
    from freehold.master.ordering import project_suspension
    from freehold.master.people import actions, identity, terms
    from freehold.master.people.models import Project, Role, SignUp
    from freehold.master.sales.actions import Model
    from freehold.master.support import actions as support

    rooms, system = market.rooms, identity.system()
    for number in range(4):
        node = rooms.node(f"node-{number}", site=f"site-{number}", partitions=9)
        Chain.objects.create(node=node, epoch=1, sequence=1, hash="00", received_at=0)
        # Of two published at the same moment the order is that of their names.
        rooms.supply(rooms.publish(tiny_release(version=f"2.{number}")), node)
        person = rooms._person(f"person{number}@example.org")
        for name in ("provider", "shop"):
            actions.give_role(person, Project.objects.get(name=name), Role.CUSTOMER, acting=system)
        market.customer(f"Customer {number % 2}", project="")
        market.seller(f"S{number}", "FR", "EUR", "Europe/Paris")
        catalog.grant_selling("provider", "tiny", f"friend-{number}", acting=rooms.owner)
    market.offer()
    market.prices(market.price(1000))
    usage = market.price(800, "usage", meter="network_out", model=Model.UNIT, unit=10**12)
    for region in ("africa", "asia", "europe"):
        market.prices(market.price(1000), usage, region=region)
    for number in range(4):
        cost(market, f"site-{number}")
        begins_at = market.now + (3 + number // 2) * clock.DAY
        monitoring.announce("provider", f"site-{number}", begins_at, begins_at + 1, "new switch", acting=rooms.owner)
    market.pay(market.customer(), 100_000, "deposit")
    for number in range(5):
        market.ready(market.order(f"web{number}", offer="small"))
        ticket = support.ask("shop", f"web{number}", f"question {number}", "?", acting=rooms.customer)
        if number % 2:
            support.answer("shop", ticket.id, "thanks", close=True, acting=rooms.customer)
        for word in ("and", "so", "on"):
            support.answer("shop", ticket.id, word, acting=rooms.customer)
    for month in ("04", "05", "06", "07"):
        market.bill(f"2026-{month}-02")
    for _ in range(4):
        Visitor(rooms.owner)
    for number in range(4):
        actions.add_project(f"far-{number}", acting=system)
        project_suspension.suspend(f"far-{number}", "abuse", acting=system)
        terms.publish("terms", f"Be kind {number} times.", acting=system)
        SignUp.objects.create(
            id=f"sign-{number}", email=f"{number}@example.net", name="", language="", password="!", terms="",
            made_at=number, confirmed_at=number,
        )  # fmt: skip
    for project in (rooms.provider, rooms.shop):
        for number in range(4):
            webhook = Webhook.objects.create(
                id=f"hook-{number}-{project}", project_id=project, maker_id=rooms.owner.person, url=f"https://h/{number}",
                scopes="read", created_at=0,
            )  # fmt: skip
            for _ in range(4):
                notifications.try_webhook(webhook, acting=rooms.owner)
    for number in range(4):
        OutgoingMessage.objects.create(
            id=f"msg-{number}", person_id=rooms.owner.person, due_at=0, made_at=number, queued_at=0
        )
    return Asker(rooms)


def test_each_list_is_the_same_whole_and_in_parts(full: Asker) -> None:
    for path, operation in LISTS.items():
        cursor = operation["x-cursor"]
        for project in ("provider", "shop") if "{project}" in path else ("",):
            way = WAYS.get(path, path).replace("{project}", project)
            if "{ticket}" in path:
                way = way.replace("{ticket}", full.get(f"/projects/{project}/tickets", limit=1)[0]["id"])
            if "{webhook}" in path:
                way = way.replace("{webhook}", full.get(f"/projects/{project}/webhooks", limit=1)[0]["id"])
            if project == "shop" and path.endswith(FOR_OPERATORS):
                continue
            whole = full.get(way, limit=1000)
            assert len({row[cursor] for row in whole}) == len(whole), way
            for limit in (1, 3):
                parts = list(full.parts(way, cursor, limit))
                assert [row for part in parts for row in part] == whole, (way, limit)
                assert all(len(part) == limit for part in parts[:-1]), way
        assert len(whole) >= 3 or project == "shop", path


@pytest.mark.parametrize("after", ["nothing", "nul\0byte", "9" * 30, "FR-2026-999999", "S0-2026-000001", "-1", "ä"])
def test_a_cursor_that_names_no_row_is_told(full: Asker, after: str) -> None:
    answer = full.get("/projects/shop/documents", 422, after=after)
    assert answer["errors"][0]["field"] == "after"
    for path in ("/releases", "/projects/provider/nodes", "/entities/FR/tax-rules", "/projects/provider/grants"):
        assert "in this list" in full.get(path, 422, after=after)["detail"], path


def test_a_row_of_another_list_is_no_cursor_of_this_one(full: Asker, market: "Market") -> None:
    (other,) = full.get("/projects/shop/tickets", limit=1)
    market.rooms.node("elsewhere", project=market.rooms.shop)
    there = full.get("/projects/provider/nodes")
    assert "elsewhere" not in {one["title"] for one in there}
    assert full.get("/projects/provider/customers", 422, after=other["id"])["title"]


@pytest.mark.parametrize(("limit", "rows"), [(0, 1), (-5, 1), (2, 2), (10**9, 5)])
def test_a_part_has_from_one_row_to_a_thousand(full: Asker, limit: int, rows: int) -> None:
    assert len(full.get("/projects/shop/tickets", limit=limit)) == rows


def test_what_is_gone_meanwhile_does_not_hide_what_follows_by_name(full: Asker) -> None:
    from freehold.master.people.models import Membership

    first, second = list(full.parts("/projects/provider/members", "email", 2))[:2]
    Membership.objects.filter(person__email=first[-1]["email"]).delete()
    assert full.get("/projects/provider/members", after=first[-1]["email"], limit=2) == second


def test_pages_of_the_panel_lead_to_every_ticket_and_document(full: Asker, market: "Market", monkeypatch: Any) -> None:
    from freehold.master.panel import queries

    monkeypatch.setattr(queries, "PAGE", 2)
    visitor = Visitor(market.rooms.owner)
    numbers = [one["number"] for one in full.get("/entities/FR/documents")]
    assert len(numbers) > 3
    for path, wanted in (
        ("/tickets", [one["title"] for one in full.get("/projects/shop/tickets")]),
        ("/books/FR", numbers),
        ("/prices", [one["region"] for one in full.get("/prices") if one["region"]]),
        ("/prices", [one["name"] for one in full.get("/prices/sites")]),
    ):
        pages = -(-len(wanted) // 2)
        read = [visitor.reads(f"{path}?page={number}") for number in range(1, pages + 1)]
        assert all(f"Page {number} of {pages}" in text for number, text in enumerate(read, 1)), path
        assert [one for text in read for one in wanted if one in text] == wanted, path
    oldest = Visitor(market.rooms.owner).reads(f"/books/FR/documents/{numbers[-1]}")
    assert numbers[-1] in oldest


def test_of_what_is_too_much_to_choose_from_one_is_named(full: Asker, market: "Market", monkeypatch: Any) -> None:
    from freehold.master.billing.models import Payment
    from freehold.master.fleet.models import Supply
    from freehold.master.panel import queries

    visitor = Visitor(market.rooms.owner)
    assert "too many to choose from" not in visitor.reads("/books/FR") + visitor.reads("/fleet/provider/supplies")
    monkeypatch.setattr(queries, "MOST_OFFERED", 1)
    assert "The name or the id: there are too many" in visitor.reads("/books/FR")
    assert "Product and version" in visitor.reads("/fleet/provider/supplies")
    spec = {"act": "pay", "amount": "7.31", "purpose": "account", "method": "transfer", "currency": ""}

    def pay(name: str) -> int:
        return int(visitor.post("/books/FR/act", {**spec, "customer": name, "reference": name[:9]}).status_code)

    alone = market.customer("Grace", project="")
    assert (pay("Grace"), pay(alone.id)) == (302, 302)
    assert Payment.objects.filter(amount=731, contract__customer=alone).count() == 2
    assert (pay("Customer 1"), pay("nobody"), pay("nul\0byte")) == (422, 404, 404)
    assert Payment.objects.filter(amount=731).count() == 2, "several have that name"
    count = Supply.objects.filter(release__version="2.1", wanted="available").count()
    for name, status in (("tiny 2.1", 302), ("tiny 9.9", 404), ("", 404), ("nul\0byte", 404)):
        answer = visitor.post("/fleet/provider/supplies", {"release": name, "where": "all", "wanted": "available"})
        assert answer.status_code == status, name
    assert Supply.objects.filter(release__version="2.1", wanted="available").count() > count


def test_a_service_behind_any_number_that_are_never_ready_begins(market: "Market", monkeypatch: Any) -> None:
    from freehold.master.billing.models import Subscription
    from freehold.master.billing.subscriptions import actions as subscriptions

    monkeypatch.setattr(subscriptions, "PENDING", 2)
    market.offer()
    market.prices(market.price(1000))
    market.pay(market.customer(), 100_000, "deposit")
    for number in range(5):
        market.rooms.node_says(market.order(f"never{number}", offer="small"), "started", promises='["port"]')
    market.ready(market.order("well", offer="small"))
    states = list(Subscription.objects.order_by("id").values_list("state", flat=True))
    assert states == ["pending"] * 5 + ["active"]


def test_the_parts_of_a_service_are_found_however_many_instances_its_tree_has(rooms: "Rooms", monkeypatch: Any) -> None:
    from freehold.master.ordering import queries
    from freehold.master.ordering.models import Instance

    rooms.supply(rooms.publish(tiny_release()), rooms.node("one", partitions=20))
    root = rooms.request("a").instance
    for title in ("a/a", "a/b", "a/c", "a/c/one", "a/c/two", "a/c/three", "a/cx", "a/cx/one"):
        made = rooms.request(title.replace("/", "-")).instance
        Instance.objects.filter(id=made).update(title=title, tree=root, parent=root)
    monkeypatch.setattr(queries, "MOST_BELOW", 2)
    asker = Asker(rooms)
    shown = asker.get("/projects/shop/instances/a/c")
    assert [one["title"] for one in shown["children"]] == ["a/c/one", "a/c/three"]
    assert shown["children_left_out"] == 1
    below = [row["title"] for part in asker.parts("/projects/shop/instances", "id", 2, below="a/c") for row in part]
    assert sorted(below) == ["a/c/one", "a/c/three", "a/c/two"]

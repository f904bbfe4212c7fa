"""Two of everything that has a name: nothing that one project does changes what the other gets, pays or is refused."""

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from freehold.master.foundation.errors import (
    Conflict,
    Forbidden,
    Invalid,
    MasterError,
    NoPlace,
    NotFound,
    PaymentRequired,
)
from support.rooms import Rooms
from support.running import tiny_release
from support.trees import packed

if TYPE_CHECKING:
    from freehold.master.people.identity import Caller

PRICES = {"ours": 1100, "theirs": 700}
NAMES = ("0", "00", "large", "small", "zz")


class Side:
    """A project that sells a product of its own, and the project of its customer, with people who are no staff."""

    def __init__(self, rooms: Rooms, name: str) -> None:
        from freehold.master.people import actions, identity
        from freehold.master.people.models import Role

        system = identity.system()
        self.rooms, self.name, self.shop = rooms, name, f"{name}-shop"
        self.product, self.code = f"{name}-goods", name.upper()
        self.owner, self.customer = (rooms._person(f"{who}@{name}.example") for who in ("owner", "customer"))
        self.project = actions.add_project(name, acting=system)
        actions.give_role(self.owner, self.project, Role.OWNER, acting=system)
        shop = actions.add_project(self.shop, acting=system)
        actions.give_role(self.customer, shop, Role.CUSTOMER, acting=system)

    @property
    def seller(self) -> "Caller":
        from freehold.master.people import identity

        return identity.by_person(self.owner.id)

    @property
    def buyer(self) -> "Caller":
        from freehold.master.people import identity

        return identity.by_person(self.customer.id)

    def begin(self, node: str = "rack", site: str = "here") -> None:
        """Have a node on a site, run the product there, and be a legal entity."""
        from freehold.master.accounting import actions as accounting
        from freehold.master.billing import tax_rules
        from freehold.master.catalog import actions as catalog
        from freehold.master.fleet import actions as fleet
        from freehold.master.fleet.models import Node, Site
        from freehold.master.fleet.revisions import next_revision
        from freehold.master.foundation import clock, ids
        from freehold.master.foundation.transactions import writing

        place: Site = fleet.add_site(self.name, site, acting=self.seller)
        with writing():
            self.node = Node.objects.create(
                id=ids.new("node"), project=self.project, site=place, title=node, revision=next_revision(),
                created_at=clock.now(),
            )  # fmt: skip
        self.rooms.tell(self.node, partitions=6)
        self.release = catalog.publish(tiny_release(self.product), self.name, acting=self.seller)
        fleet.supply(self.release, [self.node.id], self.name, acting=self.seller)
        spec = accounting.Seller(self.code, self.name, "a street", "FR", "EUR", "Europe/Paris")
        tax_rules.begin(accounting.add_entity(spec, self.name, acting=self.seller))

    def sell(self, name: str, product: str = "", currency: str = "EUR") -> None:
        """Offer something at a price."""
        from freehold.master.sales import actions as sales

        sales.add_offer(sales.Proposal(name, product or self.product, {"en": name}), self.name, acting=self.seller)
        prices = [sales.Asked(name, "recurring", PRICES[self.name])]
        spec = sales.Listing(self.code, name, currency, False, 0, prices, region="")
        sales.publish_list(spec, self.name, acting=self.seller)

    def be_paid(self, project: str) -> None:
        """Have a customer, with money, pay for a project."""
        from freehold.master.accounting.models import LegalEntity
        from freehold.master.billing.customers import actions as customers

        ada = customers.add_customer(
            customers.CustomerIdentity("Ada", "person", "a", "FR", "EUR"), self.name, acting=self.seller
        )
        customers.set_payer(self.name, project, ada, acting=self.seller)
        contract = customers.contract_of(ada, LegalEntity.objects.get(code=self.code), "EUR")
        customers.record_payment(
            contract, amount=10**6, purpose="deposit", method="t", reference=self.name, acting=self.seller
        )

    def give_away(self, project: str) -> None:
        from freehold.master.billing.customers import actions as customers

        customers.set_payer(self.name, project, None, acting=self.seller)

    def retire(self, name: str) -> None:
        from freehold.master.sales import actions as sales

        sales.retire_offer(self.name, name, acting=self.seller)

    def supply_others(self, other: "Side") -> None:
        from freehold.master.fleet import actions

        actions.supply(other.release, [self.node.id], self.name, acting=self.seller)

    def build_for_all(self) -> None:
        from freehold.master.fleet import actions

        actions.change_node(self.node.id, self.name, builder=True, acting=self.seller)

    def order(self, title: str, **spec: Any) -> tuple[object, ...]:
        """Order as the customer; return what it got: whose node, at which price of whom; or why it got nothing."""
        from freehold.master.billing.models import Subscription, SubscriptionPrice
        from freehold.master.fleet.models import Node
        from freehold.master.ordering import actions
        from freehold.master.sales.models import Offer

        try:
            made = actions.request(actions.Request(self.shop, title, **spec), acting=self.buyer)
        except MasterError as error:
            return (type(error).__name__, error.detail)
        node = Node.objects.select_related("project").get(id=made.node).project.name
        paid = Subscription.objects.filter(instance=made.instance).first()
        if paid is None:
            return (node, "free")
        offer = Offer.objects.select_related("project").get(id=paid.offer)
        return (node, offer.project.name, offer.name, SubscriptionPrice.objects.get(subscription=paid.id).amount)


def _sides(rooms: Rooms, first: str) -> tuple[Side, Side]:
    """Return our side and theirs, of which one came first."""
    made = {name: Side(rooms, name) for name in (("ours", "theirs") if first == "ours" else ("theirs", "ours"))}
    for side in made.values():
        side.begin()
    return made["ours"], made["theirs"]


ACTS: dict[str, Callable[[Side, Side, str], None]] = {
    "sell their own under a name": lambda ours, theirs, name: theirs.sell(name),
    "sell ours under a name": lambda ours, theirs, name: theirs.sell(name, ours.product),
    "retire a name": lambda ours, theirs, name: theirs.retire(name),
    "give all away to our customer": lambda ours, theirs, name: theirs.give_away(ours.shop),
    "give all away to themselves": lambda ours, theirs, name: theirs.give_away(theirs.shop),
    "give all away to us": lambda ours, theirs, name: theirs.give_away(ours.name),
    "have somebody pay for our customer": lambda ours, theirs, name: theirs.be_paid(ours.shop),
    "run ours on their node": lambda ours, theirs, name: theirs.supply_others(ours),
    "build for everybody": lambda ours, theirs, name: theirs.build_for_all(),
}


def _seen(ours: Side, name: str) -> dict[str, object]:
    """Return what our customer gets for each way to order, and what they see of it."""
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.people.models import Project

    seen: dict[str, object] = {
        "product": ours.order("a", product=ours.product),
        "product and offer": ours.order("b", product=ours.product, offer=name),
        "seller and offer": ours.order("c", offer=f"{ours.code}/{name}"),
        "node": ours.order("d", product=ours.product, offer=name, constraints={"node": "rack"}),
        "site": ours.order("e", product=ours.product, offer=name, constraints={"site": "here"}),
        "no such offer": ours.order("f", product=ours.product, offer="nothing"),
    }
    shop = Project.objects.get(name=ours.shop).id
    seen["costs"] = [(one.title, one.offer, one.month) for one in budgets.to_date(shop).services]
    return seen


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=some.sampled_from(["ours", "theirs"]),
    name=some.sampled_from(NAMES),
    is_paid=some.booleans(),
    before=some.lists(some.tuples(some.sampled_from(sorted(ACTS)), some.sampled_from(NAMES)), max_size=4),
    after=some.lists(some.tuples(some.sampled_from(sorted(ACTS)), some.sampled_from(NAMES)), max_size=4),
)
def test_nothing_that_one_project_does_changes_what_the_other_gets(
    database: str,
    first: str,
    name: str,
    is_paid: bool,
    before: list[tuple[str, str]],
    after: list[tuple[str, str]],
) -> None:
    from conftest import empty_tables

    def world(before: list[tuple[str, str]], after: list[tuple[str, str]]) -> dict[str, object]:
        empty_tables()
        ours, theirs = _sides(Rooms(database), first)
        for acts, then in ((before, True), (after, False)):
            for act, chosen in acts:
                try:
                    ACTS[act](ours, theirs, chosen)
                except MasterError:
                    pass
            if then:
                ours.sell(name)
                if is_paid:
                    ours.be_paid(ours.shop)
        return _seen(ours, name)

    assert world(before, after) == world([], [])


@pytest.fixture
def sides(rooms: Rooms) -> tuple[Side, Side]:
    return _sides(rooms, "ours")


@pytest.mark.parametrize("name", ["0", "small", "zz"])
def test_what_is_free_says_the_seller_of_the_offer(sides: tuple[Side, Side], name: str) -> None:
    ours, theirs = sides
    ours.sell("small")
    theirs.sell(name)
    theirs.give_away(ours.shop)
    assert ours.order("web", product=ours.product)[0] == "PaymentRequired"
    assert ours.order("web", product=theirs.product) == ("theirs", "free")
    ours.be_paid(ours.shop)
    assert ours.order("ours", product=ours.product) == ("ours", "ours", "small", 1100)


def test_a_product_is_offered_only_by_its_owner_or_by_a_grant(sides: tuple[Side, Side]) -> None:
    from freehold.master.catalog import actions

    ours, theirs = sides
    with pytest.raises(Invalid) as refused:
        theirs.sell("small", ours.product)
    with pytest.raises(Invalid) as missing:
        theirs.sell("small", "no-such-product")
    assert [one.field for one in refused.value.errors] == [one.field for one in missing.value.errors] == ["product"]
    assert refused.value.detail == missing.value.detail
    with pytest.raises(Forbidden, match="may not offer to everyone"):
        theirs.supply_others(ours)
    actions.grant_selling("ours", ours.product, "theirs", acting=ours.seller)
    theirs.sell("small", ours.product)
    theirs.supply_others(ours)
    theirs.be_paid(ours.shop)
    assert ours.order("theirs", offer="THEIRS/small")[1:] == ("theirs", "small", 700)
    ours.sell("small")
    ours.be_paid(ours.shop)
    assert ours.order("ours", product=ours.product)[1:] == ("ours", "small", 1100), "the owner decides for its product"
    actions.end_selling("ours", ours.product, "theirs", acting=ours.seller)
    assert ours.order("late", offer="THEIRS/small")[0] == "NotFound"
    assert ours.order("there", product=ours.product, constraints={"node": theirs.node.id})[0] == "NoPlace"


def test_a_host_serves_strangers_only_for_who_may_offer_its_product(sides: tuple[Side, Side]) -> None:
    """Data of our customers are on our hosts, however many free places somebody else has."""
    from freehold.master.catalog import actions as catalog
    from freehold.master.fleet import actions as fleet
    from freehold.master.ordering import actions
    from freehold.master.ordering.models import Instance

    ours, theirs = sides
    types = {"default": {"requests": []}, "shelf": {"shared": True, "software-type": "default", "requests": []}}
    store = catalog.publish(packed("store", **types), "ours", acting=ours.seller)
    fleet.supply(store, [ours.node.id], "ours", acting=ours.seller)
    fleet.supply(store, [theirs.node.id], "theirs", everyone=False, acting=theirs.seller)
    everyone = actions.OfferedTo.EVERYONE

    def serve(side: Side) -> str:
        spec = actions.Request(side.name, "store", product="store", offered_to=everyone)
        return actions.request(spec, acting=side.seller).instance

    def host_of(title: str) -> str | None:
        spec = actions.Request(ours.shop, title, product="store", type="shelf")
        return Instance.objects.get(id=actions.request(spec, acting=ours.buyer).instance).host

    with pytest.raises(Forbidden, match="may not offer to everyone"):
        serve(theirs)
    with pytest.raises(NoPlace):
        host_of("first")
    catalog.grant_selling("ours", "store", "theirs", acting=ours.seller)
    granted = serve(theirs)
    assert host_of("first") == granted
    catalog.end_selling("ours", "store", "theirs", acting=ours.seller)
    with pytest.raises(NoPlace):
        host_of("second")
    assert host_of("first") == granted, "what is there stays"
    assert serve(ours) == host_of("second")


def test_a_grant_says_nothing_of_who_is_there(sides: tuple[Side, Side]) -> None:
    from freehold.master.catalog import actions, queries
    from freehold.master.foundation.paging import ListPart

    ours, _ = sides
    for name in ("theirs", "no-such-project"):
        actions.grant_selling("ours", ours.product, name, acting=ours.seller)
    assert [one["project"] for one in queries.grants(ours.project.id, ListPart())] == ["no-such-project", "theirs"]
    for name in ("theirs", "no-such-project"):
        actions.end_selling("ours", ours.product, name, acting=ours.seller)
    assert queries.grants(ours.project.id, ListPart()) == []


def test_only_the_owner_of_a_product_grants_it(sides: tuple[Side, Side]) -> None:
    from freehold.master.catalog import actions

    ours, theirs = sides
    for product in (ours.product, "no-such-product"):
        with pytest.raises(NotFound, match=f"There is no product '{product}' of 'theirs'"):
            actions.grant_selling("theirs", product, "theirs", acting=theirs.seller)
    with pytest.raises(Forbidden):
        actions.grant_selling("ours", ours.product, "theirs", acting=theirs.seller)


def test_a_seller_retires_only_its_own_offer_of_a_name(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    ours.sell("small")
    with pytest.raises(NotFound, match="There is no offer 'small' of 'theirs'"):
        theirs.retire("small")
    theirs.sell("small")
    theirs.retire("small")
    ours.be_paid(ours.shop)
    assert ours.order("web", offer="small") == ("ours", "ours", "small", 1100), "a bare name means who had it first"
    with pytest.raises(Conflict):
        ours.sell("small")


def test_names_in_bodies_say_nothing_of_the_projects_of_others(sides: tuple[Side, Side]) -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions

    ours, theirs = sides
    ours.sell("small")
    ours.be_paid(ours.shop)
    ours.order("web", product=ours.product)
    for project in (ours.shop, "no-such-project"):
        theirs.give_away(project)
        said = []
        for title in ("web", "no-such-service"):
            with pytest.raises(NotFound) as refused:
                subscriptions.find_service(theirs.project.id, project, title)
            said.append(refused.value.detail.replace(title, "*").replace(project, "*"))
        assert said == ["'*' of '*' is no service that you are paid for."] * 2
    assert subscriptions.find_service(ours.project.id, ours.shop, "web")


def test_a_name_of_a_node_or_site_means_ones_own_then_the_sellers(sides: tuple[Side, Side]) -> None:
    from freehold.master.catalog import actions

    ours, theirs = sides
    actions.grant_selling("ours", ours.product, "theirs", acting=ours.seller)
    theirs.supply_others(ours)
    for title, constraints in (("node", {"node": "rack"}), ("site", {"site": "here"})):
        assert ours.order(title, product=ours.product, constraints=constraints) == ("ours", "free")
    assert ours.order("far", product=ours.product, constraints={"node": theirs.node.id}) == ("theirs", "free")


def test_the_public_page_keeps_sites_and_offers_of_one_name_apart(sides: tuple[Side, Side]) -> None:
    from freehold.master.billing import public_prices
    from freehold.master.foundation.paging import ListPart

    for side, amount in zip(sides, (300, 100), strict=True):
        side.sell("small")
        public_prices.add_cost(
            side.name, site="here", offer="small", kind="electricity", currency="EUR", amount=amount, from_day=0,
            evidence="0" * 64, acting=side.seller,
        )  # fmt: skip
    shown, places = public_prices.prices(ListPart()), public_prices.sites(ListPart())
    assert sorted((one["name"], one["seller"]) for one in shown) == [("small", "OURS"), ("small", "THEIRS")]
    assert "project" not in str((shown, places))
    tables = [table for site in places for table in site["tables"]]
    assert sorted((table["total"], table["margin"]) for table in tables) == [(100, 600), (300, 800)]


# What instances request


def _whole(side: Side, product: str, *requests: dict[str, Any], schema: Any = None) -> None:
    """Publish and run a product whose instances request others."""
    from freehold.master.catalog import actions as catalog
    from freehold.master.fleet import actions as fleet

    release = catalog.publish(packed(product, default={"requests": list(requests)}), side.name, acting=side.seller)
    fleet.supply(release, [side.node.id], side.name, acting=side.seller)


def _ask(root: str, **specs: dict[str, Any]) -> dict[str, str]:
    """Request as an instance; return the kind of each answer."""
    from freehold.master.ordering import actions, children
    from freehold.master.people import identity

    who = identity.by_certificate(identity.ActorKind.INSTANCE, root)
    requests = {title: actions.Request("", title, **spec) for title, spec in specs.items()}
    answers = children.request_children(requests, acting=who)
    return {title: getattr(answer, "type", "granted") for title, answer in answers.items()}


def _root(side: Side, product: str, title: str = "whole", **spec: Any) -> str:
    from freehold.master.ordering import actions

    made = actions.request(actions.Request(side.shop, title, product=product, **spec), acting=side.buyer)
    return made.instance


def test_an_instance_gets_what_its_release_declares_and_nothing_else(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    _whole(ours, "whole", {"product": ours.product, "number": 2})
    root = _root(ours, "whole")
    part = {"product": ours.product}
    assert _ask(root, a=part, b=part, c=part, d={"product": theirs.product}) == {
        "a": "granted", "b": "granted", "c": "undeclared-request", "d": "undeclared-request",
    }  # fmt: skip
    assert _ask(root, b=part, a=part, c=part)["c"] == "undeclared-request", "those that are there go first"
    for name, value in (("offer", "small"), ("quote", "0" * 64), ("offered_to", "everyone")):
        assert _ask(root, a={**part, name: value})["a"] == "forbidden"


def test_requests_that_change_their_titles_have_no_end_of_instances(sides: tuple[Side, Side]) -> None:
    ours, _ = sides
    _whole(ours, "whole", {"product": ours.product})
    root, part = _root(ours, "whole"), {"product": ours.product}
    assert [_ask(root, **{title: part})[title] for title in ("a", "b", "c", "a")] == [
        "granted", "granted", "undeclared-request", "granted",
    ]  # fmt: skip


def test_a_parameter_says_how_many_parts_there_may_be(
    sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch
) -> None:
    from support import trees

    schema = {"type": "object", "properties": {"copies": {"type": "integer", "default": 1}}}
    monkeypatch.setattr(trees, "ANYTHING", schema)
    ours, _ = sides
    _whole(ours, "whole", {"product": ours.product, "number": "copies"})
    part = {"product": ours.product}
    root = _root(ours, "whole")
    assert _ask(root, a=part, b=part) == {"a": "granted", "b": "undeclared-request"}
    _root(ours, "whole", parameters={"copies": 2})
    assert _ask(root, a=part, b=part) == {"a": "granted", "b": "granted"}
    _root(ours, "whole", parameters={"copies": 1})
    assert _ask(root, a=part, b=part) == {"a": "granted", "b": "undeclared-request"}
    from freehold.master.ordering.models import Instance

    assert Instance.objects.get(title="whole/b").wanted == "stopped", (
        "what is one too many goes, though it is requested"
    )


@pytest.mark.parametrize(
    ("requests", "mistake"),
    [
        ([{"product": "x", "number": "copies"}], "no integer"),
        ([{"product": "x", "number": 0}], "the number is 1 to"),
        ([{"product": "x"}, {"product": "x", "type": "default"}], "twice"),
        ([{"product": "No Product"}], "cannot be a product"),
        ([{"product": f"x{number}"} for number in range(51)], "50 are the most"),
    ],
)
def test_a_release_that_declares_nonsense_is_not_published(
    sides: tuple[Side, Side], requests: list[dict[str, Any]], mistake: str
) -> None:
    with pytest.raises(Invalid, match=mistake):
        _whole(sides[0], "whole", *requests)


def test_a_part_that_is_sold_is_covered_only_by_who_may_sell_it(sides: tuple[Side, Side]) -> None:
    """A free service of one project gives nothing away that another one sells."""
    from freehold.master.catalog import actions

    ours, theirs = sides
    ours.sell("small")
    _whole(ours, "whole", {"product": ours.product})
    _whole(theirs, "trick", {"product": ours.product})
    honest, part = _root(ours, "whole"), {"product": ours.product}
    assert _ask(honest, part=part) == {"part": "granted"}, "what its owner declares as part of its own, it covers"
    trick = _root(theirs, "trick", "trick")
    assert _ask(trick, part=part) == {"part": "payment-required"}
    actions.grant_selling("ours", ours.product, "theirs", acting=ours.seller)
    assert _ask(trick, part=part) == {"part": "granted"}


def test_what_is_free_for_one_project_is_not_handed_to_another(sides: tuple[Side, Side]) -> None:
    from freehold.master.ordering import handover
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Role

    ours, theirs = sides
    ours.sell("small")
    ours.give_away(theirs.shop)
    _whole(theirs, "trick", {"product": ours.product})
    assert _ask(_root(theirs, "trick"), part={"product": ours.product}) == {"part": "granted"}
    actions.give_role(theirs.customer, _project(ours.shop), Role.CUSTOMER, acting=identity.system())
    with pytest.raises(PaymentRequired, match="may not sell it"):
        handover.hand_over(theirs.shop, "whole", ours.shop, acting=theirs.buyer)
    ours.give_away(ours.shop)
    handover.hand_over(theirs.shop, "whole", ours.shop, acting=theirs.buyer)


# Quotas


def _limit(project: str, quota: str, most: int) -> None:
    from freehold.master.people import identity, quotas

    quotas.set_limit(project, quota, most, acting=identity.system())


def test_a_quota_of_instances_holds_for_every_route(sides: tuple[Side, Side]) -> None:
    from freehold.master.foundation.errors import QuotaExceeded
    from freehold.master.ordering import handover
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Project, Role

    ours, _ = sides
    _whole(ours, "whole", {"product": ours.product, "number": 4})
    _limit(ours.shop, "instances", 3)
    root, part = _root(ours, "whole"), {"product": ours.product}
    assert list(_ask(root, a=part, b=part, c=part).values()) == ["granted", "granted", "quota-exceeded"]
    said = ours.order("more", product=ours.product)
    assert said == ("QuotaExceeded", "The quota 'instances' of project 'ours-shop' is 3; 3 are there.")
    system = identity.system()
    actions.give_role(ours.customer, Project.objects.get(name="ours"), Role.CUSTOMER, acting=system)
    _limit("ours", "instances", 2)
    with pytest.raises(QuotaExceeded, match="is 2; 0 are there"):
        handover.hand_over(ours.shop, "whole", "ours", acting=ours.buyer)
    _limit(ours.shop, "instances", 4)
    assert ours.order("more", product=ours.product) == ("ours", "free")


def test_whatever_can_be_counted_has_a_quota(sides: tuple[Side, Side]) -> None:
    from freehold.master.accounting import actions as accounting
    from freehold.master.billing.customers import actions as customers
    from freehold.master.billing.subscriptions import quotes
    from freehold.master.catalog import actions as catalog
    from freehold.master.fleet import actions as fleet
    from freehold.master.foundation.errors import QuotaExceeded
    from freehold.master.notifications import actions as notifications
    from freehold.master.people import actions as people
    from freehold.master.people.identity import Scope, system
    from freehold.master.people.models import Role
    from freehold.master.support import actions as support

    ours, theirs = sides
    fresh = itertools.count()
    ours.sell("small")
    ours.be_paid(ours.shop)
    ours.order("web", product=ours.product)
    ticket = support.ask(ours.shop, "web", "x", "x", acting=ours.buyer)
    ada = customers.CustomerIdentity("Ada", "person", "a", "FR", "EUR")
    token = {"title": "x", "scopes": frozenset({Scope.READ})}
    entity = accounting.Seller("XX", "x", "x", "FR", "EUR", "Europe/Paris")
    more: dict[str, tuple[str, Callable[[], object]]] = {
        "tokens": (ours.shop, lambda: people.make_token(ours.customer, **token)),
        "members": (
            ours.shop,
            lambda: people.give_role(theirs.customer, _project(ours.shop), Role.OWNER, acting=system()),
        ),
        "tickets": (ours.shop, lambda: support.ask(ours.shop, "web", "x", "x", acting=ours.buyer)),
        "messages": (ours.shop, lambda: support.answer(ours.shop, ticket.id, "x", acting=ours.buyer)),
        "webhooks": (
            ours.shop,
            lambda: notifications.add_webhook(ours.shop, f"https://h{next(fresh)}.example/", acting=ours.buyer),
        ),
        "quotes": (ours.shop, lambda: quotes.quote(ours.shop, "small", acting=ours.buyer)),
        "sites": ("ours", lambda: fleet.add_site("ours", "there", acting=ours.seller)),
        "nodes": ("ours", lambda: _enrol(ours)),
        "enrol-tokens": ("ours", lambda: fleet.make_enrol_token("ours", "here", acting=ours.seller)),
        "supplies": ("ours", lambda: _whole(ours, "another")),
        "releases": ("ours", lambda: _whole(ours, "other")),
        "grants": ("ours", lambda: catalog.grant_selling("ours", ours.product, "theirs", acting=ours.seller)),
        "offers": ("ours", lambda: ours.sell("large", currency="USD")),
        "price-lists": ("ours", lambda: ours.sell(f"list-{next(fresh)}", currency="CHF")),
        "costs-of-sites": ("ours", lambda: _cost(ours)),
        "customers": ("ours", lambda: customers.add_customer(ada, "ours", acting=ours.seller)),
        "payers": ("ours", lambda: ours.give_away("theirs")),
        "entities": ("ours", lambda: accounting.add_entity(entity, "ours", acting=ours.seller)),
        "accounts": ("ours", lambda: accounting.add_account("OURS", "9X", "x", "asset", acting=ours.seller)),
    }
    from freehold.master.people.quotas import USUAL

    assert set(more) | {"instances", "history"} == set(USUAL)
    for quota, (project, act) in more.items():
        _limit(project, quota, 0)
        with pytest.raises(QuotaExceeded) as refused:
            act()
        assert [one.field for one in refused.value.errors] == [f"quota.{quota}"]
        _limit(project, quota, 100)
        act()


def _project(name: str) -> Any:
    from freehold.master.people.models import Project

    return Project.objects.get(name=name)


def _enrol(side: Side) -> None:
    """Have another machine become a node, as far as its quota goes."""
    from freehold.master.fleet import actions
    from freehold.master.foundation.errors import QuotaExceeded

    token = actions.make_enrol_token(side.name, "here", acting=side.seller)
    try:
        actions.enrol(token.secret, "another", "no signing request")
    except QuotaExceeded:
        raise
    except (MasterError, ValueError, FileNotFoundError):
        pass


def _cost(side: Side) -> None:
    from freehold.master.billing import public_prices

    public_prices.add_cost(
        side.name, site="here", offer="small", kind="loan", currency="EUR", amount=1, from_day=0, evidence="0" * 64,
        acting=side.seller,
    )  # fmt: skip


def test_only_staff_sets_quotas_and_the_audit_log_keeps_it(sides: tuple[Side, Side]) -> None:
    from freehold.master.foundation.models import AuditRow
    from freehold.master.people import identity, quotas

    ours, _ = sides
    with pytest.raises(Forbidden, match="Only staff"):
        quotas.set_limit("ours", "instances", 5, acting=ours.seller)
    with pytest.raises(Invalid, match="There is no quota 'wishes'"):
        quotas.set_limit("ours", "wishes", 5, acting=identity.system())
    _limit("ours", "instances", 5)
    assert AuditRow.objects.filter(verb="quota.set", project=ours.project.id).count() == 1
    assert quotas.of_project(ours.project.id)["instances"] == 5
    quotas.set_limit("ours", "instances", None, acting=identity.system())
    assert quotas.of_project(ours.project.id)["instances"] == 1000


def test_large_parameters_are_refused_and_their_history_has_a_share(sides: tuple[Side, Side]) -> None:
    import json

    from freehold.master.ordering import reconcile
    from freehold.master.ordering.models import RequestRow

    ours, _ = sides
    _whole(ours, "whole")
    instance = _root(ours, "whole", parameters={"text": "x"})
    with pytest.raises(Invalid, match="65536 are the most"):
        _root(ours, "whole", parameters={"text": "x" * 65_536})
    for number in range(40):
        _root(ours, "whole", parameters={"text": "x" * 60_000, "number": number})
    kept = RequestRow.objects.filter(instance=instance).order_by("-id")
    assert sum(len(row.parameters) for row in kept) <= 1024 * 1024
    assert json.loads(kept[0].parameters)["number"] == 39
    _limit(ours.shop, "history", 0)
    reconcile.clean_up()
    assert [json.loads(row.parameters)["number"] for row in kept.all()] == [39], "the newest stays"


def test_what_is_found_nowhere_and_what_is_anothers_are_refused_alike(sides: tuple[Side, Side]) -> None:
    ours, theirs = sides
    theirs.sell("small")
    for spec in ({"product": ours.product, "offer": "small"}, {"offer": "OURS/small"}):
        assert ours.order("web", **spec)[0] == NotFound.__name__
    assert ours.order("web", product=ours.product, constraints={"instance": "x"})[0] != NoPlace.__name__
    assert ours.order("late", product=theirs.product, offer="small")[0] == PaymentRequired.__name__

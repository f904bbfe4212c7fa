"""Tickets: what people ask each other, and what the Master noticed and a person has to look at."""

from typing import TYPE_CHECKING

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from freehold.master.foundation.paging import ListPart
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.fleet.models import Node
    from freehold.master.support.models import Ticket
    from support.market import Market
    from support.rooms import Rooms


@pytest.fixture
def shop(rooms: "Rooms") -> "Rooms":
    """The customer of `shop` has a service, `web`, on a node of `provider`."""
    rooms.supply(rooms.publish(tiny_release()), rooms.node("rack"))
    rooms.request("web")
    return rooms


def test_a_customer_asks_and_who_runs_the_node_answers(shop: "Rooms") -> None:
    from freehold.master.support import actions, queries

    asked = actions.ask("shop", "web", "It is slow", "Since this morning.", acting=shop.customer)
    assert [one.id for one in queries.of_project("provider", shop.owner, ListPart())] == [asked.id]
    actions.answer("provider", asked.id, "A disk is dying; we move it.", acting=shop.owner)
    actions.answer("shop", asked.id, "Thank you", close=True, acting=shop.customer)
    found = queries.find("provider", asked.id, shop.owner)
    assert found.closed_at is not None
    assert [(one.author, one.text) for one in queries.messages(found, ListPart())] == [
        ("customer@shop.example", "Since this morning."),
        ("owner@example.org", "A disk is dying; we move it."),
        ("customer@shop.example", "Thank you"),
    ]
    actions.answer("provider", asked.id, "Not yet!", acting=shop.owner)
    assert queries.find("shop", asked.id, shop.customer).closed_at is None, "an answer opens it again"


def test_nobody_else_sees_it(shop: "Rooms") -> None:
    from freehold.master.people import actions as people
    from freehold.master.people import identity
    from freehold.master.people.models import Project, Role
    from freehold.master.support import actions, queries

    asked = actions.ask("shop", "web", "It is slow", "Why?", acting=shop.customer)
    other = shop._person("other@example.org")
    people.give_role(other, people.add_project("other", acting=identity.system()), Role.OWNER, acting=identity.system())
    guest = shop._person("guest@example.org")
    people.give_role(guest, Project.objects.get(name="provider"), Role.CUSTOMER, acting=identity.system())
    for person, project in ((other, "other"), (guest, "provider")):
        caller = identity.by_person(person.id)
        assert queries.of_project(project, caller, ListPart()) == []
        with pytest.raises(NotFound, match="no ticket"):
            actions.answer(project, asked.id, "Let me see", acting=caller)
    with pytest.raises(Forbidden):
        queries.of_project("shop", identity.by_person(other.id), ListPart())


def test_what_says_nothing_is_no_question(shop: "Rooms") -> None:
    from freehold.master.support import actions
    from freehold.master.support.models import Message, Ticket

    with pytest.raises(Invalid) as refused:
        actions.ask("shop", "web", "a\nb", "  ", acting=shop.customer)
    assert [one.field for one in refused.value.errors] == ["text", "title"]
    with pytest.raises(NotFound):
        actions.ask("shop", "lost", "It is lost", "Where is it?", acting=shop.customer)
    assert (Ticket.objects.count(), Message.objects.count()) == (0, 0)


def test_what_cannot_be_true_is_told_once_an_hour_and_nothing_of_it_is_lost(
    shop: "Rooms", monkeypatch: pytest.MonkeyPatch
) -> None:
    """I10: what is set aside is told to whoever runs the node."""
    from freehold.master.foundation import clock
    from freehold.master.support import actions, reconcile

    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    nodes = [shop.node("liar"), shop.node("honest"), shop.node("forger")]
    look = reconcile.Quarantine()
    look()
    assert _tickets(shop) == []
    _refuse(nodes[0], "A counter went back.")
    look()
    _refuse(nodes[0], "It is of next year.")
    _refuse(nodes[2], "It was told before, with another content.")
    look()
    assert [one.title for one in _tickets(shop)] == [
        "Node 'forger' tells what cannot be true",
        "Node 'liar' tells what cannot be true",
    ]
    assert _said(shop, "liar") == ["A counter went back."]
    now += reconcile.TOLD_AGAIN + 1
    look()
    look()
    assert _said(shop, "liar") == ["A counter went back.", "It is of next year."]
    (liar,) = [one for one in _tickets(shop) if "liar" in one.title]
    actions.answer("provider", liar.id, "", close=True, acting=shop.owner)
    reconcile.Quarantine()()
    assert len(_tickets(shop)) == 2, "what was told is not told again, also by a Master that was started anew"
    _refuse(nodes[0], "Again.")
    look()
    assert len(_tickets(shop)) == 3, "what comes after that is another matter"
    with pytest.raises(Conflict, match="newer ticket"):
        actions.answer("provider", liar.id, "And another thing", acting=shop.owner)


def test_a_contract_that_cannot_be_billed_is_told_to_accountants_until_it_can(market: "Market") -> None:
    """And it keeps no other seller from issuing what is due."""
    from freehold.master.billing import reconcile as billing
    from freehold.master.billing.invoicing import run
    from freehold.master.billing.models import Document, TaxRule
    from freehold.master.foundation import days
    from freehold.master.support import reconcile

    market.offer()
    market.prices(market.price(4200))
    second = market.seller("ZZ", "DE", "EUR", "Europe/Berlin")
    buyer = market.customer()
    market.pay(buyer, 4200, "deposit")
    market.ready(market.order())
    rules = list(TaxRule.objects.filter(country="FR"))
    TaxRule.objects.filter(country="FR").update(until_day=days.parse("2026-03-20"))
    _agree(market, buyer, second)
    market.turn("2026-04-02")
    billing.issue_due()
    reconcile.watch_money()
    reconcile.watch_money()
    assert [one.entity for one in Document.objects.all()] == [second.id]
    (ticket,) = _tickets(market.rooms)
    assert (ticket.title, ticket.scope) == ("FR cannot bill Ada", "account")
    (said,) = _messages(ticket)
    assert "no tax rule for: domestic services" in said
    TaxRule.objects.filter(id__in=[one.id for one in rules]).update(until_day=days.NEVER)
    run.bill("FR", days.parse("2026-04-02"), acting=market.accountant)
    reconcile.watch_money()
    (ticket,) = _tickets(market.rooms)
    assert ticket.closed_at is not None
    assert Document.objects.count() == 2


def test_a_project_is_told_when_its_budget_is_nearly_spent_and_when_it_is(market: "Market") -> None:
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.foundation.paging import ListPart
    from freehold.master.support import queries, reconcile

    market.offer()
    market.prices(market.price(3100))
    market.pay(market.customer(), 3100, "deposit")
    market.ready(market.order())
    budgets.set_budget("shop", 2500, "EUR", acting=market.rooms.customer)
    told = []
    for day in ("2026-03-10", "2026-03-21", "2026-03-22", "2026-03-26", "2026-03-30"):
        market.turn(day)
        reconcile.watch_money()
        told.append(len(queries.of_project("shop", market.rooms.customer, ListPart())))
    assert told == [0, 1, 1, 2, 2]
    assert queries.of_project("shop", market.rooms.customer, ListPart())[0].title == "100 % of the budget is spent"


def _agree(market: "Market", buyer: object, entity: object) -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions

    contract = market.contract(buyer, entity=entity)  # type: ignore[arg-type]
    subscriptions.agree(contract, "moving in", 100, acting=market.sales)


def _refuse(node: "Node", reason: str) -> None:
    from freehold.master.fleet.models import RefusedItem
    from freehold.master.foundation import clock

    RefusedItem.objects.create(node=node, sequence=1, reason=reason, item="{}", received_at=clock.now())


def _tickets(rooms: "Rooms") -> "list[Ticket]":
    from freehold.master.support import queries

    return queries.of_project("provider", rooms.owner, ListPart())


def _messages(ticket: "Ticket") -> list[str]:
    from freehold.master.support import queries

    return [one.text for one in queries.messages(ticket, ListPart())]


def _said(rooms: "Rooms", node: str) -> list[str]:
    """Return the reasons that the ticket of a node tells."""
    (ticket,) = [one for one in _tickets(rooms) if f"'{node}'" in one.title]
    return [text.split("\n")[1] for text in _messages(ticket)]

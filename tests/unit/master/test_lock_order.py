"""Locks are taken in one order, so that no two acts wait for each other: instances, the clock of revisions, contracts,
the counters of the books; and nodes by whoever has the clock, or nothing else.

Told from the statements of each act, on either database: what matters is which is first, of those that keep others out.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from freehold.protocol.states import Wanted

if TYPE_CHECKING:
    from support.market import Market

ORDER = ("instance", "clock", "contract", "counter")
MARKS = (
    ("instance", r"^SELECT i\.(id|\*).* FROM ordering_instance i.* WHERE i\.(id|tree|node_id|project_id) = "),
    ("instance", r"^UPDATE \"?ordering_instance\b"),
    ("clock", r"fleet_revisionclock"),
    ("node", r"^UPDATE \"?fleet_node\b|^SELECT .* FROM \"fleet_node\" .*FOR UPDATE"),
    ("contract", r"^SELECT k\.id\b.* FROM billing_contract k WHERE k\.|^UPDATE \"?billing_contract\b"),
    ("counter", r"^UPDATE \"?(foundation_counter|accounting_series)\b"),
)
ACTS: list[Callable[["Market"], None]] = []


def an_act(act: Callable[["Market"], None]) -> Callable[["Market"], None]:
    """Have locks of a function's transactions looked at."""
    ACTS.append(act)
    return act


@pytest.fixture
def shop(market: "Market") -> "Market":
    """A service that is had, overdue, and stopped because nobody paid."""
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Role

    market.offer()
    market.prices(market.price(3100))
    market.rooms.node("other", partitions=20, region="europe", site="paris")
    _supply_everywhere(market)
    LegalEntity.objects.update(stop_days=1)
    payer = market.customer()
    market.pay(payer, 31_000, "deposit")
    market.ready(market.order())
    project = actions.add_project("second", acting=identity.system())
    person = Person.objects.get(email="customer@shop.example")
    actions.give_role(person, project, Role.CUSTOMER, acting=identity.system())
    return market


def _supply_everywhere(market: "Market") -> None:
    from freehold.master.catalog.models import Release
    from freehold.master.fleet.models import Node

    market.rooms.supply(Release.objects.get(), *Node.objects.all())


@an_act
def _order(shop: "Market") -> None:
    shop.order("another")


@an_act
def _change(shop: "Market") -> None:
    shop.rooms.request("web", parameters={"size": 3})


@an_act
def _stop(shop: "Market") -> None:
    shop.rooms.request("web", None, state=Wanted.STOPPED)


@an_act
def _destroy(shop: "Market") -> None:
    shop.end("web")


@an_act
def _destroy_later(shop: "Market") -> None:
    with _grace():
        shop.end("web")


@an_act
def _have_back(shop: "Market") -> None:
    with _grace():
        shop.end("web")
        _watched(lambda: shop.rooms.request("web", None, state=Wanted.STARTED))


@an_act
def _end_what_is_due(shop: "Market") -> None:
    from freehold.master.foundation import clock
    from freehold.master.ordering import endings

    with _grace() as patched:
        shop.end("web")
        shop.turn("2026-09-01")
        patched.setattr(clock, "steadiness", Mock(look=lambda: 1000.0))
        _watched(endings.end_due)


@contextmanager
def _grace() -> Iterator[pytest.MonkeyPatch]:
    """Have what is destroyed be had back for a day."""
    from django.conf import settings

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(settings, "DESTROY_GRACE_S", 86400.0)
        yield patched


@an_act
def _hand_over(shop: "Market") -> None:
    from freehold.master.ordering import handover
    from freehold.master.people import identity
    from freehold.master.people.models import Person

    second = shop.customer("Second", project="second")
    shop.pay(second, 31_000, "deposit")
    both = identity.by_person(Person.objects.get(email="customer@shop.example").id)
    _watched(lambda: handover.hand_over("shop", "web", "second", acting=both))


@an_act
def _move(shop: "Market") -> None:
    from freehold.master.ordering import moves

    moves.move("shop", "web", abandon_data=True, dry_run=False, acting=shop.rooms.customer)


@an_act
def _drain(shop: "Market") -> None:
    from freehold.master.ordering import moves

    _watched(lambda: moves.drain("rack", "provider", dry_run=False, acting=shop.rooms.owner))


@an_act
def _lease(shop: "Market") -> None:
    from freehold.master.fleet import actions

    actions.change_node(shop.node.id, "provider", lease=600, acting=shop.rooms.owner)


@an_act
def _pay(shop: "Market") -> None:
    """Money comes for what was stopped."""
    from freehold.master.billing.models import Customer

    shop.bill("2026-04-01")
    shop.turn("2026-08-01")
    _tidy()
    payer = Customer.objects.get()
    _watched(lambda: shop.pay(payer, 90_000))


@an_act
def _take_back(shop: "Market") -> None:
    from freehold.master.billing.invoicing import documents, reversal
    from freehold.master.foundation.paging import FIRST

    shop.bill("2026-04-01")
    (row,) = documents.of_entity(shop.entity, FIRST)
    _watched(lambda: reversal.take_back("FR", row["name"], acting=shop.accountant))


@an_act
def _another_pays(shop: "Market") -> None:
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.ordering.models import Instance

    web = Instance.objects.get(title="web").id
    second = shop.customer("Second", project="")
    _watched(lambda: subscriptions.change_payer(web, second, acting=shop.sales))


@an_act
def _bury(shop: "Market") -> None:
    from freehold.master.ordering.models import Instance

    web = Instance.objects.get(title="web").id
    shop.end("web")
    _watched(lambda: shop.rooms.node_says(web, "destroyed"))


@an_act
def _bill(shop: "Market") -> None:
    _watched(lambda: shop.bill("2026-04-01"))


def _tidy() -> None:
    from freehold.master.tasks import lanes

    lanes.run_once(bulk=True)


_statements: list[list[str]] = []


def _watched(act: Callable[[], Any]) -> None:
    """Forget what came before: only this act is looked at."""
    _statements.clear()
    act()


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__.strip("_"))
def test_each_act_locks_in_the_order_of_the_house(shop: "Market", act: Callable[["Market"], None]) -> None:
    for transaction in _transactions(act, shop):
        taken = list(dict.fromkeys(kind for text in transaction for kind in _locks(text)))
        said = "\n".join(text[:150] for text in transaction if _locks(text))
        ordered = [kind for kind in taken if kind != "node"]
        assert ordered == sorted(ordered, key=ORDER.index), said
        assert "node" not in taken or "clock" in taken[: taken.index("node")] or taken == ["node"], said


def test_each_kind_of_lock_is_seen(shop: "Market") -> None:
    """A mark that fits nothing would see no lock."""

    def several(shop: "Market") -> None:
        _order(shop)
        _change(shop)
        shop.bill("2026-04-01")

    seen = {kind for transaction in _transactions(several, shop) for text in transaction for kind in _locks(text)}
    assert seen == {*ORDER, "node"}


def _locks(text: str) -> list[str]:
    return [kind for kind, mark in MARKS if re.search(mark, text)][:1]


def _transactions(act: Callable[["Market"], None], shop: "Market") -> list[list[str]]:
    """Return the statements of each transaction of an act."""
    from django.db import connection, transaction

    whole = transaction.Atomic.__enter__

    def begin(self: Any) -> None:
        # Savepoints are within a transaction.
        if not connection.in_atomic_block:
            _statements.append([])
        whole(self)

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # What is in no transaction is one by itself.
        if not connection.in_atomic_block or not _statements:
            _statements.append([])
        _statements[-1].append(" ".join(sql.split()))
        return execute(sql, params, many, context)

    _statements.clear()
    with pytest.MonkeyPatch.context() as patched, connection.execute_wrapper(note):
        patched.setattr(transaction.Atomic, "__enter__", begin)
        act(shop)
    return _statements

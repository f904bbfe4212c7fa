"""A seller, what it sells, and who buys, with a calendar that a test turns."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from freehold.protocol.states import Wanted
from support.rooms import Rooms
from support.running import tiny_release

if TYPE_CHECKING:
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.billing.models import Contract, Customer, Document

PARIS = "Europe/Paris"
REGION = "europe"


class Market:
    """The Master of `rooms`, where project `provider` sells as a French company."""

    def __init__(self, rooms: Rooms, monkeypatch: pytest.MonkeyPatch, today: str) -> None:
        from freehold.master.foundation import clock

        self.rooms = rooms
        self._now = 0
        self._made = 0
        monkeypatch.setattr(clock, "now", lambda: self._now)
        self.turn(today)
        self.sales = self.accountant = rooms.owner
        self.entity = self.seller("FR", "FR", "EUR", PARIS)
        self.node = rooms.node("rack", partitions=200, region=REGION, site="paris")
        rooms.supply(rooms.publish(tiny_release()), self.node)

    def turn(self, when: str, zone: str = PARIS) -> None:
        """Make it another moment: a date (noon of it) or a date and time."""
        moment = datetime.fromisoformat(when if "T" in when else f"{when}T12:00").replace(tzinfo=ZoneInfo(zone))
        self._now = int(moment.timestamp() * 1000)

    def fresh(self) -> int:
        """Return a number that was not used yet, to name things by."""
        self._made += 1
        return self._made

    @property
    def now(self) -> int:
        return self._now

    def seller(self, code: str, country: str, currency: str, zone: str, **more: Any) -> "LegalEntity":
        from freehold.master.accounting import actions
        from freehold.master.billing import tax_rules

        spec = actions.Seller(code, f"{code} Hosting", "1 rue de la Paix", country, currency, zone, **more)
        entity = actions.add_entity(spec, "provider", acting=self.accountant)
        tax_rules.begin(entity)
        return entity

    def offer(self, name: str = "small", *, product: str = "tiny", **more: Any) -> None:
        from freehold.master.sales import actions as sales

        sales.add_offer(sales.Proposal(name, product, {"en": name}, **more), "provider", acting=self.sales)

    def prices(
        self, *asked: Any, since: str = "2026-01-01", entity: str = "FR", currency: str = "EUR", **more: Any
    ) -> Any:
        from freehold.master.foundation import days
        from freehold.master.sales import actions as sales

        title, included = more.pop("title", f"Prices of {since}"), more.pop("tax_included", False)
        spec = sales.Listing(entity, title, currency, included, days.parse(since), asked, **more)
        return sales.publish_list(spec, "provider", acting=self.sales)

    def price(self, amount: int, kind: str = "recurring", offer: str = "small", **more: Any) -> Any:
        from freehold.master.sales import actions as sales

        return sales.Asked(offer, kind, amount, **more)

    def customer(self, name: str = "Ada", *, country: str = "FR", project: str = "shop", **more: Any) -> "Customer":
        """Note a customer, and have them pay for a project."""
        from freehold.master.billing.customers import actions as customers

        spec = {"kind": "person", "address": "2 rue du Bac", "currency": "EUR", **more}
        made = customers.add_customer(
            customers.CustomerIdentity(name, country=country, **spec), "provider", acting=self.sales
        )
        if project:
            customers.set_payer("provider", project, made, acting=self.sales)
        return made

    def contract(self, customer: "Customer", currency: str = "EUR", entity: "LegalEntity | None" = None) -> "Contract":
        from freehold.master.billing.customers import actions as customers

        return customers.contract_of(customer, entity or self.entity, currency)

    def pay(self, customer: "Customer", amount: int, purpose: str = "account", **more: Any) -> Any:
        from freehold.master.billing.customers import actions as customers

        contract = self.contract(customer, more.pop("currency", "EUR"), more.pop("entity", None))
        spec = {"method": "transfer", "reference": f"T{self.fresh()}", **more}
        return customers.record_payment(contract, amount=amount, purpose=purpose, acting=self.accountant, **spec)

    def order(self, title: str = "web", **spec: Any) -> str:
        """Order as the customer of `shop`; the service is not ready yet."""
        instance: str = self.rooms.request(title, None if "offer" in spec else "tiny", **spec).instance
        return instance

    def ready(self, instance: str) -> None:
        """Have the node say that a service runs and keeps its promise."""
        self.assess(instance, kept=True)
        self.rooms.node_says(instance, "started", promises='["port"]')

    def assess(self, instance: str, *, kept: bool, promise: str = "port", at: int | None = None) -> None:
        from freehold.master.monitoring.models import Assessment

        Assessment.objects.create(
            instance_id=instance, revision=10**9, promise=promise, kept=kept, message="", at=at or self._now
        )

    def end(self, title: str) -> None:
        self.rooms.request(title, None, state=Wanted.DESTROYED)

    def bill(self, when: str, entity: str = "FR") -> "list[Document]":
        """Turn the calendar to a day and run its bills; return the documents that it made."""
        from freehold.master.billing.invoicing import run
        from freehold.master.billing.models import Document
        from freehold.master.foundation import days

        self.turn(when)
        made = run.bill(entity, days.parse(when), acting=self.accountant)
        return list(Document.objects.filter(run=made.id).order_by("id"))

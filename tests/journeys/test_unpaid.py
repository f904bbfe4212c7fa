"""Nobody pays: a service stops; somebody does, and it is back before its node next looks by itself."""

from datetime import UTC, datetime, timedelta

from freehold.kit.waiting import page, until
from support.machines import REPOSITORY, Cloud

BACK_S = 15
"""A node's look by itself takes longer: whoever is back sooner was told."""


def test_a_service_that_nobody_pays_for_stops_with_its_data_and_is_back_when_it_is_paid(cloud: Cloud) -> None:
    master, api = cloud.master, cloud.master.api
    machine = cloud.machine(unprivileged=True)
    cloud.publish(REPOSITORY / "software" / "hello")
    customer = _sell(cloud)
    money = {"customer": customer, "currency": "EUR", "method": "transfer"}
    api("POST", "/entities/FR/payments", {**money, "amount": "20.00", "purpose": "deposit", "reference": "1"})
    shop = cloud.order("shop")
    url, kept = shop["publication"]["url"], machine.folder(shop["partition"]) / "kept"
    kept.write_text("what customers wrote")

    _have_been_billed_a_month_ago(cloud, customer)
    terms = {"name": "Hosting", "address": "1 rue du Port", "payment_days": 0, "stop_days": 3}
    api("PUT", "/entities/FR", terms)
    until(lambda: master.show("shop")["state"] == "stopped", 60)
    assert "not paid for" in master.show("shop")["message"]
    assert machine.pids("shop") == []
    (unpaid,) = api("GET", "/projects/provider/costs")["unpaid"]
    assert (unpaid["seller"], unpaid["stops"] > unpaid["since"]) == ("Hosting", True)

    (owed,) = [row["older"] for row in api("GET", "/entities/FR/reports/receivables?since=2020-01-01&until=2099-01-01")]
    news = {"provider": "card", "payment": "pay-1", "customer": customer, "currency": "EUR", "kind": "captured"}
    api("POST", "/entities/FR/payment-events", {"events": [{**news, "event": "e-1", "amount": owed}]})
    until(lambda: master.show("shop")["ready"] and master.show("shop")["state"] == "started", BACK_S)
    assert page(url)
    assert kept.read_text() == "what customers wrote"


def _sell(cloud: Cloud) -> str:
    """Sell `hello` at 20.00 a month; return the customer who pays for the provider's own project."""
    api = cloud.master.api
    seller = {"code": "FR", "name": "Hosting", "address": "1 rue du Port", "country": "FR", "currency": "EUR"}
    api("POST", "/projects/provider/entities", {**seller, "time_zone": "Europe/Paris", "payment_days": 0})
    api("POST", "/projects/provider/offers", {"name": "small", "product": "hello", "titles": {"en": "Small server"}})
    prices = {"seller": "FR", "title": "Prices", "currency": "EUR", "tax_included": False, "from": "2020-01-01"}
    month = {"offer": "small", "kind": "recurring", "amount": "20.00"}
    api("POST", "/projects/provider/price-lists", {**prices, "prices": [month]})
    buyer = {"name": "Ada", "kind": "person", "address": "2 rue du Bac", "country": "FR", "currency": "EUR"}
    customer = str(api("POST", "/projects/provider/customers", buyer)["id"])
    api("PUT", "/projects/provider/payers", {"project": "provider", "customer": customer})
    return customer


def _have_been_billed_a_month_ago(cloud: Cloud, customer: str) -> None:
    """Have what was agreed be asked for by an invoice of ten days ago: only its day is made up."""
    master = cloud.master
    charge = {"customer": customer, "seller": "FR", "currency": "EUR", "label": "moving in", "amount": "50.00"}
    master.api("POST", "/projects/provider/charges", charge)
    day = (datetime.now(UTC) - timedelta(days=10)).date()
    # A period ends on a day that every month has.
    day = day.replace(day=min(day.day, 28))
    number = (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    master.sql(f"UPDATE billing_charge SET day = {number - 20}")
    master.sql(f"UPDATE billing_contract SET next_day = {number}")
    master.api("POST", "/entities/FR/runs", {"day": day.isoformat()})

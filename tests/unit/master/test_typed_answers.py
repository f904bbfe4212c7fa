"""What the API says of money has the shape that its description promises, and proves what it says it proves."""

import hashlib
import json
from typing import Any

import pytest

from support.market import Market
from support.metering import use

SHAPES = {
    "trial-balance": "BalanceRowOut", "receivables": "ReceivableRowOut", "vat": "VatRowOut", "revenue": "RevenueRowOut",
}  # fmt: skip


class Reader:
    """An owner of `provider` who is a customer of `shop`, with the API in this process."""

    def __init__(self, market: Market) -> None:
        from django.test import Client

        from freehold.master.people import actions, identity
        from freehold.master.people.identity import Scope
        from freehold.master.people.models import Person, Project, Role

        person = Person.objects.get(id=market.rooms.owner.person)
        actions.give_role(person, Project.objects.get(name="shop"), Role.CUSTOMER, acting=identity.system())
        token, _ = actions.make_token(person, title="reading", scopes=frozenset(Scope))
        self._client = Client(headers={"authorization": f"Bearer {token}"})

    def get(self, path: str) -> Any:
        answer = self._client.get(f"/api/v1{path}", secure=True)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        answer = self._client.post(f"/api/v1{path}", json.dumps(body), content_type="application/json", secure=True)
        assert answer.status_code == 201, answer.content
        return answer.json()

    def described(self, name: str) -> list[str]:
        """Return the names of the fields that a schema of the API's description has, sorted."""
        return sorted(self.get("/openapi.json")["components"]["schemas"][name]["properties"])


@pytest.fixture
def sold(market: Market) -> Market:
    """A month of a service and of what it used, invoiced in euros."""
    from freehold.master.sales.rating import Model

    market.offer()
    market.prices(
        market.price(4200),
        market.price(0, "usage", meter="network_out", model=Model.GRADUATED, unit=10, tiers=((0, 100), (50, 80))),
    )
    market.pay(market.customer(), 4200, "deposit")
    web = market.order()
    market.ready(web)
    use(web, "2026-03-01", 70)
    market.bill("2026-04-01")
    return market


def test_a_quote_says_its_price_field_by_field_and_is_named_by_its_digest(sold: Market) -> None:
    reader = Reader(sold)
    quote = reader.post("/projects/shop/quotes", {"offer": "FR/small"})
    content = quote["content"]
    assert hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() == quote["quote"]
    assert sorted(content) == reader.described("QuoteContentOut")
    assert (content["recurring"], content["month"]) == (4200, {"net": 4200, "tax": 840, "gross": 5040})
    assert content["usage"][0]["tiers"] == [{"above": 0, "amount": 100}, {"above": 50, "amount": 80}]


def test_a_document_says_all_that_its_digest_is_of_and_no_more(sold: Market) -> None:
    reader = Reader(sold)
    (shown,) = reader.get("/projects/shop/documents")
    document = reader.get(f"/projects/shop/documents/{shown['number']}")
    assert {name: document[name] for name in shown} == shown
    assert "tax_in_books" not in document, "the books are in euros, too"
    assert {*document, "tax_in_books"} == {*reader.described("DocumentDetailOut")}
    assert [line["kind"] for line in document["lines"]] == ["recurring", "usage"]
    digest = document.pop("digest")
    for changing in ("state", "open", "pay_to"):
        document.pop(changing)
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == digest


@pytest.mark.parametrize("name", SHAPES)
def test_each_report_has_rows_of_its_own_shape(sold: Market, name: str) -> None:
    from freehold.master.billing.reports import REPORTS

    reader = Reader(sold)
    assert set(SHAPES) == set(REPORTS)
    rows = reader.get(f"/entities/FR/reports/{name}?since=2026-01-01&until=2026-12-31")
    assert rows
    for row in rows:
        assert sorted(row) == reader.described(SHAPES[name])
        assert all(isinstance(value, str) for value in row.values())

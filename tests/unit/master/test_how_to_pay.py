"""Where to pay an invoice: the seller's account on page and PDF, and a code that banks' apps read."""

import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import zxingcpp

from freehold.master.foundation.errors import Invalid
from support.lists import Asker
from support.panels import Visitor

if TYPE_CHECKING:
    from support.market import Market

IBAN = "FR7630006000011234567890189"
NUMBER = "FR-2026-000001"


@pytest.fixture
def shop(market: "Market") -> "Market":
    """An invoice of a seller who said where they are paid."""
    market.offer()
    market.prices(market.price(4200))
    buyer = market.customer()
    market.buyer = buyer  # type: ignore[attr-defined]
    market.pay(buyer, 4200, "deposit")
    market.ready(market.order())
    market.bill("2026-04-01")
    _tell(market, iban="fr76 3000 6000 0112 3456 7890 189", bic="agrifrpp", bank="Crédit Agricole")
    return market


def _tell(shop: "Market", **more: Any) -> None:
    from freehold.master.billing.customers import party_history

    spec = party_history.Terms("Freehold Hébergement", "1 rue de la Paix", **more)
    party_history.change_seller("FR", spec, acting=shop.accountant)


def _row(shop: "Market", number: str = NUMBER) -> dict[str, Any]:
    from freehold.master.billing.invoicing import documents

    return documents.find_sold(shop.entity.id, number)


def _read_codes(width: int, height: int, gray: bytes) -> list[str]:
    picture = memoryview(gray).cast("B", (height, width))
    return [one.text for one in zxingcpp.read_barcodes(picture)]


def _codes_of_pdf(pdf: bytes) -> list[str]:
    """Return what a reader of codes sees on the first page of a PDF."""
    image = subprocess.run(
        ["pdftoppm", "-gray", "-r", "200", "-l", "1", "-"], input=pdf, capture_output=True, check=True
    ).stdout
    head = re.match(rb"P5\s+(\d+)\s+(\d+)\s+255\s", image)
    assert head is not None
    return _read_codes(int(head[1]), int(head[2]), image[head.end() :])


def _codes_of_page(page: str) -> list[str]:
    """Return what a reader of codes sees of the drawing on a page."""
    drawn = re.search(r'class="qr" viewBox="0 0 (\d+) \d+".*?<path d="([^"]*)"', page)
    if drawn is None:
        return []
    scale, side = 4, int(drawn[1])
    dark = {(int(line), int(column)) for column, line in re.findall(r"M(\d+) (\d+)h1v1h-1z", drawn[2])}
    rows = [
        bytes(0 if (line, column) in dark else 255 for column in range(side) for _ in range(scale))
        for line in range(side)
        for _ in range(scale)
    ]
    return _read_codes(side * scale, side * scale, b"".join(rows))


def _payload(amount: str, reference: str = "RF40FR2026000001") -> str:
    """Return what a code says, line by line, as EPC069-12 has it."""
    lines = ["BCD", "002", "1", "SCT", "AGRIFRPP", "Freehold Hébergement", IBAN, f"EUR{amount}", "", reference]
    return "\n".join(lines)


def test_the_code_on_page_and_file_asks_for_what_is_still_open(shop: "Market") -> None:
    from freehold.master.billing.printing import pdf

    page = f"/costs/shop/documents/{NUMBER}"
    gross = _row(shop)["gross"]
    for paid in (0, 1050):
        if paid:
            shop.pay(shop.buyer, paid)  # type: ignore[attr-defined]
        expected = _payload(f"{(gross - paid) / 100:g}")
        (on_file,) = _codes_of_pdf(pdf.of_document(_row(shop)))
        (on_page,) = _codes_of_page(Visitor(shop.rooms.customer).get(page).content.decode())
        assert on_file.splitlines() == on_page.splitlines() == expected.splitlines()
    shop.pay(shop.buyer, gross)  # type: ignore[attr-defined]
    assert _codes_of_pdf(pdf.of_document(_row(shop))) == [], "nothing is asked any more"
    assert _codes_of_page(Visitor(shop.rooms.customer).get(page).content.decode()) == []
    assert "IBAN" not in Visitor(shop.rooms.customer).reads(page)


def test_everyone_reads_where_to_pay(shop: "Market") -> None:
    from freehold.master.billing.printing import pdf

    for language, words in (
        ("en", ["How to pay", "Reference"]),
        ("fr", ["Comment payer", "Référence"]),
        ("zh-hans", ["如何付款"]),
    ):
        read = Visitor(shop.rooms.customer, language).reads(f"/costs/shop/documents/{NUMBER}")
        written = subprocess.run(
            ["pdftotext", "-", "-"], input=pdf.of_document(_row(shop), language), capture_output=True, check=True
        ).stdout.decode()
        known = ["FR76 3000 6000 0112 3456 7890 189", "AGRIFRPP", "Crédit Agricole", "RF40 FR20 2600 0001"]
        for word in (*words, *known):
            assert word in read
            assert word in written
    whole = Asker(shop.rooms).get(f"/projects/shop/documents/{NUMBER}")
    assert whole["pay_to"] == {
        "name": "Freehold Hébergement", "iban": IBAN, "bic": "AGRIFRPP", "bank": "Crédit Agricole",
        "reference": "RF40FR2026000001", "amount": whole["gross"], "currency": "EUR",
    }  # fmt: skip


def test_who_named_no_account_and_who_asks_in_another_currency_shows_no_code(shop: "Market") -> None:
    from freehold.master.billing import exchange
    from freehold.master.billing.invoicing import pay_to
    from freehold.master.billing.subscriptions import actions as subscriptions
    from freehold.master.foundation import days

    exchange.set_rate("FR", "USD", days.parse("2026-01-01"), "0.9", acting=shop.accountant)
    buyer = shop.customer("Bob", project="", currency="USD")
    subscriptions.agree(shop.contract(buyer, "USD"), "Advice", 5000, acting=shop.sales)
    shop.bill("2026-05-01")
    number = next(row for row in ("FR-2026-000002", "FR-2026-000003") if _row(shop, row)["currency"] == "USD")
    to = pay_to.of_document(_row(shop, number))
    assert to is not None
    assert (to.currency, to.code) == ("USD", None)
    _tell(shop)
    assert pay_to.of_document(_row(shop)) is None


@pytest.mark.parametrize(
    "account", [{"iban": "FR7630006000011234567890188"}, {"iban": IBAN, "bic": "X"}, {"bic": "AGRIFRPP"}, {"bank": "B"}]
)
def test_what_is_no_account_is_refused(shop: "Market", account: dict[str, str]) -> None:
    from freehold.master.accounting.models import LegalEntity

    with pytest.raises(Invalid):
        _tell(shop, **account)
    assert LegalEntity.objects.get(code="FR").iban == IBAN

"""Money in a browser: what anybody sees, an order that must be paid for first, the accountant who writes that down."""

from collections.abc import Callable

import pytest

from browser.windows import DESKTOP, PHONE, Window
from support.machines import Cloud

PAGES = {"prices": "prices", "costs": "costs/provider", "books": "books/FR", "statement": "books/FR/statement"}


@pytest.fixture(scope="module", autouse=True)
def shop(street: Cloud) -> None:
    """`hello` at 20.00 a month; the provider's own project pays like any other."""
    api = street.master.api
    seller = {"code": "FR", "name": "Hosting", "address": "1 rue du Port", "country": "FR", "currency": "EUR"}
    api("POST", "/projects/provider/entities", {**seller, "time_zone": "Europe/Paris"})
    titles = {"en": "Small server", "fr": "Petit serveur", "zh-hans": "小型服务器"}
    offer = {"name": "small", "product": "hello", "titles": titles, "size": {"cpus": 1}, "availability": 99.9}
    api("POST", "/projects/provider/offers", offer)
    month = {"offer": "small", "kind": "recurring", "amount": "20.00"}
    traffic = {"kind": "usage", "meter": "network_out", "model": "unit", "unit": 10**12, "amount": "8.00"}
    prices = {"seller": "FR", "title": "Prices", "currency": "EUR", "tax_included": False, "from": "2020-01-01"}
    api("POST", "/projects/provider/price-lists", {**prices, "prices": [month, {"offer": "small", **traffic}]})
    buyer = {"name": "Ada", "kind": "person", "address": "2 rue du Bac", "country": "FR", "currency": "EUR"}
    customer = api("POST", "/projects/provider/customers", buyer)["id"]
    api("PUT", "/projects/provider/payers", {"project": "provider", "customer": customer})


def test_an_order_is_paid_for_first_and_then_runs_and_costs(window: Callable[..., Window], street: Cloud) -> None:
    opened = window(viewport=PHONE)
    page = opened.page
    opened.open("prices")
    assert "€20.00" in page.locator("main").inner_text()
    opened.log_in()
    opened.open("catalogue/hello")
    page.locator("#title").fill("paid")
    offered = " ".join(page.locator(".offers").inner_text().split())
    assert "Small server 1 core €24.00 a month €4.00 of it tax (20 %) · and what is used · Deposit €20.00" in offered
    page.get_by_role("button", name="Order with obligation to pay").click()
    assert "€20.00 of it is missing" in page.locator("main").inner_text()
    opened.has_no_barrier()

    # A quote made the contract known: the accountant can write down what came.
    opened.open("books/FR")
    assert page.locator("#customer").input_value() == "", "nobody is chosen beforehand"
    page.locator("#customer").select_option(label="Ada (EUR)")
    page.locator("#pay-amount").fill("20.00")
    page.locator("#purpose").select_option("deposit")
    page.locator("#pay-reference").fill("R1")
    page.locator("form:has(#pay-amount) button").click()
    assert "-20.00" in page.locator("table").inner_text()

    opened.open("catalogue/hello")
    page.locator("#title").fill("paid")
    page.get_by_role("button", name="Order with obligation to pay").click()
    page.wait_for_url(f"{opened.address}/services/provider/paid")
    street.ready("paid")
    street.master.cli("reconcile")
    opened.open("costs/provider")
    row = page.locator("tr", has_text="paid").inner_text()
    assert "€20.00" in row
    so_far = street.master.api("GET", "/projects/provider/costs")["services"][0]
    assert so_far["state"] == "active"
    assert float(so_far["so_far"]) > 0
    page.locator("#amount").fill("0.01")
    page.locator("#currency").fill("EUR")
    page.get_by_role("button", name="Set").click()
    assert "of the budget of €0.01 is spent" in page.locator("[role=alert]").inner_text()
    assert int(page.locator("meter").get_attribute("value") or 0) > 0


def test_nonsense_in_the_books_is_told_and_changes_nothing(window: Callable[..., Window], street: Cloud) -> None:
    opened = window(viewport=DESKTOP)
    page = opened.page
    opened.log_in()
    before = street.master.sql("SELECT count(*) FROM accounting_entry")
    opened.open("books/FR")
    page.locator("#enter-day").fill("2026-01-05")
    page.locator("#label").fill("mistake")
    page.locator("#enter-amount").fill("1.234")
    page.locator("#enter-reference").fill("E1")
    page.locator("form:has(#enter-amount) button").click()
    assert "'1.234' is no amount in EUR" in page.locator("main").inner_text()
    page.locator("#lock-day").fill("2099-01-01")
    page.locator("form:has(#lock-day) button").click()
    assert "cannot be next" in page.locator("main").inner_text()
    assert street.master.sql("SELECT count(*) FROM accounting_entry") == before


def test_the_ledger_is_downloaded_whole(window: Callable[..., Window]) -> None:
    opened = window(viewport=DESKTOP)
    opened.log_in()
    opened.open("books/FR")
    with opened.page.expect_download() as downloading:
        opened.page.get_by_role("link", name="fec").click()
    text = downloading.value.path().read_text()
    assert text.startswith("JournalCode\t")
    assert "transfer R1" in text


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("en", "light", PHONE), ("fr", "dark", PHONE), ("zh-CN", "light", DESKTOP)],
    ids=["en-light-phone", "fr-dark-phone", "zh-light-desktop"],
)
def test_nobody_is_kept_out_of_pages_about_money(
    window: Callable[..., Window], request: pytest.FixtureRequest, language: str, scheme: str, size: dict[str, int]
) -> None:
    opened = window(viewport=size, color_scheme=scheme, locale=language)
    opened.log_in()
    for name, path in PAGES.items():
        opened.open(path)
        opened.has_no_barrier()
        opened.fits()
        opened.shoot(f"{name}-{request.node.callspec.id}")

"""A question about a service in a browser: asked on a phone, answered at a desk, closed, and open again."""

from collections.abc import Callable

import pytest

from browser.windows import DESKTOP, PHONE, Window
from support.machines import Cloud


@pytest.fixture(scope="module")
def shop(street: Cloud) -> str:
    street.order("shop", "hello")
    return "shop"


def test_a_question_is_asked_answered_and_closed(window: Callable[..., Window], shop: str) -> None:
    phone = window(viewport=PHONE)
    page = phone.page
    phone.log_in()
    phone.open(f"services/provider/{shop}")
    page.get_by_role("link", name="Ask about it").click()
    page.locator("#subject").fill("It is <b>slow</b>")
    page.locator("#text").fill("Since this morning.\nWhy?")
    phone.has_no_barrier()
    phone.fits()
    page.get_by_role("button", name="Send").click()
    assert "shop: It is <b>slow</b>" in page.locator("h1").inner_text(), "what people write is text"
    assert "Why?" in page.locator("main").inner_text()

    desk = window(viewport=DESKTOP)
    desk.log_in()
    desk.open("tickets")
    row = desk.page.locator("tr", has_text="It is <b>slow</b>")
    assert "open" in row.inner_text()
    desk.has_no_barrier()
    desk.shoot("tickets")
    row.get_by_role("link").click()
    desk.page.locator("#text").fill("A disk is dying.")
    desk.page.get_by_role("button", name="Send and close").click()
    assert "This ticket is closed" in desk.page.locator("main").inner_text()
    desk.has_no_barrier()
    desk.shoot("ticket")

    page.reload()
    page.locator("#text").fill("Thank you")
    page.get_by_role("button", name="Send", exact=True).click()
    assert "This ticket is closed" not in page.locator("main").inner_text()
    assert "A disk is dying." in page.locator("main").inner_text()


def test_what_says_nothing_is_told_so_and_kept(window: Callable[..., Window], street: Cloud, shop: str) -> None:
    opened = window(viewport=DESKTOP)
    opened.log_in()
    before = street.master.sql("SELECT count(*) FROM support_ticket")
    opened.open(f"services/provider/{shop}/-/ask")
    opened.page.locator("#subject").fill("Kept")
    opened.page.locator("#text").fill("   ")
    opened.page.get_by_role("button", name="Send").click()
    assert "1 to 10000 characters" in opened.page.locator("[role=alert]").inner_text()
    assert opened.page.locator("#subject").input_value() == "Kept"
    assert street.master.sql("SELECT count(*) FROM support_ticket") == before

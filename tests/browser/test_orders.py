"""Ordering, changing and ending a service by the panel's forms, as a customer with a browser does."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser.windows import SLOW, Window
from freehold.kit.waiting import shows, until
from support.machines import Cloud


@pytest.fixture(autouse=True)
def offered(street: Cloud) -> Cloud:
    return street


def test_a_service_is_ordered_watched_changed_stopped_started_and_destroyed(
    window: Callable[..., Window], cloud: Cloud
) -> None:
    opened = window(viewport={"width": 360, "height": 740})
    opened.log_in()
    page = opened.page
    page.get_by_role("link", name="Catalogue").click()
    page.get_by_role("link", name="hello").first.click()
    page.locator("#title").fill("window")
    page.get_by_label("Greeting").fill("guten Tag")
    page.get_by_role("button", name="Order", exact=True).click()
    page.wait_for_url("**/services/provider/window")
    # Not loaded again by us: the page follows by itself.
    expect(page.get_by_role("heading", level=1)).to_contain_text("started", timeout=SLOW)
    expect(page.locator("#live")).to_contain_text("http://", timeout=SLOW)
    opened.has_no_barrier()
    until(shows(cloud.master.show("window")["publication"]["url"], "guten Tag"), 10)

    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("Greeting")).to_have_value("guten Tag")
    page.get_by_label("Greeting").fill("buon giorno")
    opened.has_no_barrier()
    page.get_by_role("button", name="Change", exact=True).click()
    page.wait_for_url("**/services/provider/window")
    until(shows(cloud.master.show("window")["publication"]["url"], "buon giorno"), 30)

    page.locator("#stop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("stopped", timeout=SLOW)
    page.locator("#start").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("started", timeout=SLOW)
    page.locator("#destroy").click()
    page.locator("#confirm").fill("another")
    page.get_by_role("button", name="Destroy").click()
    expect(page.locator("#confirm-error")).to_be_visible()
    assert cloud.master.show("window")["wanted"] == "started"
    page.locator("#confirm").fill("window")
    opened.has_no_barrier()
    page.get_by_role("button", name="Destroy").click()
    until(lambda: cloud.master.show("window")["state"] == "destroyed", 30)


def test_rows_are_added_and_removed_and_a_secret_stays_when_it_is_left_empty(
    window: Callable[..., Window], cloud: Cloud
) -> None:
    opened = window()
    opened.log_in()
    opened.open("catalogue/kiosk")
    page = opened.page
    page.locator("#title").fill("corner shop")
    page.get_by_label("PIN").fill("sesame-5678")
    for number, title in enumerate(("sale", "closed", "open")):
        page.get_by_role("button", name="Add Posters").click()
        expect(page.get_by_label("Copies")).to_have_count(number + 1)
        page.get_by_label("Title", exact=True).nth(number + 1).fill(title)
    page.get_by_role("button", name="Remove Posters 2").click()
    expect(page.get_by_label("Copies")).to_have_count(2)
    opened.has_no_barrier()
    page.get_by_role("button", name="Order", exact=True).click()
    page.wait_for_url("**/services/provider/corner%20shop")
    asked = cloud.master.reveal("corner shop")["parameters"]
    assert [one["title"] for one in asked["posters"]] == ["sale", "open"]
    assert asked["pin"] == "sesame-5678"
    # What it needs appears below it, without being loaded again.
    expect(page.locator("#live .tree")).to_contain_text("sign", timeout=SLOW)
    page.get_by_role("link", name="Change").click()
    assert "sesame" not in page.content()
    page.get_by_label("Colour").select_option(label="green")
    page.get_by_role("button", name="Change", exact=True).click()
    page.wait_for_url("**/services/provider/corner%20shop")
    assert cloud.master.reveal("corner shop")["parameters"] == {**asked, "colour": "green"}


def test_a_wrong_value_is_refused_at_its_field(window: Callable[..., Window]) -> None:
    opened = window(locale="fr-FR")
    opened.log_in()
    opened.open("catalogue/kiosk")
    page = opened.page
    page.locator("form#form").evaluate("form => form.noValidate = true")
    page.locator("#title").fill("etroit")
    page.get_by_label("PIN").fill("123")
    page.locator("button.main").click()
    expect(page.get_by_label("PIN")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#f-p_2f_pin-error")).to_have_text("Au moins 4 caractères.")


def test_without_javascript_a_service_is_ordered_and_stopped(window: Callable[..., Window], cloud: Cloud) -> None:
    opened = window(java_script_enabled=False, locale="fr-FR")
    opened.log_in()
    opened.open("catalogue/hello")
    page = opened.page
    expect(page.get_by_role("heading", level=1)).to_contain_text("Commander")
    page.locator("#title").fill("vitrine")
    page.get_by_label("Greeting").fill("bonjour")
    page.locator("button.main").click()
    page.wait_for_url("**/services/provider/vitrine")
    until(lambda: cloud.master.show("vitrine")["ready"], 60)
    page.reload()
    page.locator("#stop").click()
    until(lambda: cloud.master.show("vitrine")["state"] == "stopped", 30)

"""Ordering, changing and ending a service by the panel's forms, as a customer with a browser does."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from machines import REPOSITORY, Cloud, shows
from waiting import until

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SHOTS = REPOSITORY / "var" / "screenshots"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SLOW = 30_000


@pytest.fixture(scope="module", autouse=True)
def machine(cloud: Cloud) -> Any:
    made = cloud.machine(unprivileged=os.geteuid() != 0, title="counter")
    cloud.publish(REPOSITORY / "software" / "hello")
    until(
        lambda: {one["observed"] for one in cloud.master.api("GET", "/projects/provider/supplies")} == {"available"}, 60
    )
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Browser, cloud: Cloud, **settings: Any) -> Page:
    """Return a page of the panel, logged in."""
    page = browser.new_context(ignore_https_errors=True, **settings).new_page()
    page.set_default_timeout(2 * SLOW)
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/")
    page.locator("#email").fill("owner@example.org")
    page.locator("#password").fill(cloud.master.password)
    page.locator("#password").press("Enter")
    page.wait_for_url("**/")
    return page


def shoot(page: Page, name: str) -> None:
    """Keep a picture, for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png", full_page=True)


def has_no_barrier(page: Page) -> None:
    """See that axe finds nothing that keeps somebody out (WCAG 2.2 AA)."""
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_kept_out_of_the_main_pages(browser: Browser, cloud: Cloud, scheme: Any) -> None:
    page = opened(browser, cloud, color_scheme=scheme)
    for path in (
        "",
        "catalogue",
        "catalogue/hello",
        "fleet/provider",
        "fleet/provider/supplies",
        "fleet/provider/enrol",
    ):
        page.goto(f"https://{cloud.master.host}:{cloud.master.port}/{path}")
        has_no_barrier(page)
        shoot(page, f"{path.replace('/', '-') or 'services'}-{scheme}")


def test_a_service_is_ordered_watched_changed_stopped_started_and_destroyed(browser: Browser, cloud: Cloud) -> None:
    page = opened(browser, cloud, viewport={"width": 360, "height": 740})
    page.get_by_role("link", name="Catalogue").click()
    page.get_by_role("link", name="hello").first.click()
    page.locator("#title").fill("window")
    page.get_by_label("Greeting").fill("guten Tag")
    shoot(page, "order")
    page.get_by_role("button", name="Order", exact=True).click()
    page.wait_for_url("**/services/provider/window")
    # Not loaded again by us: the page follows by itself.
    expect(page.get_by_role("heading", level=1)).to_contain_text("started", timeout=SLOW)
    expect(page.locator("#live")).to_contain_text("http://", timeout=SLOW)
    has_no_barrier(page)
    until(shows(cloud.master.show("window")["publication"]["url"], "guten Tag"), 10)

    page.get_by_role("link", name="Change").click()
    expect(page.get_by_label("Greeting")).to_have_value("guten Tag")
    page.get_by_label("Greeting").fill("buon giorno")
    has_no_barrier(page)
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
    has_no_barrier(page)
    page.get_by_role("button", name="Destroy").click()
    until(lambda: cloud.master.show("window")["state"] == "destroyed", 30)


def test_without_javascript_a_wrong_value_is_refused_at_its_field_and_a_right_one_orders(
    browser: Browser, cloud: Cloud
) -> None:
    page = opened(browser, cloud, java_script_enabled=False, locale="fr-FR")
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/catalogue/hello")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Commander")
    page.locator("#title").fill("vitrine")
    page.get_by_label("Greeting").fill("bonjour")
    page.locator("button.main").click()
    page.wait_for_url("**/services/provider/vitrine")
    until(lambda: cloud.master.show("vitrine")["ready"], 60)
    page.reload()
    page.locator("#stop").click()
    until(lambda: cloud.master.show("vitrine")["state"] == "stopped", 30)


def test_an_operator_adds_a_site_and_gets_a_command_to_enrol_a_machine(browser: Browser, cloud: Cloud) -> None:
    page = opened(browser, cloud)
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/fleet/provider")
    expect(page.locator("main")).to_contain_text("counter")
    page.get_by_label("New site").fill("attic")
    page.get_by_role("button", name="Add").first.click()
    expect(page.locator("main")).to_contain_text("attic")
    assert "attic" in [site["name"] for site in cloud.master.api("GET", "/projects/provider/sites")]
    shoot(page, "fleet")

"""The panel as a person sees it: a real browser, the real certificate authority, a real service."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from machines import REPOSITORY, Cloud

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SHOTS = REPOSITORY / "var" / "screenshots"


@pytest.fixture(scope="module")
def service(cloud: Cloud) -> Any:
    """A service that runs, of the owner."""
    cloud.machine(unprivileged=os.geteuid() != 0, title="shown")
    cloud.publish(REPOSITORY / "software" / "hello")
    return cloud.order("shop", parameters={"greeting": "<b>bonjour</b>"}, seconds=120)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser, cloud: Cloud) -> Iterator[Page]:
    """A phone's browser; what a page logs as an error fails the test."""
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 390, "height": 844})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    opened.on("request", lambda request: _only_here(request.url, cloud, wrong))
    yield opened
    context.close()
    assert [one for one in wrong if "401" not in one] == []


def _only_here(url: str, cloud: Cloud, wrong: list[str]) -> None:
    if not url.startswith(f"https://{cloud.master.host}:{cloud.master.port}/"):
        wrong.append(f"asked another host: {url}")


def _log_in(page: Page, cloud: Cloud, password: str) -> None:
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/")
    page.get_by_label("E-mail").fill("owner@example.org")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_a_person_logs_in_and_sees_the_service_running(page: Page, cloud: Cloud, service: Any) -> None:
    _log_in(page, cloud, cloud.master.password)
    row = page.get_by_role("row", name="shop")
    expect(row).to_contain_text("started")
    expect(row).to_contain_text("kept")
    _shoot(page, "services")
    page.get_by_role("link", name="shop").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop")
    expect(page.locator("body")).to_contain_text("<b>bonjour</b>")
    expect(page.locator("body")).to_contain_text(service["publication"]["url"])
    _shoot(page, "service")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_wrong_password_says_so_and_opens_nothing(page: Page, cloud: Cloud) -> None:
    _log_in(page, cloud, "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    _shoot(page, "login")
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/services/provider/shop")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_api_can_be_browsed_without_asking_another_host(page: Page, cloud: Cloud) -> None:
    page.goto(f"https://{cloud.master.host}:{cloud.master.port}/api/v1/docs")
    expect(page.get_by_text("/api/v1/projects/{project}/instances/{title}").first).to_be_visible(timeout=20_000)
    _shoot(page, "api")


def _shoot(page: Page, name: str) -> None:
    """Keep a picture, for people to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(SHOTS, f"{name}.png"))

"""The panel as a person with a phone sees it: a real browser, a real Master, real services."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from browser.windows import PHONE, SLOW, Window
from support.machines import Cloud

WHISPERED = "sesame-1234"


@pytest.fixture(scope="module", autouse=True)
def services(street: Cloud) -> None:
    street.order("shop", parameters={"greeting": "<b>bonjour</b>"})
    street.order("till", "kiosk", parameters={"pin": WHISPERED})


@pytest.fixture
def phone(window: Callable[..., Window]) -> Window:
    return window(viewport=PHONE)


def test_a_person_logs_in_and_sees_the_service_running(phone: Window) -> None:
    phone.log_in()
    page = phone.page
    expect(page.get_by_role("heading", level=1)).to_contain_text("Desk")
    page.get_by_role("link", name="Services").click()
    row = page.get_by_role("row", name="shop")
    expect(row).to_contain_text("started")
    expect(row).to_contain_text("kept")
    page.get_by_role("link", name="shop", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("shop")
    expect(page.locator("body")).to_contain_text("<b>bonjour</b>")
    expect(page.locator("body")).to_contain_text(phone.cloud.master.show("shop")["publication"]["url"])
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_wrong_password_says_so_and_opens_nothing(phone: Window) -> None:
    phone.open("")
    phone.page.get_by_label("E-mail").fill("owner@example.org")
    phone.page.get_by_label("Password").fill("a wrong password")
    phone.page.get_by_role("button", name="Log in").click()
    expect(phone.page.get_by_role("alert")).to_contain_text("wrong")
    phone.open("services/provider/shop")
    expect(phone.page.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_secret_is_shown_when_its_button_is_pressed(window: Callable[..., Window], scripts: bool) -> None:
    phone = window(viewport=PHONE, java_script_enabled=scripts)
    phone.log_in()
    phone.open("services/provider/till")
    assert WHISPERED not in phone.page.content()
    phone.page.get_by_role("button", name="Show Key of the till").click()
    expect(phone.page.locator("code.secret")).to_have_text(f"till-{WHISPERED}")
    if scripts:
        expect(phone.page.locator("code.secret")).to_be_focused()
        phone.has_no_barrier()
    else:
        phone.page.get_by_role("link", name="Back to till").click()
    phone.page.goto(f"{phone.address}/services/provider/till")
    assert WHISPERED not in phone.page.content()


def test_a_language_is_chosen_and_kept(phone: Window) -> None:
    phone.log_in()
    phone.open("services/provider/shop")
    for name, word, language in (
        ("Français", "Arrêter", "fr"),
        ("简体中文", "停止", "zh-hans"),
        ("English", "Stop", "en"),
    ):
        phone.page.get_by_role("button", name=name).click()
        expect(phone.page.locator("#stop")).to_have_text(word, timeout=SLOW)
        expect(phone.page.locator("html")).to_have_attribute("lang", language)
        assert phone.page.url.endswith("/services/provider/shop")


def test_the_api_can_be_browsed_without_asking_another_host(phone: Window) -> None:
    phone.page.goto(f"{phone.address}/api/v1/docs")
    operation = phone.page.get_by_text("/api/v1/projects/{project}/instances/{title}").first
    expect(operation).to_be_visible(timeout=20_000)


def test_a_page_says_when_its_master_is_away_and_since_when_what_it_shows_is_old(phone: Window) -> None:
    phone.log_in()
    phone.open("services/provider/shop")
    expect(phone.page.locator("#away")).to_be_hidden()
    phone.cloud.master.stop()
    expect(phone.page.locator("#away")).to_be_visible(timeout=SLOW)
    expect(phone.page.locator("#away")).to_contain_text("does not answer")
    expect(phone.page.locator("#away time")).not_to_be_empty()
    phone.has_no_barrier()
    phone.fits()
    phone.cloud.master.start()
    expect(phone.page.locator("#away")).to_be_hidden(timeout=SLOW)
    # That nobody answered is what this was about.
    phone.wrong.clear()

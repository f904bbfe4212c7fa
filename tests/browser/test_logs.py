"""The logs of a service in the panel: with scripts they are followed, without them they are loaded again."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from browser.windows import DESKTOP, PHONE, SLOW, Window
from freehold.kit.waiting import until
from support.machines import Cloud

WHISPERED = "sesame-1234"


@pytest.fixture(scope="module", autouse=True)
def log(street: Cloud) -> Path:
    """The log of the till, in which something stands."""
    street.order("till", "kiosk", parameters={"pin": WHISPERED})
    shown = street.master.show("till")
    machine = street.machines[0]
    found = machine.folder(shown["partition"]) / "var" / "log" / "till.log"
    found.write_text(f"opened with {WHISPERED}\n<b>a bold line</b>\n")
    return found


def add(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_the_last_lines_are_loaded_and_loaded_again(window: Callable[..., Window], log: Path, scripts: bool) -> None:
    phone = window(viewport=PHONE, java_script_enabled=scripts)
    phone.log_in()
    phone.open("services/provider/till")
    phone.page.get_by_role("link", name="Logs", exact=True).click()
    phone.page.get_by_role("button", name="Show the lines").click()
    shown = phone.page.locator("pre.log")
    expect(shown).to_contain_text("opened with [secret]")
    expect(shown).to_contain_text("<b>a bold line</b>")
    assert WHISPERED not in phone.page.content()
    add(log, f"later {scripts}\n")
    phone.page.get_by_role("button", name="Load again").click()
    expect(shown).to_contain_text(f"later {scripts}")
    expect(phone.page.get_by_role("button", name="Follow")).to_be_visible(visible=scripts)
    if scripts:
        phone.has_no_barrier()
        phone.fits()
        phone.shoot("logs-phone")


def test_with_scripts_what_is_written_is_seen_as_it_is_written(window: Callable[..., Window], log: Path) -> None:
    desk = window(viewport=DESKTOP, color_scheme="dark")
    desk.log_in()
    desk.open("services/provider/till/-/logs")
    desk.page.get_by_role("button", name="Follow").click()
    shown = desk.page.locator("pre.log")
    expect(shown).to_contain_text("opened with [secret]")
    for number in range(3):
        add(log, f"while you look {number}\n")
        expect(shown).to_contain_text(f"while you look {number}", timeout=SLOW)
    assert desk.page.url.count("stream=") == 1
    desk.has_no_barrier()
    desk.fits()
    desk.shoot("logs-desktop")


def test_a_name_that_is_of_no_process_is_answered_with_those_that_there_are(window: Callable[..., Window]) -> None:
    desk = window(viewport=DESKTOP)
    desk.log_in()
    desk.open("services/provider/till/-/logs")
    desk.page.get_by_label("Process").fill("ghost")
    desk.page.get_by_role("button", name="Show the lines").click()
    expect(desk.page.locator("pre.log")).to_contain_text(
        "There is no log of 'ghost'. There are logs of: configure, till."
    )


def test_a_process_is_restarted_by_its_button(window: Callable[..., Window], street: Cloud) -> None:
    machine, phone = street.machines[0], window(viewport=PHONE)
    before = machine.pids("till")
    phone.log_in()
    phone.open("services/provider/till")
    phone.page.get_by_role("button", name="Restart till").click()
    until(lambda: machine.pids("till") and machine.pids("till") != before, 30)
    street.ready("till")
    between = machine.pids("till")
    phone.open("services/provider/till")
    expect(phone.page.get_by_role("link", name="Logs of till")).to_be_visible()
    phone.has_no_barrier()
    phone.fits()
    phone.shoot("service-processes")
    phone.page.locator("#restart").click()
    until(lambda: machine.pids("till") and machine.pids("till") != between, 30)
    street.ready("till")


def test_a_customer_whose_service_is_in_trouble_sees_it_in_the_picture_and_has_it_well_again(
    window: Callable[..., Window], street: Cloud
) -> None:
    street.order("stall", "hello")
    machine, phone = street.machines[0], window(viewport=PHONE)
    (stopped,) = machine.pids("stall")
    os.kill(stopped, signal.SIGSTOP)
    until(lambda: street.master.show("stall")["health"] == "broken", 120, what="the broken promise")
    phone.log_in()
    phone.open("services/provider/stall")
    phone.page.get_by_role("link", name="Pictures").click()
    said = phone.page.locator("h2", has_text="Promises").locator("xpath=following-sibling::p[1]").inner_text()
    assert said.startswith("Kept ")
    assert "100.00 %" not in said
    kept = phone.page.locator("svg.chart rect.kept").last.get_attribute("height")
    assert 0 < float(kept or 0) < 120, "a part of the present hour's bar is missing"
    phone.has_no_barrier()
    phone.fits()
    phone.shoot("pictures-phone")
    phone.open("services/provider/stall")
    phone.page.get_by_role("link", name="Logs of hello").click()
    phone.open("services/provider/stall")
    phone.page.get_by_role("button", name="Restart hello").click()
    street.ready("stall")
    assert stopped not in machine.pids("stall")

"""The pages of who runs the machines: sites, enrolment by a copied command, supplies, builds, nodes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from browser.windows import DESKTOP, SLOW, Window, publish
from freehold.kit.waiting import until
from support.machines import REPOSITORY, Cloud, Machine


@pytest.fixture(scope="module", autouse=True)
def corner(street: Cloud) -> Cloud:
    return street


@pytest.fixture
def desk(window: Callable[..., Window]) -> Window:
    opened = window(viewport=DESKTOP)
    opened.log_in()
    return opened


def test_a_machine_is_enrolled_by_the_command_that_the_page_gives(desk: Window, cloud: Cloud) -> None:
    page = desk.page
    desk.open("fleet/provider")
    page.get_by_label("New site").fill("attic")
    page.get_by_role("button", name="Add").first.click()
    expect(page.locator("main")).to_contain_text("attic")
    page.get_by_role("link", name="Enrol").first.click()
    page.get_by_label("Site").select_option("attic")
    page.get_by_label("Name of the node").fill("old-laptop")
    page.get_by_label("Partitions").fill("2")
    page.get_by_role("button", name="Make the command").click()
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("status").last).to_have_text("Copied")
    command = page.evaluate("navigator.clipboard.readText()")
    machine = _run_on_a_machine(cloud, command)
    try:
        until(lambda: any(one["title"] == "old-laptop" and one["partitions"] == 2 for one in _nodes(cloud)), 30)
        desk.open("fleet/provider")
        expect(page.get_by_role("row", name="old-laptop")).to_contain_text("2 of 2 free")
        # A page that is made again has another token; the one that was used is good for nothing.
        again = machine.cli("enrol", "--master", cloud.master.url, "--token-file", "-", stdin=_token(command))
        assert (again.returncode, "already used" in again.stderr) == (1, True), again.stderr
    finally:
        machine.remove()


def _run_on_a_machine(cloud: Cloud, command: str) -> Machine:
    """Run a copied command in the shell of a machine of its own, and return that machine."""
    machine = Machine.__new__(Machine)
    machine.root, machine.environment = Path(tempfile.mkdtemp(prefix="freehold-", dir="/var/tmp")), {}
    machine.root.chmod(0o711)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FREEHOLD_NODE_ROOT": str(machine.root)}
    machine._agent = subprocess.Popen(["bash", "-c", f"{command}"], env=environment, start_new_session=True)
    return machine


def _token(command: str) -> str:
    return command.partition("printf %s '")[2].partition("'")[0]


def _nodes(cloud: Cloud) -> Any:
    return cloud.master.api("GET", "/projects/provider/nodes")


def test_a_node_is_closed_for_new_services_and_opened_again(desk: Window, cloud: Cloud) -> None:
    desk.open("fleet/provider/nodes/corner")
    desk.page.get_by_role("button", name="Close it for new services").click()
    expect(desk.page.get_by_role("heading", level=1)).to_contain_text("closed")
    refused = cloud.master.call(
        "PUT", "/api/v1/projects/provider/instances/late", {"product": "hello"}, token=cloud.master.owner
    )
    assert refused.status == 409
    desk.page.get_by_role("button", name="Open it for new services").click()
    expect(desk.page.get_by_role("heading", level=1)).to_contain_text("open")
    cloud.order("late", "hello")


def test_a_release_is_supplied_its_build_watched_and_removed(desk: Window, cloud: Cloud) -> None:
    publish(cloud, REPOSITORY / "software" / "postgresql")
    page = desk.page
    desk.open("fleet/provider/supplies")
    page.get_by_label("Release", exact=True).select_option(label="postgresql 15.1")
    page.get_by_label("Where").select_option(label="on node corner")
    page.get_by_role("button", name="Supply", exact=True).click()
    page.get_by_role("link", name="postgresql 15.1").click()
    # Nobody loads the page again.
    expect(page.get_by_role("region")).to_contain_text("Debian packages are downloaded", timeout=2 * SLOW)
    expect(page.get_by_role("heading", level=1)).to_contain_text("building")
    desk.shoot("build")
    expect(page.get_by_role("heading", level=1)).to_contain_text("available", timeout=2 * SLOW)
    desk.open("fleet/provider/supplies")
    page.get_by_label("Release", exact=True).select_option(label="postgresql 15.1")
    page.get_by_label("Where").select_option(label="on node corner")
    page.get_by_role("button", name="Remove").click()
    until(lambda: "postgresql" not in str(_available(cloud)), 30)


def _available(cloud: Cloud) -> list[str]:
    rows = cloud.master.api("GET", "/projects/provider/supplies")
    return [row["product"] for row in rows if row["observed"] == "available"]


def test_a_release_in_use_is_not_removed_and_the_page_says_why(desk: Window, cloud: Cloud) -> None:
    cloud.order("used", "hello")
    page = desk.page
    desk.open("fleet/provider/supplies")
    page.get_by_label("Release", exact=True).select_option(label="hello 1.0")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert "hello" in _available(cloud)

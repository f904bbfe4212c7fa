"""From a request to a running, checked, measured service, and to nothing again; as root and without."""

import contextlib
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from freehold.kit.waiting import gone, page, until
from support.machines import MODES, REPOSITORY, Cloud, Machine


@pytest.fixture(scope="module", params=MODES)
def machine(request: pytest.FixtureRequest, cloud: Cloud) -> Machine:
    """A machine of each kind; hello is supplied to it. Services ordered in a test are placed on it."""
    made = cloud.machine(unprivileged=request.param == "unprivileged", title=request.param, partitions=8)
    cloud.publish(REPOSITORY / "software" / "hello")
    return made


def order(cloud: Cloud, machine: Machine, title: str, greeting: str) -> Any:
    where = {"node": "unprivileged" if machine.unprivileged else "root"}
    return cloud.order(title, parameters={"greeting": greeting}, constraints=where)


def listens(url: str) -> bool:
    address = urlsplit(url)
    with contextlib.suppress(OSError), socket.create_connection((address.hostname, address.port), 2):
        return True
    return False


def test_an_ordered_page_runs_is_checked_and_measured(cloud: Cloud, machine: Machine) -> None:
    title = f"shop-{machine.unprivileged}"
    shop = order(cloud, machine, title, "bonjour")
    assert shop["state"] == "started"
    assert shop["promises"][0]["name"] == "page"
    assert shop["promises"][0]["kept"] is True
    assert "bonjour" in page(shop["publication"]["url"])
    (pid,) = machine.pids(title)
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner == (os.geteuid() if machine.unprivileged else machine.folder(shop["partition"]).stat().st_uid)
    assert machine.unprivileged or owner != 0
    used = until(lambda: cloud.master.show(title)["usage"]["cpu_ms"], 20)
    assert used > 0


def test_a_changed_greeting_changes_the_page_and_touches_nobody_else(cloud: Cloud, machine: Machine) -> None:
    mine, other = f"mine-{machine.unprivileged}", f"other-{machine.unprivileged}"
    order(cloud, machine, mine, "before")
    order(cloud, machine, other, "still")
    pids, others = machine.pids(mine), machine.pids(other)
    shop = cloud.order(mine, parameters={"greeting": "after"})
    assert "after" in page(shop["publication"]["url"])
    assert machine.pids(mine) != pids
    assert machine.pids(other) == others
    again = cloud.order(mine, parameters={"greeting": "after"})
    assert again["revision"] == shop["revision"], "asking for the same changes nothing"


def test_stopped_nothing_listens_and_started_again_it_does(cloud: Cloud, machine: Machine) -> None:
    title = f"nap-{machine.unprivileged}"
    url = order(cloud, machine, title, "awake")["publication"]["url"]
    pids = machine.pids(title)
    assert cloud.order(title, state="stopped")["state"] == "stopped"
    assert not listens(url)
    until(gone(pids))
    assert cloud.order(title, state="started")["state"] == "started"
    assert "awake" in page(url)


def test_destroyed_nothing_of_it_is_left(cloud: Cloud, machine: Machine) -> None:
    title = f"brief-{machine.unprivileged}"
    node = "unprivileged" if machine.unprivileged else "root"
    free = cloud.master.node_row(node)["free"]
    shop = order(cloud, machine, title, "short")
    assert cloud.master.node_row(node)["free"] == free - 1
    folder, pids = machine.folder(shop["partition"]), machine.pids(title)
    owner = folder.stat().st_uid
    assert cloud.order(title, state="destroyed")["state"] == "destroyed"
    until(gone(pids))
    assert list(folder.iterdir()) == []
    assert not listens(shop["publication"]["url"])
    assert cloud.master.node_row(node)["free"] == free
    if not machine.unprivileged:
        assert not [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _uid(entry) == owner]


def test_an_instance_has_a_certificate_with_which_it_sees_itself_and_no_other(cloud: Cloud, machine: Machine) -> None:
    title = f"self-{machine.unprivileged}"
    shop = order(cloud, machine, title, "me")
    folder = machine.folder(shop["partition"]) / ".freehold"
    until(lambda: (folder / "certificate.pem").exists(), 20)
    both = folder.parent.parent.parent / f"{title}.pem"
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "certificate.pem").read_bytes())
    assert (folder / "key.pem").stat().st_mode & 0o077 == 0
    answer = cloud.master.call("GET", "/api/v1/instance", certificate=both)
    assert (answer.status, answer.body["title"]) == (200, title)
    assert cloud.master.call("GET", "/node/v1/feed", certificate=both).status == 403
    assert cloud.master.call("GET", f"/api/v1/projects/provider/instances/{title}", certificate=both).status == 401


def _uid(entry: Path) -> int:
    try:
        return entry.stat().st_uid
    except OSError:
        return -1

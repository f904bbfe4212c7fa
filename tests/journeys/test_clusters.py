"""A quorum on nodes of its own: changed, grown, shrunk and upgraded, with no more than one member down at any time."""

import contextlib
import http.client
import json
import os
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.kit.waiting import until
from freehold.release.folder import generate, load
from support.machines import REPOSITORY, Cloud

QUORUM = REPOSITORY / "tests" / "releases" / "quorum"


def publish(cloud: Cloud, folder: Path, version: str) -> None:
    copy = folder / version
    shutil.copytree(QUORUM, copy)
    text = (copy / "instance.py").read_text()
    (copy / "instance.py").write_text(text.replace('PRESENT = "1.0"', f'PRESENT = "{version}"'))
    for path, content in generate(load(copy)).items():
        (copy / path).write_text(content)
    cloud.publish(copy)


@pytest.fixture(scope="module")
def racks(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    for number in range(5):
        cloud.machine(unprivileged=os.geteuid() != 0, title=f"rack-{number}", partitions=3)
    publish(cloud, tmp_path_factory.mktemp("quorum"), "1.0")
    return cloud


class Watch(threading.Thread):
    """Asks voters again and again whether they live, and keeps how many of them did not at once."""

    def __init__(self, addresses: list[str]) -> None:
        super().__init__(daemon=True)
        self.addresses, self.over, self.looks = addresses, False, 0
        self.down: list[set[str]] = []

    def run(self) -> None:
        while not self.over:
            found = {one: settings(one) for one in self.addresses}
            self.looks += 1
            down = {one for one, said in found.items() if said is None}
            if down and (not self.down or self.down[-1] != down):
                self.down.append(down)
            time.sleep(0.01)


def settings(address: str) -> Any:
    """Return what a voter says of itself; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{address}:8080/alive", timeout=5) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError, http.client.HTTPException):
        return None


@contextlib.contextmanager
def watched(addresses: list[str]) -> Iterator[Watch]:
    watch, began = Watch(addresses), time.monotonic()
    watch.start()
    try:
        yield watch
    finally:
        watch.over = True
        watch.join()
    assert watch.looks > 5
    print(f"{time.monotonic() - began:.1f} s, {watch.looks} looks, down: {len(watch.down)}")
    assert all(len(down) == 1 for down in watch.down), "one at a time"


def change(cloud: Cloud, **parameters: Any) -> Any:
    cloud.master.request("vote", "quorum", parameters=parameters)
    return cloud.ready("vote")


def folder_of(cloud: Cloud, title: str) -> Path:
    shown = cloud.master.show(title)
    number = int(shown["node"].rpartition("-")[2])
    return cloud.machines[number].folder(shown["partition"])


def test_a_quorum_lives_through_all_that_is_done_to_it(cloud: Cloud, racks: Cloud, tmp_path: Path) -> None:
    shown = cloud.order("vote", "quorum", parameters={"voters": 3})
    addresses = shown["publication"]["addresses"]
    assert len(set(addresses)) == 3
    voters = [cloud.master.show(f"vote/voter-{number}") for number in range(3)]
    assert len({one["node"] for one in voters}) == 3, "each on a node of its own"
    assert len({settings(one)["secret"] for one in addresses}) == 1

    with watched(addresses) as watch:
        assert change(cloud, voters=3, color="green")["publication"]["colors"] == ["green"] * 3
    assert {one for down in watch.down for one in down} == set(addresses), "each was restarted"

    with watched(addresses) as watch:
        cloud.master.request("vote", "quorum", parameters={"voters": 3, "color": "red"})
        refused = until(lambda: "what it had before" in (m := cloud.master.show("vote")["message"]) and m, 60)
        assert "'vote/voter-0' did not become ready with the change" in refused
        until(lambda: cloud.master.show("vote/voter-0")["ready"], 60)
        assert [settings(one)["color"] for one in addresses] == ["green"] * 3
        assert not cloud.master.show("vote")["ready"]
    assert all(down == {addresses[0]} for down in watch.down)

    with watched(addresses):
        grown = change(cloud, voters=5, color="green")
    assert len(set(grown["publication"]["addresses"])) == 5
    assert grown["publication"]["addresses"][:3] == addresses
    until(lambda: all(len(settings(one)["addresses"]) == 5 for one in grown["publication"]["addresses"]), 30)

    with watched(addresses):
        assert len(change(cloud, voters=3, color="green")["publication"]["addresses"]) == 3
    assert all(len(settings(one)["addresses"]) == 3 for one in addresses)
    assert (folder_of(cloud, "vote/voter-0") / "srv/left").read_text().split() == ["4", "3"], "they left, one by one"
    until(lambda: cloud.master.show("vote/voter-4")["state"] == "destroyed", 60)

    publish(cloud, tmp_path, "1.1")
    with watched(addresses):
        cloud.master.request("vote", "quorum", release="1.1", parameters={"voters": 3, "color": "green"})
        cloud.ready("vote")
    assert [settings(one)["version"] for one in addresses] == ["1.1"] * 3
    assert {cloud.master.show(f"vote/voter-{number}")["release"] for number in range(3)} == {"1.1"}

"""Certificates: nobody waits for an instance that cannot get its own."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from freehold.kit.waiting import until
from freehold.node import identities
from freehold.node.errors import LinkDown, SettingsError
from freehold.node.forkserver import ForkServerError
from freehold.node.identities import Identities, keep_renewed
from freehold.node.link.keys import signing_request


class Office:
    """Where instances get certificates, except those that spoil it or hang."""

    def __init__(self) -> None:
        self.tries: Counter[str] = Counter()
        self.had: set[str] = set()
        self.over = threading.Event()

    def identify(self, instance: str) -> None:
        self.tries[instance] += 1
        if instance.startswith("spoiler"):
            raise ForkServerError("\x1b[2J its own words")
        if instance.startswith("bug"):
            raise OSError("as nobody foresaw")
        if instance.startswith("hanging"):
            self.over.wait(60)
        self.had.add(instance)


@pytest.fixture
def office() -> Iterator[Office]:
    one = Office()
    yield one
    one.over.set()


@pytest.fixture
def begin(office: Office) -> Iterator[Callable[..., Identities]]:
    begun: list[Identities] = []

    def begin(*started: str) -> Identities:
        one = Identities(office.identify, lambda: started)
        begun.append(one)
        one.start()
        return one

    yield begin
    office.over.set()
    for one in begun:
        one.stop()
        one.join(10)
        assert not one.is_alive()


def test_who_spoils_its_own_delays_nobody_and_is_tried_ever_later(
    office: Office, begin: Callable[..., Identities], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(identities, "FIRST_PAUSE", 0.01)
    keeper = begin("spoiler-1", "bug-2", "honest-1")
    until(lambda: "honest-1" in office.had)
    until(lambda: min(office.tries["spoiler-1"], office.tries["bug-2"]) > 3)
    keeper.want("honest-2")
    until(lambda: "honest-2" in office.had)
    assert office.tries["honest-1"] == 1
    assert "its own words" not in caplog.text
    assert office.tries["spoiler-1"] < 12, "each pause is twice the last"


def test_who_hangs_delays_nobody(office: Office, begin: Callable[..., Identities]) -> None:
    keeper = begin(*(f"hanging-{number}" for number in range(identities.WORKERS - 1)))
    until(lambda: office.tries.total() == identities.WORKERS - 1)
    for number in range(5):
        keeper.want(f"honest-{number}")
    until(lambda: len(office.had) == 5)


def test_who_is_configured_again_is_looked_at_at_once(office: Office, begin: Callable[..., Identities]) -> None:
    keeper = begin("spoiler")
    until(lambda: office.tries["spoiler"] == 1)
    keeper.want("spoiler")
    until(lambda: office.tries["spoiler"] == 2)


def test_the_nodes_own_is_renewed_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "RENEWAL_PAUSE", 0.01)
    over, failures = threading.Event(), [LinkDown("away"), OSError("no disk"), RuntimeError("nobody foresaw")]

    def renew() -> None:
        if failures:
            raise failures.pop()
        over.set()

    keep_renewed(lambda: True, renew, over)
    assert over.is_set()


def test_what_stands_in_the_place_of_a_key_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key.pem")
    with pytest.raises(SettingsError, match="is no file"):
        signing_request(tmp_path / "key.pem")

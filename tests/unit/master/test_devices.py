"""A flood of wrong passwords from many addresses neither gets in nor keeps the owner's browser out."""

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from freehold.master.people import devices
from freehold.master.people.throttle import MOST_FAILURES, Throttle

if TYPE_CHECKING:
    from support.rooms import Rooms

EMAIL, OTHER, PASSWORD = "ann@example.org", "ben@example.org", "correct horse battery"


class Browser:
    """A browser without a session, which keeps its cookies."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        from django.test import Client

        self._client = Client(REMOTE_ADDR=address)

    def log_in(self, password: str = PASSWORD, email: str = EMAIL) -> int:
        answer = self._client.post("/login", {"email": email, "password": password}, secure=True)
        return int(answer.status_code)

    def log_out(self) -> None:
        self._client.post("/logout", secure=True)

    @property
    def cookie(self) -> Any:
        return self._client.cookies.get(devices.COOKIE)


@pytest.fixture
def accounts(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> None:
    from freehold.master.people import actions, identity

    monkeypatch.setattr(actions, "throttle", Throttle())
    for email in (EMAIL, OTHER):
        actions.add_person(email, PASSWORD, acting=identity.system())


def flood(email: str = EMAIL) -> None:
    """Have strangers of many networks use up what strangers share of an account."""
    from freehold.master.people import actions, identity

    for number in range(MOST_FAILURES):
        actions.throttle.failed(identity.digest(email), f"2001:db8:{number:x}::")


def test_a_flood_of_strangers_does_not_lock_a_known_browser_out(accounts: None) -> None:
    known, stranger = Browser(), Browser("198.51.100.7")
    assert known.log_in() == 302
    known.log_out()
    flood()
    assert stranger.log_in() == 429, "not even with the right password"
    assert stranger.cookie is None
    assert known.log_in() == 302


def test_a_known_browser_has_a_hundred_tries_an_hour_and_no_more(accounts: None) -> None:
    known = Browser()
    assert known.log_in() == 302
    known.log_out()
    from freehold.master.people import actions, identity

    name = devices.of_account(known.cookie.value, identity.digest(EMAIL))
    for _ in range(MOST_FAILURES - 1):
        actions.throttle.failed(identity.digest(EMAIL), "192.0.2.1", name)
    assert known.log_in("not the right one at all") == 401
    assert known.log_in() == 429
    assert Browser("203.0.113.5").log_in() == 302, "its tries are not those of others"


def test_a_browser_is_known_to_the_accounts_that_it_opened_and_to_no_other(accounts: None) -> None:
    known = Browser()
    assert known.log_in(email=OTHER) == 302
    known.log_out()
    flood()
    assert known.log_in() == 429
    assert known.log_in(email=OTHER) == 302


def test_the_cookie_is_kept_from_scripts_and_other_sites(accounts: None) -> None:
    known = Browser()
    known.log_in()
    cookie = known.cookie
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, True, "Lax", "/")
    assert EMAIL not in cookie.value


@given(some.text(max_size=300))
def test_nobody_makes_a_cookie(text: str) -> None:
    assert devices.of_account(text, "account") == ""


def test_the_newest_accounts_of_a_browser_are_remembered_each_by_one_name() -> None:
    cookie = ""
    for number in range(9):
        cookie = devices.remember(cookie, f"account-{number}")
    names = [devices.of_account(cookie, f"account-{number}") for number in range(9)]
    assert [bool(name) for name in names] == [False] * 4 + [True] * 5
    again = devices.remember(cookie, "account-4")
    assert devices.of_account(again, "account-4") == names[4]
    assert len(again) < 1000

"""Accounts that change and end, and passwords that are guessed."""

from typing import TYPE_CHECKING

import pytest

from freehold.master.foundation import clock
from freehold.master.foundation.clock import HOUR
from freehold.master.foundation.errors import Invalid, TooManyTries
from freehold.master.people.throttle import MOST_FAILURES, Throttle
from support.running import PASSWORD

if TYPE_CHECKING:
    from support.rooms import Rooms
    from support.running import Master

OTHER = "another battery of horses"


def _log_in(master: "Master", email: str, password: str) -> int:
    return master.call("POST", "/api/v1/login", {"email": email, "password": password}).status


def test_another_password_ends_what_the_old_one_opened(master: "Master") -> None:
    token = master.project("leaked")
    done = master.cli("person", "customer@leaked.example", "--password-file", "-", secret=OTHER)
    assert "another password" in done
    assert master.call("GET", "/api/v1/me", token=token).status == 401
    assert _log_in(master, "customer@leaked.example", PASSWORD) == 401
    assert _log_in(master, "customer@leaked.example", OTHER) == 200
    assert master.sql("SELECT verb FROM foundation_auditrow WHERE verb = 'password.set'")


def test_a_closed_account_opens_nothing_until_it_is_open_again(master: "Master") -> None:
    token = master.project("closing")
    email = "customer@closing.example"
    master.cli("person", email, "--close")
    assert master.call("GET", "/api/v1/me", token=token).status == 401
    assert _log_in(master, email, PASSWORD) == 401
    master.cli("person", email, "--reopen")
    assert _log_in(master, email, PASSWORD) == 200
    assert master.call("GET", "/api/v1/me", token=token).status == 401, "its tokens stay revoked"


def test_a_role_is_taken_away(master: "Master") -> None:
    token = master.project("left")
    master.cli("person", "customer@left.example", "--project", "left", "--role", "none")
    assert master.call("GET", "/api/v1/projects/left/instances", token=token).status == 403
    again = master.run("person", "customer@left.example", "--project", "left", "--role", "none")
    assert (again.returncode, "has no role in 'left'" in again.stderr) == (1, True)


@pytest.mark.parametrize("words", [("--role", "owner"), ("--close",), ("--project", "nowhere"), ()])
def test_what_a_command_cannot_do_it_says(master: "Master", words: tuple[str, ...]) -> None:
    done = master.run("person", "nobody@nowhere.example", *words)
    assert (done.returncode, "freehold:" in done.stderr) == (1, True)


@pytest.mark.parametrize("password", ["elevenchars", "x" * 1001, "1QAZ2wsx3edc"])
def test_short_and_common_passwords_are_refused(rooms: "Rooms", password: str) -> None:
    from freehold.master.people import actions

    with pytest.raises(Invalid) as refused:
        actions.check_password_rules(password)
    assert password not in str(refused.value.problem())


@pytest.mark.parametrize("password", ["\u4e00 \U0001f600 long enough", "no digits, no capitals", "x" * 64 + " " * 64])
def test_any_characters_make_a_password(rooms: "Rooms", password: str) -> None:
    from freehold.master.people import actions

    actions.check_password_rules(password)


def test_a_hundred_failures_of_an_account_are_the_most_and_its_owner_still_comes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1_000 * HOUR
    monkeypatch.setattr(clock, "now", lambda: now)
    tries = Throttle()
    tries.succeeded("alice", "home")
    for number in range(MOST_FAILURES):
        tries.check("alice", f"robot-{number}")
        tries.failed("alice", f"robot-{number}")
    with pytest.raises(TooManyTries, match="try again in"):
        tries.check("alice", "robot-new")
    tries.check("alice", "home")
    tries.check("bob", "robot-new")
    now += HOUR
    tries.check("alice", "robot-new")


def test_pauses_of_an_address_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000 * HOUR
    monkeypatch.setattr(clock, "now", lambda: now)
    tries = Throttle()
    pauses = []
    for number in range(20):
        tries.failed(f"account-{number}", "robot")
        begun = now
        while True:
            try:
                tries.check("bob", "robot")
                break
            except TooManyTries:
                now += 1000
        pauses.append((now - begun) // 1000)
    assert pauses[:12] == [0] * 9 + [1, 2, 4]
    assert max(pauses) == 300
    tries.check("bob", "elsewhere")


def test_a_second_master_in_one_folder_says_so(master: "Master") -> None:
    if not master.database_url.startswith("sqlite"):
        pytest.skip("with PostgreSQL it serves, with a warning")
    done = master.run("serve", "--port", "0")
    assert (done.returncode, "Another Master serves" in done.stderr) == (1, True)
    assert master.api("GET", "/me")

"""`freehold account …` and `freehold people …` against a real Master."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyotp
import pytest

from support.browsing import browse, cookie, logged_in, open_page
from support.running import OWNER, PASSWORD

if TYPE_CHECKING:
    from support.running import Master


class Terminal:
    """Somebody who is logged in at a terminal."""

    def __init__(self, master: "Master", folder: Path, email: str) -> None:
        self._environment = {**os.environ, "FREEHOLD_CREDENTIALS": str(folder / email)}
        self.says(
            "login", master.url, "--email", email, "--password-file", "-", "--authority", str(master.authority),
            "--scopes", "read", "order", "operate", given=PASSWORD,
        )  # fmt: skip

    def run(self, *arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "freehold.cli", *arguments]
        return subprocess.run(
            command, env=self._environment, input=given, capture_output=True, text=True, timeout=120
        )  # fmt: skip

    def says(self, *arguments: str, given: str = "") -> str:
        done = self.run(*arguments, given=given)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.says(*arguments, "--json"))


@pytest.fixture
def owner(master: "Master", tmp_path: Path) -> Terminal:
    return Terminal(master, tmp_path, OWNER)


def test_one_chooses_of_what_one_is_told_and_when(master: "Master", tmp_path: Path) -> None:
    master.person("bob@example.org", "provider")
    bob = Terminal(master, tmp_path, "bob@example.org")
    assert "Quiet hours   none" in bob.says("notifications", "show")
    change = ("--quiet", "22:00-07:00", "--time-zone", "Europe/Paris", "--language", "fr", "--most", "3")
    said = bob.says("notifications", "change", *change, "--mute", "promise.broken")
    assert "Quiet hours   22:00-07:00" in said
    assert "  promise.broken         -\n" in said
    assert "  invoice.due            mail\n" in said
    assert "This Master sends no mail." in said
    assert bob.json("notifications", "change", "--quiet", "none")["quiet_hours"] == ""
    wrong = bob.run("notifications", "change", "--mute", "node.silent")
    assert (wrong.returncode, "promise.broken" in wrong.stderr) == (1, True)
    assert bob.says("notifications", "sent") == "No message was made yet.\n"
    assert bob.run("notifications", "retry", "msg-lost").returncode == 1


def test_one_has_an_address_told_what_happens(master: "Master", tmp_path: Path) -> None:
    master.person("eve@example.org", "provider")
    eve = Terminal(master, tmp_path, "eve@example.org")
    assert eve.says("webhook", "list") == "There is none.\n"
    assert eve.run("webhook", "add", "http://hooks.invalid/").returncode == 1
    said = eve.says("webhook", "add", "https://hooks.invalid/freehold")
    identity = said.split()[0]
    assert "whsec_" in said
    assert "https://hooks.invalid/freehold" in eve.says("webhook", "list")
    assert identity in eve.says("webhook", "test", identity)
    (message,) = eve.json("webhook", "messages", identity)
    assert message["state"] == "waiting"
    assert message["id"] in eve.says("webhook", "messages", identity)
    early = eve.run("webhook", "retry", identity, message["id"])
    assert (early.returncode, "is not dead" in early.stderr) == (1, True)
    assert "nothing any more" in eve.says("webhook", "remove", identity, "--yes")
    assert eve.says("webhook", "list") == "There is none.\n"


def test_one_lists_and_ends_where_one_is_logged_in(master: "Master", tmp_path: Path) -> None:
    master.person("ann@example.org", "provider")
    ann = Terminal(master, tmp_path, "ann@example.org")
    keys = [browse(master, "ann@example.org") for _ in range(3)]
    first, _, _ = ann.json("account", "sessions")
    assert f"{first['id']}  {first['began_at']}" in ann.says("account", "sessions")
    assert ann.says("account", "end-session", first["id"]) == f"The session {first['id']} has ended.\n"
    assert [logged_in(master, key) for key in keys] == [False, True, True]
    again = ann.run("account", "end-session", first["id"])
    assert (again.returncode, first["id"] in again.stderr) == (1, True)
    assert "logged out of all browsers" in ann.says("account", "end-sessions", "--keep-tokens")
    assert not any(logged_in(master, key) for key in keys)
    assert ann.json("account", "tokens"), "its token still opens"


def test_staff_lists_and_ends_what_others_have_open(master: "Master", owner: Terminal, tmp_path: Path) -> None:
    email = "ben@example.org"
    master.person(email, "provider")
    ben = Terminal(master, tmp_path, email)
    key = browse(master, email)
    (session,) = owner.json("people", "sessions", email)
    owner.says("people", "end-session", email, session["id"])
    assert not logged_in(master, key)
    for token in owner.json("people", "tokens", email):
        owner.says("people", "end-token", email, token["id"])
    assert "revoked" in ben.run("account", "sessions").stderr
    assert ben.run("account", "sessions").returncode == 1
    assert owner.json("account", "tokens"), "nobody else's ended"


def test_staff_writes_terms_and_lets_nobody_in_where_no_mail_is_sent(
    master: "Master", owner: Terminal, tmp_path: Path
) -> None:
    written = tmp_path / "terms.txt"
    written.write_text("Be kind.")
    assert "There are no terms" in owner.says("terms", "list")
    assert "terms-1 holds from now on" in owner.says("terms", "publish", "terms", "--file", str(written))
    owner.says("terms", "publish", "processing", "--link", "https://example.org/dpa")
    assert [one["id"] for one in owner.json("terms", "list")] == ["processing-1", "terms-1"]
    assert owner.says("sign-ups", "mode") == "Sign-up: closed\n"
    assert owner.says("sign-ups", "list") == "Nobody waits.\n"
    refused = owner.run("sign-ups", "mode", "open")
    assert (refused.returncode, "sends no mail" in refused.stderr) == (1, True)
    for act in (("accept", "lost"), ("refuse", "lost", "no")):
        assert "Nobody waits as 'lost'" in owner.run("sign-ups", *act).stderr
    stranger = owner.run("reset-password", master.url, "--email", "x@y", "--authority", str(master.authority), "--ask")
    assert "sends no mail" in stranger.stderr


def test_a_forgotten_password_is_replaced_with_a_code_of_staff(
    master: "Master", owner: Terminal, tmp_path: Path
) -> None:
    email = "cleo@example.org"
    master.person(email, "provider")
    cleo = Terminal(master, tmp_path, email)
    code = owner.says("people", "reset-password", email).splitlines()[-1]
    taking = ("reset-password", master.url, "--email", email, "--authority", str(master.authority), "--stdin")
    short = cleo.run(*taking, given=f"{code}\nshort\n")
    assert (short.returncode, "too short" in short.stderr) == (1, True)
    assert cleo.json("account", "tokens")
    assert "Your password is changed" in cleo.says(*taking, given=f"{code}\na battery of many horses\n")
    assert cleo.run("account", "tokens").returncode == 1, "what was open has ended"
    used = cleo.run(*taking, given=f"{code}\na battery of more horses\n")
    assert (used.returncode, "was used" in used.stderr) == (1, True)
    spec = {"email": email, "password": "a battery of many horses"}
    assert master.call("POST", "/api/v1/login", spec).status == 200


def test_an_owner_invites_by_command_sees_who_is_invited_and_withdraws(owner: Terminal) -> None:
    said = owner.says("people", "invite", "fay@example.org", "operator", "--project", "provider")
    assert "/join#fhi_" in said
    rows = owner.json("people", "members", "--project", "provider")
    assert ("fay@example.org", "operator") in [(one["email"], one["role"]) for one in rows]
    withdrawn = owner.says("people", "withdraw", "fay@example.org", "--project", "provider")
    assert withdrawn == "fay@example.org is not invited any more.\n"
    again = owner.run("people", "withdraw", "fay@example.org", "--project", "provider")
    assert (again.returncode, "Nobody is invited" in again.stderr) == (1, True)


def test_with_a_second_factor_a_terminal_logs_in_with_password_and_code_until_staff_forgets_it(
    master: "Master", owner: Terminal, tmp_path: Path
) -> None:
    email, key = "otto@example.org", pyotp.random_base32()
    master.person(email, "provider")
    otto = Terminal(master, tmp_path, email)
    session = browse(master, email)
    csrf = cookie(open_page(master, "GET", "/account/security", None, f"__Host-session={session}"), "__Host-csrf")
    form = f"csrfmiddlewaretoken={csrf}&act=add-app&key={key}&code={pyotp.TOTP(key).now()}"
    cookies = f"__Host-session={session}; __Host-csrf={csrf}"
    assert open_page(master, "POST", "/account/security", form, cookies).status == 200

    login = ("login", master.url, "--email", email, "--password-file", "-", "--authority", str(master.authority))
    for given in (PASSWORD, f"{PASSWORD}\n", f"{PASSWORD}\n123456\n"):
        refused = otto.run(*login, given=given)
        assert refused.returncode == 1
        assert ("code" in refused.stderr, PASSWORD in refused.stderr) == (True, False)
    code = pyotp.TOTP(key).at(time.time() + 30)
    assert "Logged in to" in otto.says(*login, given=f"{PASSWORD}\n{code}\n")
    assert owner.says("people", "forget-factor", email, "--yes") == f"{email} logs in with the password alone.\n"
    assert "Logged in to" in otto.says(*login, given=PASSWORD)
    again = master.run("person", email, "--forget-factor")
    assert "has no second factor" in again.stderr


def test_an_owner_gives_a_member_another_role_and_only_stays_owner_while_there_is_another(
    master: "Master", owner: Terminal, tmp_path: Path
) -> None:
    master.person("rita@example.org", "provider")
    rita = Terminal(master, tmp_path, "rita@example.org")
    assert owner.says("people", "role", "rita@example.org", "operator") == "rita@example.org is operator now.\n"
    refused = rita.run("people", "role", "rita@example.org", "owner")
    assert (refused.returncode, "Only staff" in refused.stderr) == (1, True)
    for nobody in ("lost@example.org", "a\x01b"):
        lost = owner.run("people", "role", nobody, "sales")
        assert (lost.returncode, "has no role in 'provider'" in lost.stderr) == (1, True)
    only = owner.run("people", "role", OWNER, "sales")
    assert (only.returncode, "the only owner" in only.stderr) == (1, True)
    roles = {one["email"]: one["role"] for one in owner.json("people", "members")}
    assert roles["rita@example.org"] == "operator"

"""A real Master, a real mail server, and kill -9 between the two."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.failpoints import VARIABLE
from support.mailbox import Mailbox, mail_server, text
from support.running import Master


@pytest.fixture(scope="module", autouse=True)
def box() -> Iterator[Mailbox]:
    with mail_server() as served:
        before = dict(os.environ)
        os.environ["FREEHOLD_SMTP_URL"] = f"smtp://127.0.0.1:{served.port}"
        os.environ["FREEHOLD_MAIL_FROM"] = "Freehold <cloud@example.net>"
        os.environ["FREEHOLD_PUBLIC_URL"] = "https://cloud.example.net"
        yield served
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="module")
def ticket(box: Mailbox, master: Master) -> tuple[str, str]:
    """A ticket of a customer about a service, and the customer's token."""
    customer = master.project("shop")
    master.publish()
    master.node("one")
    master.supply("tiny", "one")
    master.request("web", project="shop", token=customer)
    asked = {"service": "web", "title": "slow", "text": "It takes minutes."}
    return str(master.api("POST", "/projects/shop/tickets", asked, token=customer)["id"]), customer


def test_a_served_master_sends_by_itself(master: Master, box: Mailbox, ticket: tuple[str, str]) -> None:
    master.until(lambda: box.mails, 40, "the mail")
    (mail,) = box.mails
    assert mail["Subject"] == "[Freehold] Ticket: web: slow"
    assert "It takes minutes." in text(mail)
    assert master.cli("check", "--json")


@pytest.mark.parametrize("point", ["message-claimed", "message-sent", "act-committed", "act-not-committed"])
def test_what_a_killed_master_had_to_say_is_said_once(
    master: Master, box: Mailbox, ticket: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    identity, _ = ticket
    master.until(lambda: not _waiting(master), 40)
    master.stop()
    box.mails.clear()
    master.start()
    master.api("POST", f"/projects/provider/tickets/{identity}/messages", {"text": f"Before {point}."})
    master.kill()
    (tmp_path / point).touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert master.run("reconcile").returncode == -signal.SIGKILL
    monkeypatch.delenv(VARIABLE)
    for _ in range(2):
        # Whoever claimed a message and died keeps it from others for ten minutes: they pass.
        master.sql("UPDATE notifications_outgoingmessage SET claimed_until = 0")
        master.cli("reconcile")
    master.start()
    answers = [mail for mail in box.mails if f"Before {point}." in text(mail)]
    assert len({mail["Message-ID"] for mail in answers}) == 1
    assert len(answers) == (2 if point == "message-sent" else 1)


def test_who_forgot_the_password_has_it_mailed_and_no_log_has_the_code(master: Master, box: Mailbox) -> None:
    email, new = "lost@example.org", "a battery of many horses"
    master.person(email, "provider")
    box.mails.clear()
    given = (master.url, "--email", email, "--authority", str(master.authority))
    assert "If lost@example.org has an account" in _freehold("reset-password", *given, "--ask")
    master.until(lambda: box.of(email), 40, "the letter")
    (link,) = {word for word in text(box.of(email)[0]).split() if word.startswith("https://")}
    _freehold("reset-password", *given, "--stdin", given=f"{link}\n{new}\n")
    assert master.call("POST", "/api/v1/login", {"email": email, "password": new}).status == 200
    master.until(lambda: len(box.of(email)) == 2, 40, "the word about the change")
    code = link.partition("#")[2]
    assert code.startswith("fhr_")
    assert code not in master.log()


def test_somebody_signs_up_waits_and_is_accepted(master: Master, box: Mailbox) -> None:
    email, password = "eve@example.net", "a battery of eve's own"
    version = master.api("POST", "/terms", {"kind": "terms", "text": "Be kind."})["id"]
    master.api("PUT", "/sign-up", {"mode": "approval"})
    assert master.call("GET", "/api/v1/sign-up").body == {"mode": "approval", "terms": [version]}
    asked = {"email": email, "name": "Eve", "password": password, "terms": [version]}
    assert master.call("POST", "/api/v1/sign-up", asked).status == 204
    master.until(lambda: box.of(email), 40, "the letter")
    (link,) = {word for word in text(box.of(email)[0]).split() if word.startswith("https://")}
    proof = {"email": email, "code": link.partition("#")[2], "password": password}
    assert master.call("POST", "/api/v1/sign-up/confirm", proof).body == {"is_open": False}
    assert master.call("POST", "/api/v1/login", {"email": email, "password": password}).status == 401
    (waiting,) = master.api("GET", "/sign-ups")
    assert (waiting["email"], waiting["name"]) == (email, "Eve")
    master.api("POST", f"/sign-ups/{waiting['id']}/accept")
    opened = master.call("POST", "/api/v1/login", {"email": email, "password": password})
    assert opened.status == 200
    master.until(lambda: len(box.of(email)) == 2, 40, "the word about it")
    assert password not in master.log()


def _freehold(*arguments: str, given: str = "") -> str:
    command = [sys.executable, "-m", "freehold.cli", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _waiting(master: Master) -> int:
    ((number,),) = master.sql("SELECT count(*) FROM notifications_outgoingmessage WHERE state = 'waiting'")
    return int(number)

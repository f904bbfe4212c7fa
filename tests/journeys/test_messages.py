"""A real Master, a real mail server, and kill -9 between the two."""

import os
import signal
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


def _waiting(master: Master) -> int:
    ((number,),) = master.sql("SELECT count(*) FROM notifications_outgoingmessage WHERE state = 'waiting'")
    return int(number)

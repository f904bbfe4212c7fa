"""The fixtures of the Master's rooms without a server."""

from collections.abc import Iterator

import pytest

from support.mailbox import Mailbox, mail_server
from support.market import Market
from support.rooms import Rooms


@pytest.fixture
def rooms(database: str) -> Rooms:
    """The rooms on emptied tables."""
    return Rooms(database)


@pytest.fixture
def market(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> Market:
    """A seller in Paris, on the first of March 2026."""
    return Market(rooms, monkeypatch, "2026-03-01")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch, database: str) -> Iterator[Mailbox]:
    """A mail server that this Master sends by."""
    from django.conf import settings

    with mail_server() as served:
        monkeypatch.setattr(settings, "SMTP_URL", f"smtp://127.0.0.1:{served.port}")
        monkeypatch.setattr(settings, "MAIL_FROM", "Freehold <cloud@example.net>")
        monkeypatch.setattr(settings, "PUBLIC_URL", "https://cloud.example.net")
        yield served


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch, database: str) -> None:
    """Nobody has tried a password, or asked for a letter."""
    from freehold.master.people import actions, invitations, letters, resets, sign_up
    from freehold.master.people.throttle import Throttle

    tries = Throttle()
    for room in (actions, invitations, resets, sign_up):
        monkeypatch.setattr(room, "throttle", tries)
    monkeypatch.setattr(letters, "asking", Throttle())

"""The fixtures of the Master's rooms without a server."""

import pytest

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

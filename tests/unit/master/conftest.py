"""The fixture of the Master's rooms without a server."""

import pytest

from unit.master.rooms import Rooms


@pytest.fixture
def rooms(database: str) -> Rooms:
    """The rooms on emptied tables."""
    return Rooms(database)

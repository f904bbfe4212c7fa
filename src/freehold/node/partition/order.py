"""What the agent tells a child to configure."""

import msgspec

from freehold.protocol.feed import WantedPeer
from freehold.protocol.size import UNNAMED, Size


class Guest(msgspec.Struct, frozen=True):
    """A shared instance that the instance serves."""

    instance: str
    type: str
    wanted: str
    parameters: str
    """JSON object."""
    seed: str


class ConfigureOrder(msgspec.Struct, frozen=True):
    """What to configure, and where."""

    instance: str
    title: str
    type: str
    address: str
    folder: str
    software: str
    parameters: str
    """JSON object."""
    seed: str = ""
    """Of the secrets that survive the node."""
    child_publications: str = "{}"
    """JSON: what the requested instances published, by title."""
    cluster: str = "{}"
    """JSON: of a member of a cluster, who its siblings are."""
    size: Size = UNNAMED
    """What it may use, with its node's limits where it names none."""
    peers: list[WantedPeer] = []
    """The others of its tree."""
    runs: dict[str, str] = {}
    """Of each job that somebody had run: the token of the last time."""
    guests: list[Guest] = []

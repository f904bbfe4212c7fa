"""What a node must do: the Master's answer to `GET /node/v1/feed?since=REVISION&wait=SECONDS`."""

from typing import Annotated

import msgspec

from freehold.protocol import VERSION
from freehold.protocol.size import WantedSize
from freehold.protocol.states import SoftwareWanted, Wanted
from freehold.protocol.stream import StreamRequest

Revision = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Installation(msgspec.Struct, frozen=True, omit_defaults=True):
    """A release that this node must have built, or may forget."""

    release: str
    """SHA-256 of the release's archive, in hexadecimal: the release's identity everywhere."""
    revision: Revision
    wanted: SoftwareWanted
    name: str = ""
    """Product and version, for people."""


class WantedRestart(msgspec.Struct, frozen=True):
    """That a service is to be started anew."""

    process: str
    """Its name; empty: every service of the instance."""
    token: str


class WantedSibling(msgspec.Struct, frozen=True, omit_defaults=True):
    """A member of a cluster, as all members know it."""

    ordinal: int
    title: str
    address: str
    node: str
    """Title."""
    site: str
    published: msgspec.Raw = msgspec.Raw(b"{}")
    """What it published of what they share: a JSON object."""


class WantedMembership(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a member of a cluster is told of it."""

    name: str
    ordinal: int
    """Its own."""
    secret: str
    """From it the release derives what all members know, and nobody else. Hexadecimal."""
    members: list[WantedSibling]
    """All of them, itself included."""
    leaving: bool = False
    """It runs what it has to do before it stops for good."""


class WantedPeer(msgspec.Struct, frozen=True):
    """Another instance of the same tree."""

    title: str
    """Whole."""
    address: str


class WantedInstance(msgspec.Struct, frozen=True, omit_defaults=True):
    """An instance placed on this node."""

    instance: str
    revision: Revision
    """The node's revision at which this instance last changed; reports about it quote this number."""
    partition: str
    release: str
    type: str
    wanted: Wanted
    title: str = ""
    tree: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    """A JSON object, already validated by the Master against the schema of the release's type."""
    seed: str = ""
    """From it the release derives the secrets that survive the loss of this node. Hexadecimal."""
    child_publications: msgspec.Raw = msgspec.field(default=msgspec.Raw(b"{}"), name="given")
    """What the instances that it requested published: a JSON object by title, each a JSON object."""
    movable: bool = False
    """It holds no data of its own: when this node's lease is over, it runs elsewhere, and must not run here."""
    hold: bool = False
    """It is not begun here yet, for it may run elsewhere; where it runs already it goes on."""
    restarts: list[WantedRestart] = []
    """The last one of each service. A service that runs by another token is started anew, once."""
    cluster: WantedMembership | None = None
    """Of a member of a cluster."""
    peers: list[WantedPeer] = []
    """The others of its tree, if its type wants to know them."""
    size: WantedSize = WantedSize()
    """What it may use here."""


class SharedInstance(msgspec.Struct, frozen=True, omit_defaults=True):
    """A shared instance: it has no partition, its host instance serves it.

    Nothing here says whose it is: the host needs its parameters and no more.
    """

    instance: str
    revision: Revision
    host: str
    """The instance on this node that serves it."""
    type: str
    wanted: Wanted
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    seed: str = ""


class Feed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that changed for a node after the revision it named.

    With `snapshot` true the lists are complete: what the node knows and does not find here is no longer
    its own. Otherwise they hold only rows whose revision is greater than the one asked for.
    """

    revision: Revision
    """The bookmark to send as `since` next time."""
    time: float
    """The Master's clock, seconds since 1970 UTC: a node without a clock of its own can tell the date."""
    next_contact: float
    """Seconds after which the node should ask again (it may wait on the connection instead)."""
    snapshot: bool = False
    installations: list[Installation] = []
    instances: list[WantedInstance] = []
    shared: list[SharedInstance] = []
    lease: float = 0.0
    """Seconds after the last accepted report during which movable instances may run here; 0: for ever."""
    epoch: int = 0
    """The node's present epoch: in a later one than the node's own, its reports and its feed begin anew."""
    streams: list[StreamRequest] = []
    """What the node is asked to show now, told to nodes that say `streams=1` in their question; maybe again."""
    version: int = msgspec.field(default_factory=lambda: VERSION)
    """Always sent: made this way, `omit_defaults` does not leave it out, and an older node can see a newer one."""

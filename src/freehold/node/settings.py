"""What makes a machine this node: one JSON file, written by `prepare` and `enrol`."""

import os
from pathlib import Path

import msgspec

from freehold import durable
from freehold.node.errors import SettingsError
from freehold.protocol import UNREADABLE
from freehold.protocol.size import Size


class PartitionSlot(msgspec.Struct, frozen=True):
    """A partition of this machine."""

    name: str
    address: str
    uid: int | None = None
    """Its Unix user; None on an unprivileged node, where all share the agent's."""
    gid: int | None = None


class Limits(msgspec.Struct, frozen=True):
    """What each partition may use at most. 0: what the machine's size suggests, or no limit at all (cpu, disk)."""

    memory_mb: int = 0
    """Without a number half of the machine's: one alone cannot take it all."""
    processes: int = 2000
    """Processes and threads."""
    cpu_percent: int = 0
    """Of one core; without a number all that others leave."""
    disk_mb: int = 0
    """Without a number all but the node's reserve."""
    files: int = 1_000_000
    open_files: int = 0
    """That one process may have open; without a number as many as the node's own processes may."""

    def for_machine(self, memory_mb: int) -> "Limits":
        """Return the limits on a machine with so much memory."""
        return self if self.memory_mb else msgspec.structs.replace(self, memory_mb=max(64, memory_mb // 2))

    def for_size(self, size: Size) -> "Limits":
        """Return the limits of an instance of a size: what that names is so, whatever the node allows others."""
        named = {
            "memory_mb": size.memory_mb,
            "cpu_percent": size.cpu_percent,
            "disk_mb": size.disk_mb,
            "processes": size.processes,
            "open_files": size.open_files,
        }
        return msgspec.structs.replace(self, **{name: value for name, value in named.items() if value})


class Settings(msgspec.Struct, frozen=True):
    """The node's settings. Empty strings: not enrolled yet."""

    tag: str
    """Eight letters, different on every node: distinguishes the users and addresses of nodes on one machine."""
    unprivileged: bool
    interface: str = "lo"
    network: str = ""
    slots: list[PartitionSlot] = []
    master: str = ""
    node: str = ""
    epoch: int = 0
    title: str = ""
    certificate_ends: float = 0.0
    """When the node's certificate ends, seconds since 1970 UTC."""
    certificate_begins: float = 0.0
    cache_mb: int = 4096
    """Megabytes of builds and downloads that are kept here, so that none is needed from elsewhere again."""
    mirrors: list[str] = msgspec.field(default_factory=lambda: ["master"])
    """Where builds and downloads are looked for, in this order: URLs, folders, and `master`."""
    shares: bool = False
    """Whether finished builds are kept for others also when no Master wants them, to be carried to them."""
    trusted: list[str] = []
    """Builders that are believed though our Master does not vouch for them: SHA-256 of their public keys."""
    limits: Limits = Limits()
    disk_reserve_mb: int = 1024
    """Megabytes that partitions leave free, so that the node itself can go on; a tenth of a smaller disk."""
    outbox_mb: int = 64
    """Megabytes of reports that may wait for the Master before their history is thinned."""


class Paths:
    """Where things are below the node's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "node.json"
        self.store = root / "node.sqlite"
        self.store_keys = root / "identity" / "store-keys"
        """Keys of private buckets among its mirrors."""
        self.identity = root / "identity"
        self.key = self.identity / "key.pem"
        self.certificate = self.identity / "certificate.pem"
        self.authority = self.identity / "authority.pem"
        self.software = root / "software"
        self.cache = root / "cache"
        self.kept = root / "kept"
        self.partitions = root / "partitions"
        self.run = root / "run"
        self.lock = self.run / "agent.lock"


def default_root() -> Path:
    """Return the node's folder when none is named."""
    if "FREEHOLD_NODE_ROOT" in os.environ:
        return Path(os.environ["FREEHOLD_NODE_ROOT"])
    if os.geteuid() == 0:
        return Path("/srv/freehold")
    return Path.home() / ".local" / "share" / "freehold-node"


def load(root: Path) -> Settings:
    """Return the settings of a node's folder; raise SettingsError when there are none, or of another spelling."""
    path = Paths(root).settings
    try:
        content = path.read_bytes()
        settings = msgspec.json.decode(content, type=Settings)
    except FileNotFoundError:
        raise SettingsError(f"{root} is not a node's folder yet. Run: freehold node prepare --root {root}") from None
    except (OSError, *UNREADABLE) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from None
    # A node without partitions would think that all of its instances are to go.
    if not settings.slots and "places" in msgspec.json.decode(content):
        raise SettingsError(f"{path} calls its partitions 'places'; they are 'slots' now. Rename that key.")
    return settings


def save(root: Path, settings: Settings) -> None:
    """Write the settings; after a power cut either the old or the new ones are there."""
    durable.replace(Paths(root).settings, msgspec.json.format(msgspec.json.encode(settings)), 0o600)

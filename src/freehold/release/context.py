"""What a plan is made from, besides the parameters."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, overload

import msgspec

from freehold.protocol.size import UNNAMED, Size
from freehold.release import authority
from freehold.release.parts import Certificate, Cluster, Request

FIRST_PORT = 20_000

Secret = Annotated[str, msgspec.Meta(extra_json_schema={"format": "password"})]
"""A text that a panel hides until it is asked for: for fields of parameters and publications."""


@dataclass(frozen=True)
class Shared:
    """A shared instance that this one serves."""

    instance: str
    """Its id; stable, and unique: made of lower-case letters, digits and one dash."""
    type: str
    parameters: Any
    """A struct of the shared type's parameters."""
    state: Literal["started", "stopped"] = "started"
    seed: str = ""

    def secret(self, name: str) -> str:
        """Return a secret of this shared instance alone: 32 hexadecimal characters, the same on every node."""
        return derive(self.seed, name)


@dataclass(frozen=True)
class Sibling:
    """A member of a cluster, as all members know it."""

    ordinal: int
    title: str
    address: str
    node: str
    """Title of the node where it is."""
    site: str
    published: Mapping[str, Any] = field(default_factory=dict)
    """What it published of what the cluster shares; empty of oneself."""


@dataclass(frozen=True)
class Peer:
    """Another instance of the same tree."""

    title: str
    """Whole, such as `shop/database`."""
    name: str
    """What the host name of it is: `database` for `shop/database`, `standby.database` for one below that."""
    address: str


@dataclass(frozen=True)
class ClusterView:
    """What an instance that was requested as a member of a `Cluster` knows of it."""

    name: str
    ordinal: int
    members: tuple[Sibling, ...]
    """All of them, itself included, by ordinal."""
    leaving: bool = False
    """It is one too many: it runs `Plan.leave`, and is destroyed when that ended well."""
    seed: str = ""

    @property
    def me(self) -> Sibling:
        """The instance itself."""
        return next(member for member in self.members if member.ordinal == self.ordinal)

    @property
    def others(self) -> tuple[Sibling, ...]:
        """All members but itself."""
        return tuple(member for member in self.members if member.ordinal != self.ordinal)

    @property
    def authority(self) -> str:
        """Certificate (PEM) of the authority that signs each `Certificate(…, of_cluster=True)` of all members."""
        return authority.pem(self.seed, self.name)

    def secret(self, name: str) -> str:
        """Return a secret that all members know, and nobody else: 32 hexadecimal characters, the same for ever."""
        return derive(self.seed, name)


@dataclass(frozen=True)
class Context:
    """Where and for whom an instance is configured."""

    instance: str
    """The instance's id."""
    title: str
    type: str
    address: str
    """The partition's own address: fixed ports on it are safe."""
    partition: Path
    """The partition's folder."""
    software: Path
    """The folder in which buildout built the release: `bin`, `parts`, …"""
    release: Path
    """The folder of the release's own files: what stands beside `instance.py`."""
    shared: tuple[Shared, ...] = ()
    """The shared instances that this one serves, by id."""
    child_publications: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the instances that this one requested published, by title. See `returned`."""
    seed: str = ""
    """From which the secrets derive that stay on this node."""
    surviving_seed: str = ""
    """From which the secrets derive that survive the loss of this node."""
    ports: dict[str, int] = field(default_factory=dict)
    """The ports chosen so far, by name."""
    certificates: Mapping[str, str] = field(default_factory=dict)
    """The certificates there are (PEM), by name."""
    cluster: ClusterView | None = None
    """Of a member of a cluster: who its siblings are."""
    peers: tuple[Peer, ...] = ()
    """The others of its tree, by title, if its type says `peers=True`."""
    size: Size = UNNAMED
    """What the instance may use: as ordered, or else its node's limits. 0: no limit."""

    def secret(self, name: str, *, survives_node: bool = False) -> str:
        """Return a secret: 32 hexadecimal characters, the same at every configuration, written nowhere.

        It derives from random bytes in the partition. With `survives_node` it derives from random bytes that
        the Master keeps: then it is the same when the instance lives on another node. For a new secret take a
        new name.
        """
        return derive(self.surviving_seed if survives_node else self.seed, name)

    def port(self, name: str) -> int:
        """Return a port for this name: the same at every configuration, another one for each name."""
        if name not in self.ports:
            self.ports[name] = max(self.ports.values(), default=FIRST_PORT - 1) + 1
        return self.ports[name]

    def pem(self, certificate: Certificate) -> str:
        """Return a certificate of the plan, to be published for whoever connects."""
        return self.certificates.get(certificate.name, "")

    @overload
    def returned(self, request: Request) -> Mapping[str, Any] | None: ...

    @overload
    def returned(self, request: Cluster) -> tuple[Mapping[str, Any], ...] | None: ...

    def returned(self, request: Request | Cluster) -> Mapping[str, Any] | tuple[Mapping[str, Any], ...] | None:
        """Return what a requested instance published, or of a cluster what each member did, by ordinal.

        None until all that it `returns` is there.
        """
        if isinstance(request, Cluster):
            publications = [self._child_publication(title, request.returns) for title in request.titles]
            there = tuple(publication for publication in publications if publication is not None)
            return there if len(there) == len(publications) else None
        return self._child_publication(request.title, request.returns)

    def _child_publication(self, title: str, names: tuple[str, ...]) -> Mapping[str, Any] | None:
        publication = self.child_publications.get(title)
        return None if publication is None or any(name not in publication for name in names) else publication


def derive(seed: str, name: str) -> str:
    """Return the secret of a name: 128 bits of HMAC-SHA256, of which nobody finds the seed or another secret."""
    return hmac.new(bytes.fromhex(seed), name.encode(), hashlib.sha256).hexdigest()[:32]

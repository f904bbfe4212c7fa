"""What the Master reads of a release: `software.cfg.json`, in the shape SlapOS gave it.

An archive of a release holds this file at its top with the schemas it names beside it. The Master reads
nothing else of a release; only nodes unpack and run it.
"""

import re
from enum import StrEnum

import msgspec

from freehold.protocol.size import UNNAMED, Size

DESCRIPTOR = "software.cfg.json"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What a product may be called."""
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}")


MOST_REQUEST_TYPES, MOST_REQUESTS = 50, 2000
"""Types of others that the instances of one type may request, and instances that one instance may request."""


LONGEST_CHANGE = 30 * 86400.0
"""Seconds that a member of a cluster may take to be ready with a change, or to leave."""


class Apart(StrEnum):
    """How far from each other instances are of a kind that one instance requests."""

    ANYHOW = ""
    """They may be together."""
    NODE = "node"
    """No two are on one node."""
    SITE = "site"
    """No two are on nodes of one site."""


class RequestDescriptor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Other instances that an instance of a type may request, as parts of itself."""

    product: str
    type: str = "default"
    shared: bool = False
    """They have no partition of their own; must be as the type itself says."""
    number: int | str = 1
    """How many: a number, or the name of an integer parameter of the type that says it."""
    apart: Apart = Apart.ANYHOW
    """How far from each other they are."""


class TypeDescriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename={"host": "software-type"}):
    """One flavour of the software."""

    title: str
    request: str
    """File name of the JSON schema (draft 2020-12) of the parameters."""
    response: str
    """File name of the JSON schema of the publication."""
    description: str = ""
    index: int = 0
    """Where it stands in a list shown to people."""
    weight: int = 1
    """How much of a node's capacity one instance takes."""
    data: bool = True
    """It holds data that stay on its node; without, it may be moved to another node by itself."""
    shared: bool = False
    """An instance of this type has no partition of its own: it lives on an instance of type `host`."""
    host: str = ""
    """For a shared type: the type of the instances that take it in."""
    requests: tuple[RequestDescriptor, ...] = ()
    """What its instances may request of others; anything else is refused."""
    orderable: bool = True
    """Customers may order it; otherwise only instances may request it."""
    peers: bool = False
    """Its instances are told which others there are in their tree, and where."""
    size: Size = UNNAMED
    """What its instances may use, unless their order or offer says otherwise."""


class Descriptor(msgspec.Struct, frozen=True, rename={"types": "software-type"}):
    """A release as its author describes it."""

    name: str
    """The product."""
    version: str
    description: str
    types: dict[str, TypeDescriptor]
    serialisation: str = "json-in-xml"
    goes_back: bool | msgspec.UnsetType = msgspec.UNSET
    """An instance that ran it may have an older version again: unless it says no."""

"""The words for what is wanted and what is found."""

from enum import StrEnum


class Wanted(StrEnum):
    """What the customer wants of an instance."""

    STARTED = "started"
    STOPPED = "stopped"
    DESTROYED = "destroyed"


class Observed(StrEnum):
    """What the node found of an instance."""

    WAITING = "waiting"
    """Accepted; its release is not built yet."""
    CONFIGURING = "configuring"
    STARTED = "started"
    STOPPED = "stopped"
    FAILED = "failed"
    """Could not be configured or started; it is tried again later and the message says why."""
    DESTROYED = "destroyed"
    """Processes gone, folder empty, partition free again."""


class SoftwareWanted(StrEnum):
    """What the operator wants of a release on a node."""

    AVAILABLE = "available"
    REMOVED = "removed"


class SoftwareObserved(StrEnum):
    """What the node found of a release."""

    BUILDING = "building"
    AVAILABLE = "available"
    FAILED = "failed"
    REMOVED = "removed"


class Stopped(StrEnum):
    """What an operator stopped of a node."""

    NODE = "node"
    """All of it: its services ended too."""
    AGENT = "agent"
    """Its agent: its services run on, and nobody looks after them."""

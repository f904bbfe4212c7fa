"""What a node tells: numbered, hash-chained reports, applied exactly once by the Master.

A node numbers its reports 1, 2, 3 … within an epoch (an enrolment). The hash of report *n* is
`SHA-256(hash of n-1 as 32 bytes ‖ body of n as sent)`; the hash before report 1 is 32 zero bytes. The Master
keeps the number and hash of the last report it applied, in the same transaction as its effects: resending
is harmless, gaps and forks are refused.
"""

import hashlib
from typing import Annotated

import msgspec

from freehold.protocol import VERSION
from freehold.protocol.meters import MeterValues
from freehold.protocol.states import Observed, SoftwareObserved, Stopped

GENESIS = "0" * 64

Statement = Annotated[str, msgspec.Meta(max_length=1024)]
"""Opaque to everybody but the Master that made it."""


class PartitionFacts(msgspec.Struct, frozen=True):
    """A place on the node where one instance can live."""

    name: str
    address: str


class HostPromise(msgspec.Struct, frozen=True):
    """A promise of the machine itself, not of an instance: what its owner should know."""

    name: str
    kept: bool
    message: str = ""


class HostFacts(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="host"):
    """What the machine offers; sent at first contact and when it changes."""

    partitions: list[PartitionFacts]
    cpus: int = 0
    memory_mb: int = 0
    disk_mb: int = 0
    architecture: str = ""
    system: str = ""
    agent: str = ""
    """The version of the agent."""
    protections: dict[str, bool] = {}
    """What stands between its partitions, by name: whether it holds. Empty: an agent that does not say."""
    promises: list[HostPromise] = []
    lease: float = 0.0
    """The lease that the node obeys, in seconds; 0: none, it serves for ever without its Master."""


class SoftwareReport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="software"):
    """The state of a release on the node."""

    release: str
    state: SoftwareObserved
    message: str = ""
    """When failed: the last lines of the build's log."""


class InstanceReport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="instance"):
    """The state of an instance, as of one revision of what was wanted."""

    instance: str
    revision: int
    state: Observed
    message: str = ""
    promises: list[str] = []
    """The names of all promises of this configuration: the instance is ready when each has been kept."""
    processes: list[str] = []
    """The names of its services, each of which can be restarted."""


class PublicationReport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="publication"):
    """What an instance gives back to its requester: addresses, passwords."""

    instance: str
    revision: int
    values: dict[str, object]


class AssessmentReport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="assessment"):
    """The result of a promise at a time; sent when it changes and at a slow heartbeat."""

    instance: str
    revision: int
    promise: str
    kept: bool
    at: float
    message: str = ""


class UsageReport(MeterValues, frozen=True, omit_defaults=True, tag_field="kind", tag="usage"):
    """Cumulative counters of one instance since it was placed, by meter; they only grow.

    A counter that this machine cannot measure is absent, not zero.
    """

    instance: str
    at: float
    series: str = ""
    """What these counters belong to: another series begins at zero, after a machine lost its memory or was replaced."""


class AsideReport(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="aside"):
    """An item that the node could not send: it, or the Master, found that its form is beyond what is accepted.

    It stands in the item's place, so that the chain goes on.
    """

    item: str
    """Its kind, as in `kind`; `report` when the whole report could not be read."""
    reason: str
    instance: str = ""
    """Of which it told, if of one."""


class FarewellReport(msgspec.Struct, frozen=True, tag_field="kind", tag="farewell"):
    """The operator of the node stopped it: while nothing comes after this, it is not heard because of that."""

    stopped: Stopped


Item = (
    HostFacts
    | SoftwareReport
    | InstanceReport
    | PublicationReport
    | AssessmentReport
    | UsageReport
    | AsideReport
    | FarewellReport
)


class ReportBody(msgspec.Struct, frozen=True):
    """The content of one report. No items: a heartbeat."""

    at: float
    """The node's clock when the report was written, seconds since 1970 UTC."""
    items: list[Item]


class Report(msgspec.Struct, frozen=True):
    """One link of the chain. `body` is kept as the bytes that were sent, because the hash covers those."""

    sequence: int
    hash: str
    body: msgspec.Raw


class ReportBatch(msgspec.Struct, frozen=True):
    """The request body of `POST /node/v1/reports`: consecutive reports, oldest first."""

    epoch: int
    reports: list[Report]
    version: int = VERSION
    statement: Statement | msgspec.UnsetType = msgspec.UNSET
    """The last statement of this Master that the node has."""


class Applied(msgspec.Struct, frozen=True):
    """The Master's answer: every report up to `sequence` is durably applied and may be forgotten."""

    sequence: int
    next_contact: float
    refused: int = 0
    """How many items of this batch the Master set aside (unknown instance, impossible value); it kept them
    with their reason, so the node need not send them again."""
    statement: Statement | msgspec.UnsetType = msgspec.UNSET
    """What the Master knows now, in a form that only it can make and read. The node keeps the last one and shows it
    with each request: a Master that was restored from an older copy sees by it that it knows less than it did."""


def link(previous: str, body: bytes) -> str:
    """Return the hash of a report from the hash before it and its body as sent."""
    return hashlib.sha256(bytes.fromhex(previous) + body).hexdigest()

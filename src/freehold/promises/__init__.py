"""Checks that must hold, for release authors. A promise is a frozen dataclass with a `check` method.

In a plan: `promises={"page": Http("http://…/", contains="hello")}`. In a plug-in file `etc/plugin/NAME.py` of
a partition: a module with a variable `promise`, or a function of that name made a promise by `every`; files written for
SlapOS (`RunPromise`) work as they are. `check` may block; the node runs it as the partition's user with a deadline of
`timeout` seconds, every `period` seconds, and more often until it is first kept.
"""

from typing import Any

from freehold.promises.base import Assessment, Promise, every, source
from freehold.promises.certificate import CertificateMatchesKey, CertificateValid, ServerCertificate
from freehold.promises.command import Command
from freehold.promises.dns import DnsName
from freehold.promises.files import BackupAge, FileState, LogErrors, QueueDepth, RestoreTested
from freehold.promises.http import Http
from freehold.promises.machine import (
    ClockDrift,
    CpuLoad,
    DiskSpace,
    Inodes,
    MemoryFree,
    NetworkErrors,
    Temperature,
)
from freehold.promises.ping import Ping
from freehold.promises.process import ProcessLives
from freehold.promises.sql import ReplicationLag, SqlValue
from freehold.promises.task import JobRan, TaskDone
from freehold.promises.tcp import TcpPort
from freehold.promises.udp import UdpPort
from freehold.promises.websocket import WebSocket

KINDS: tuple[type[Any], ...] = (
    TcpPort,
    UdpPort,
    Http,
    WebSocket,
    DnsName,
    Ping,
    ServerCertificate,
    CertificateValid,
    CertificateMatchesKey,
    Command,
    ProcessLives,
    FileState,
    LogErrors,
    QueueDepth,
    BackupAge,
    RestoreTested,
    SqlValue,
    ReplicationLag,
    DiskSpace,
    Inodes,
    MemoryFree,
    CpuLoad,
    Temperature,
    NetworkErrors,
    ClockDrift,
    TaskDone,
    JobRan,
)
"""Every ready-made promise."""


def schema(kind: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a ready-made promise's fields."""
    import msgspec

    schema: dict[str, Any] = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return schema


__all__ = [
    "KINDS",
    "Assessment",
    "BackupAge",
    "CertificateMatchesKey",
    "CertificateValid",
    "ClockDrift",
    "Command",
    "CpuLoad",
    "DiskSpace",
    "DnsName",
    "FileState",
    "Http",
    "Inodes",
    "JobRan",
    "LogErrors",
    "MemoryFree",
    "NetworkErrors",
    "Ping",
    "ProcessLives",
    "Promise",
    "QueueDepth",
    "ReplicationLag",
    "RestoreTested",
    "ServerCertificate",
    "SqlValue",
    "TaskDone",
    "TcpPort",
    "Temperature",
    "UdpPort",
    "WebSocket",
    "every",
    "schema",
    "source",
]

"""Checks that must hold, for release authors. A promise is a frozen dataclass with a `check` method.

In a plan: `promises={"page": Http("http://…/", contains="hello")}`. In a plug-in file `etc/plugin/NAME.py` of
a partition: a module with a variable `promise`. `check` may block; the node runs it as the partition's user
with a deadline of `timeout` seconds, every `period` seconds, and more often until it is first kept.
"""

from freehold.promises.base import Assessment, Promise, source
from freehold.promises.certificate import CertificateValid
from freehold.promises.command import Command
from freehold.promises.http import Http
from freehold.promises.task import JobRan, TaskDone
from freehold.promises.tcp import TcpPort

__all__ = [
    "Assessment",
    "CertificateValid",
    "Command",
    "Http",
    "JobRan",
    "Promise",
    "TaskDone",
    "TcpPort",
    "source",
]

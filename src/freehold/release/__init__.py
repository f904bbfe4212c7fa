"""What a release author imports in `instance.py`. See `docs/authors/reference.md`."""

from freehold.protocol.size import Size
from freehold.release.context import ClusterView, Context, Peer, Secret, Shared, Sibling
from freehold.release.errors import ReleaseError
from freehold.release.parts import (
    Certificate,
    Cluster,
    File,
    Job,
    LogRotation,
    Network,
    Process,
    Refusal,
    Request,
    Task,
    template,
)
from freehold.release.plan import Plan, Release, RequestType, SharedType, Type, make_plan

__all__ = [
    "Certificate",
    "Cluster",
    "ClusterView",
    "Context",
    "File",
    "Job",
    "LogRotation",
    "Network",
    "Peer",
    "Plan",
    "Process",
    "Refusal",
    "Release",
    "ReleaseError",
    "Request",
    "RequestType",
    "Secret",
    "Shared",
    "SharedType",
    "Sibling",
    "Size",
    "Task",
    "Type",
    "make_plan",
    "template",
]

"""What a release author imports in `instance.py`. See `docs/authors/reference.md`."""

from freehold.release.context import Context, Secret, Shared
from freehold.release.errors import ReleaseError
from freehold.release.parts import (
    Certificate,
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
    "Context",
    "File",
    "Job",
    "LogRotation",
    "Network",
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
    "Task",
    "Type",
    "make_plan",
    "template",
]

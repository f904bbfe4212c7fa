"""Releases of trees, and instances that request others."""

import gzip
import io
import json
import tarfile
from typing import Any

ANYTHING = {"type": "object", "additionalProperties": True}
PARTS = [
    {"product": "tiny", "type": "other", "number": 9},
    {"product": "tiny", "number": 9},
    {"product": "tiny", "type": "huge"},
    {"product": "nothing", "type": "other"},
    {"product": "store"},
    {"product": "store", "type": "shelf", "shared": True},
]
"""What instances of every type here may request."""
SIZED = {"type": "object", "properties": {"size": {"type": "integer", "maximum": 9}}, "additionalProperties": False}


def packed(name: str, version: str = "1.0", **types: Any) -> bytes:
    """Return the archive of a release with these types, as an author would publish it."""
    described = {
        kind: {"title": kind, "request": "in.json", "response": "out.json", "requests": PARTS, **more}
        for kind, more in types.items()
    }
    files = {
        "software.cfg.json": {"name": name, "version": version, "description": "", "software-type": described},
        "in.json": ANYTHING if version == "1.0" else SIZED,
        "out.json": ANYTHING,
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in files.items():
            text = json.dumps(content).encode()
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return gzip.compress(buffer.getvalue(), mtime=0)


def ask_cluster(parent: str, name: str, size: int, *, each: dict[str, float] | None = None, **more: Any) -> Any:
    """Have an instance request a cluster, of whose members `each` has a size, and nothing else; return why not."""
    from freehold.master.ordering import actions, children
    from freehold.master.ordering.clusters import ClusterRequest
    from freehold.master.people import identity

    member = {key: more.pop(key) for key in ("product", "type", "release", "parameters") if key in more}
    group = ClusterRequest(actions.Request("shop", name, size=each, **member), size, **more)
    acting = identity.by_certificate(identity.ActorKind.INSTANCE, parent)
    return children.request_children({}, groups={name: group}, acting=acting)[name]


def ask(parent: str, await_ready: tuple[str, ...] = (), **specs: dict[str, Any]) -> dict[str, Any]:
    """Have an instance request these, and no others; of some it wants to know only when they are ready."""
    from freehold.master.ordering import actions, children
    from freehold.master.people import identity

    kind: dict[str, Any] = {"product": "tiny", "type": "other"}
    requests = {title: actions.Request("shop", title, **(kind | spec)) for title, spec in specs.items()}
    acting = identity.by_certificate(identity.ActorKind.INSTANCE, parent)
    return children.request_children(requests, await_ready=await_ready, acting=acting)

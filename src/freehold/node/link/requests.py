"""What an instance requests of others: sent in a child, as the partition's user, with the instance's own certificate.

The agent does not do this itself: it would have to read a certificate and key where the partition's user can put
another's.
"""

from pathlib import Path

import msgspec

from freehold.node.clock import Clock, Hardware
from freehold.node.link.client import Link
from freehold.node.partition.layout import ChildCluster
from freehold.protocol.problem import Problem

PATH = "/api/v1/instance/requests"


class RequestLetter(msgspec.Struct, frozen=True):
    """What to send, and for whom."""

    master: str
    folder: str
    """Of the partition."""
    requests: dict[str, dict[str, object]]
    await_ready: list[str]
    """Titles of those of which it wants to know only when they are ready."""
    clusters: list[ChildCluster]
    now: float
    """The time by the agent's clock."""


class _Grant(msgspec.Struct, frozen=True):
    granted: bool
    problem: Problem | None = None


def send(payload: bytes) -> bytes:
    """Send a `Letter` (JSON); return in words what the Master did not grant, nothing when it granted all."""
    letter = msgspec.json.decode(payload, type=RequestLetter)
    ours = Path(letter.folder) / ".freehold"
    time = Clock(letter.now - Hardware().since_boot(), heard=True)
    link = Link(letter.master, ours / "authority.pem", (ours / "certificate.pem", ours / "key.pem"), time=time)
    body: dict[str, object] = {"requests": letter.requests}
    if letter.clusters:
        clusters = {cluster.name: msgspec.to_builtins(cluster) for cluster in letter.clusters}
        body["clusters"] = {
            name: {key: cluster[key] for key in cluster if key != "name"} for name, cluster in clusters.items()
        }
    if letter.await_ready:
        # An older Master refuses what it does not know.
        body["await_ready"] = letter.await_ready
    _, content, _ = link.call("PUT", PATH, msgspec.json.encode(body))
    grants = msgspec.json.decode(content, type=dict[str, _Grant])
    refused = [
        f"'{title}' was not granted: {grant.problem.title}: {grant.problem.detail} {grant.problem.remedy}".strip()
        for title, grant in sorted(grants.items())
        if grant.problem is not None
    ]
    return "\n".join(refused).encode()

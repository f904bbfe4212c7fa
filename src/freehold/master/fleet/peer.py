"""The client certificate of a request that came through Django."""

from django.http import HttpRequest

from freehold.master.fleet import queries
from freehold.master.people import identity
from freehold.master.people.identity import NODE, ActorKind

PEER = "freehold.peer"


def fingerprint(request: HttpRequest) -> str | None:
    """Return the SHA-256 of the client's certificate, as the server saw it in the handshake."""
    scope = request.META.get("asgi.scope") or {}
    peer: str | None = scope.get("extensions", {}).get(PEER)
    return peer


def node_of(request: HttpRequest, *, renewing: bool = False) -> str:
    """Return the id of the node that calls; with `renewing` also one whose certificate is over.

    Raise Unauthenticated, or Forbidden for who is no node.
    """
    node = queries.identify(fingerprint(request), "node", renewing=renewing)
    identity.by_certificate(ActorKind.NODE, node).check(NODE)
    return node

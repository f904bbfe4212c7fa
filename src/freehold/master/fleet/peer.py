"""The client certificate of a request that came through Django."""

from django.http import HttpRequest

PEER = "freehold.peer"


def fingerprint(request: HttpRequest) -> str | None:
    """Return the SHA-256 of the client's certificate, as the server saw it in the handshake."""
    scope = request.META.get("asgi.scope") or {}
    found: str | None = scope.get("extensions", {}).get(PEER)
    return found

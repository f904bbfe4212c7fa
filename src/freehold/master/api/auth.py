"""How a program says who it is: an API token, or the client certificate of an instance."""

from django.http import HttpRequest
from ninja.security import HttpBearer

from freehold.master.people import identity
from freehold.master.people.identity import Caller


class Token(HttpBearer):
    """`Authorization: Bearer …`; never in a URL."""

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        return identity.by_token(token)


token = Token()


def caller(request: HttpRequest) -> Caller:
    """Return who was authenticated."""
    found = request.auth  # type: ignore[attr-defined]
    assert isinstance(found, Caller)
    return found

"""How a program says who it is, by an API token or the client certificate of an instance, and what it must be allowed.

Each operation declares its right beside itself, as its `auth`; one without does not start (`declare`).
"""

import base64
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from ninja import Router
from ninja.security import HttpBearer
from ninja.security.base import AuthBase

from freehold.master.accounting.queries import find_entity
from freehold.master.api.bodies import know_query
from freehold.master.fleet import queries as fleet
from freehold.master.fleet.peer import fingerprint
from freehold.master.foundation.errors import MasterError, Unauthenticated
from freehold.master.people import identity
from freehold.master.people.identity import ANY_PERSON, ANYBODY, ITSELF, STAFF, ActorKind, Caller, Right, Scope


class TokenAuth(HttpBearer):
    """`Authorization: Bearer …`; never in a URL."""

    def __init__(self, right: Right) -> None:
        super().__init__()
        self.right = right

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        """Return who calls; raise Unauthenticated, or Forbidden for who may not do this."""
        token_row = identity.by_token(token)
        named: dict[str, Any] = request.resolver_match.kwargs if request.resolver_match else {}
        if self.right.where == "seller":
            _check_seller(token_row, self.right, named["code"])
        else:
            token_row.check(self.right, named.get("project"))
        return token_row


class FeedAuth(TokenAuth):
    """The same, and also `Basic` with the token as the password: feed readers know no other."""

    def __call__(self, request: HttpRequest) -> Any | None:
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "basic":
            return super().__call__(request)
        try:
            text = base64.b64decode(value, validate=True).decode()
        except ValueError:
            raise Unauthenticated("This is no user and password.") from None
        return self.authenticate(request, text.partition(":")[2])


class CertificateAuth(AuthBase):
    """The client certificate of an instance."""

    openapi_type = "mutualTLS"

    def __init__(self, right: Right) -> None:
        super().__init__()
        self.right = right

    def __call__(self, request: HttpRequest) -> Caller:
        """Return the instance that calls; raise Unauthenticated or Forbidden."""
        actor = identity.by_certificate(ActorKind.INSTANCE, fleet.identify(fingerprint(request), "instance"))
        actor.check(self.right)
        return actor


class Nobody:
    """Anybody may call."""

    right = ANYBODY

    def __call__(self, request: HttpRequest) -> str:
        return "anybody"


def in_project(*scopes: Scope) -> TokenAuth:
    """Return the auth of an operation on the project in its path, for which one of the scopes is needed there."""
    return TokenAuth(identity.in_project(*scopes))


def feed_of_project(*scopes: Scope) -> FeedAuth:
    """Return the auth of a feed about the project in its path, for which one of the scopes is needed there."""
    return FeedAuth(identity.in_project(*scopes))


def of_seller(*scopes: Scope) -> TokenAuth:
    """Return the auth of an operation on the legal entity in its path, for which one of the scopes is needed there."""
    return TokenAuth(identity.of_seller(*scopes))


any_person, staff, itself, anybody = TokenAuth(ANY_PERSON), TokenAuth(STAFF), CertificateAuth(ITSELF), Nobody()


def caller(request: HttpRequest) -> Caller:
    """Return who was authenticated."""
    authenticated = request.auth  # type: ignore[attr-defined]
    assert isinstance(authenticated, Caller)
    return authenticated


def declare(router: Router) -> None:
    """Have operations know their queries and tell their rights; raise ImproperlyConfigured for one without."""
    for operation in (operation for view in router.path_operations.values() for operation in view.operations):
        rights = [getattr(auth, "right", None) for auth in operation.auth_callbacks]
        right = rights[0] if len(rights) == 1 else None
        if not isinstance(right, Right):
            raise ImproperlyConfigured(f"{operation.view_func.__name__} does not declare who may do it (`auth`).")
        operation.openapi_extra = {**(operation.openapi_extra or {}), "x-right": str(right)}
        know_query(operation)


def _check_seller(authenticated: Caller, right: Right, code: str) -> None:
    refusal: MasterError | None = None
    for scope in right.scopes:
        try:
            find_entity(code, authenticated, scope)
        except MasterError as error:
            refusal = refusal or error
        else:
            return
    if refusal is not None:
        raise refusal

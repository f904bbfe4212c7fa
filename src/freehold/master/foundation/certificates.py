"""What a client certificate opens: the same rules at the gateway's door and at Django's."""

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Forbidden, Unauthenticated


def check(kind: str, wanted: str, not_after: int, revoked_at: int | None, *, renewing: bool = False) -> None:
    """Raise Unauthenticated or Forbidden when a certificate does not open a door, saying what to do.

    `wanted` is who may come in: `node` or `instance`. With `renewing`, one that is over opens it too: who was away
    for a year still has the key, and was not revoked.
    """
    if revoked_at is not None:
        raise Unauthenticated("This certificate was revoked.", remedy="Enrol the node again with a new token.")
    if kind != wanted:
        raise Forbidden(f"This is the certificate of a {kind}; it takes one of a {wanted}.")
    if not renewing:
        check_date(not_after)


def check_date(not_after: int) -> None:
    """Raise Unauthenticated for a certificate that is over."""
    if not_after <= clock.now():
        raise Unauthenticated(
            "This certificate has expired.",
            remedy="Renew it: POST /node/v1/certificate still takes it. A node's agent does so by itself.",
        )

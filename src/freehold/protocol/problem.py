"""How the Master says no: problem documents (RFC 9457), media type `application/problem+json`."""

import msgspec

MEDIA_TYPE = "application/problem+json"


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One wrong value."""

    field: str
    """Where: a path such as `parameters.greeting`."""
    rule: str
    """Which rule it breaks, in words."""
    value: object = None
    """The value that was sent, cut short when long; never a secret."""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """One reason why nothing could be placed, with the number of nodes it excludes."""

    reason: str
    nodes: int = 0


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was wrong and what to do about it."""

    type: str
    """A stable identifier of the kind of problem, such as `invalid-parameters`; `docs/problems.md` lists all."""
    title: str
    status: int
    detail: str = ""
    remedy: str = ""
    """What the caller can do."""
    errors: list[FieldError] = []
    reasons: list[Reason] = []

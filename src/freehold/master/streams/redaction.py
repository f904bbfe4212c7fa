"""Secrets that a service is known to have are not shown in what it writes: pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from freehold.master.foundation.errors import Conflict
from freehold.master.foundation.secret_mark import MARK

SHORTEST = 4
"""Characters of a secret; what is shorter stands in every text."""
MOST_SECRETS = 2000
"""Beyond that a log is not shown: it would take too long to look for all of them."""


@dataclass(frozen=True)
class Redaction:
    """What is taken out of a text, the longest first: a part of a secret may be another one."""

    secrets: tuple[str, ...] = ()

    def of(self, text: str) -> str:
        """Return a text with a mark wherever one of the secrets stood."""
        for secret in self.secrets:
            text = text.replace(secret, MARK)
        return text


def redaction(values: Iterator[Any]) -> Redaction:
    """Return what takes these values out, and all that they hold: as they are, and as JSON and addresses hold them.

    Logs are looked at line by line, so each line of a secret is one; and so is the password within an address. Raise
    Conflict where there are too many.
    """
    forms = {form for value in values for text in _texts(value) for form in _forms(text) if len(form) >= SHORTEST}
    if len(forms) > MOST_SECRETS:
        raise Conflict(
            f"It has more than {MOST_SECRETS} secrets, too many to be taken out of its log.",
            remedy="Whoever runs its node can read the log there.",
        )
    return Redaction(tuple(sorted(forms, key=lambda form: (-len(form), form))))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (line.strip() for line in value.splitlines())
        yield from _password_in(value)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _password_in(value: str) -> Iterator[str]:
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield password


def _forms(text: str) -> Iterator[str]:
    yield text
    yield quote(text, safe="")
    for ascii_only in (True, False):
        yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]

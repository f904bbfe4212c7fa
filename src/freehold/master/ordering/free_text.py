"""What people say of an instance in their own words: kept and shown, and never read by the Master."""

import unicodedata
from typing import Any

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid
from freehold.master.foundation.transactions import audit, run
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.order import FIELDS, FREE_TEXT, OrderSpec
from freehold.protocol.problem import FieldError


def check(spec: OrderSpec) -> None:
    """Raise Invalid for what is too long, or more than one line of text."""
    for name in FREE_TEXT:
        text, longest = getattr(spec, name) or "", FIELDS[name].longest
        if len(text) > longest:
            raise Invalid(
                f"The {name} has {len(text)} characters; it has at most {longest}.",
                errors=[FieldError(name, f"maxLength: {longest}", len(text))],
            )
        # A terminal or a list would show more than text: another line, another colour.
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
            raise Invalid(
                f"The {name} is one line of text, without characters of control.",
                errors=[FieldError(name, "one line of text")],
            )


def note(spec: OrderSpec, row: dict[str, Any], actor: str) -> bool:
    """Record what is said of an instance in free text; return whether that is something else than before.

    Its node is not told, so its revision stays: nothing is configured anew.
    """
    changes = {name: getattr(spec, name) for name in FREE_TEXT}
    texts = {name: row[name] if text is None else text or None for name, text in changes.items()}
    if changed := sorted(name for name, text in texts.items() if text != row[name]):
        run(QUERIES["set_free_text"], id=row["id"], now=clock.now(), **texts)
        audit(actor, "instance.describe", row["id"], project=row["project_id"], fields=changed)
    return bool(changed)

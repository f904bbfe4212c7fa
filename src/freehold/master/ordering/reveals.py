"""Secrets of an instance, shown to whoever asks for them by name; the audit trail says who did."""

from typing import Any

from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller


def note(row: dict[str, Any], *, acting: Caller) -> None:
    """Write down that the secrets of an instance, which its reader may see, are going to be shown."""
    with writing():
        audit(acting.actor, "instance.reveal", row["id"], project=row["project_id"], title=row["title"])

"""Secrets of an instance, shown to whoever asks for them by name; the audit trail says who did."""

from typing import Any

from freehold.master.foundation.transactions import audit, writing
from freehold.master.ordering import queries
from freehold.master.people.identity import Caller, Scope


def reveal(project: str, title: str, *, acting: Caller) -> dict[str, Any]:
    """Return an instance whose secrets are going to be shown; raise NotFound."""
    row = queries.by_title(acting.project(project, Scope.READ), title)
    with writing():
        audit(acting.actor, "instance.reveal", row["id"], project=row["project_id"], title=row["title"])
    return row

"""How every list of the API is asked for in parts."""

from typing import Annotated, Any

from ninja import Query

from freehold.master.foundation.paging import MOST, USUAL

After = Annotated[str, Query(description="Go on after this one: the cursor of the last row that you have.")]
Limit = Annotated[int, Query(description=f"Rows at most, 1 to {MOST}; fewer than that: it was the end.")]


def listed(cursor: str) -> dict[str, Any]:
    """Return what the document says of a list whose cursor is this field of its rows."""
    return {"x-cursor": cursor}


__all__ = ["USUAL", "After", "Limit", "listed"]

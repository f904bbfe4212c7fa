"""Reads for the lists of operators, a page at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from freehold.master.fleet.models import Supply
from freehold.master.foundation.paging import ListPart

PAGE = 50
"""Rows on a page."""
MOST_OFFERED = 200
"""Rows that a field offers to choose from; of more, one is named."""


@dataclass(frozen=True)
class NumberedPage:
    """Some of the rows of a list."""

    rows: list[Any]
    number: int
    pages: int


def supplies(project: str, *, node: str = "", number: int = 1) -> NumberedPage:
    """Return a page, without logs, of what the nodes of a project are supplied with, or one of them by its title.

    The newest first: another order would read all of them, which are as many as releases times nodes.
    """
    supplies = Supply.objects.filter(node__project=project)
    if node:
        supplies = supplies.filter(node__title=node)
    start = (number - 1) * PAGE
    rows = supplies.order_by("-id").values(
        "id", "wanted", "observed", "beneficiary", "release__product__name", "release__version", "node__title"
    )[start : start + PAGE]
    return NumberedPage(
        [
            {
                "id": row["id"],
                "product": row["release__product__name"],
                "release": row["release__version"],
                "node": row["node__title"],
                "wanted": row["wanted"],
                "observed": row["observed"],
                "everyone": not row["beneficiary"],
            }
            for row in rows
        ],
        number,
        pages(supplies.count()),
    )


def choices(load: Callable[[ListPart], list[dict[str, Any]]]) -> list[dict[str, Any]] | None:
    """Return all rows of a list for a field that lets choose among them; None where they are too many for that."""
    rows = load(ListPart(limit=MOST_OFFERED + 1))
    return rows if len(rows) <= MOST_OFFERED else None


def numbered_part(number: int) -> ListPart:
    """Return which rows are on a page."""
    return ListPart(limit=PAGE, start=(number - 1) * PAGE)


def numbered(rows: list[Any], number: int, total: int) -> NumberedPage:
    """Return the page of these rows, of so many in all."""
    return NumberedPage(rows, number, pages(total))


def pages(total: int) -> int:
    """Return how many pages so many rows need; at least one."""
    return max(1, -(-total // PAGE))


def page_number(text: str) -> int:
    """Return the number of a page as an address says it; the first for what is none."""
    return min(int(text), 1_000_000) if text.isdecimal() and int(text) else 1

"""Long lists, a part at a time: so many rows after the one that the caller saw last.

A cursor is a field of the rows that names each of them. It says where to go on also when rows came or went meanwhile,
which a number of a page does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Field, IntegerField, Q, QuerySet

from freehold.master.foundation.errors import Invalid
from freehold.protocol.problem import FieldError

USUAL, MOST = 200, 1000
"""Rows of a part, where the caller does not say how many; and at most."""


@dataclass(frozen=True)
class ListPart:
    """The part of a list that is asked for."""

    after: str = ""
    """The cursor of the row before it; empty: it begins with the first."""
    limit: int = USUAL
    start: int = 0
    """Rows to leave out before it, for pages that have numbers."""

    @property
    def most(self) -> int:
        """Rows that it has at most."""
        return max(1, min(self.limit, MOST))


FIRST = ListPart()
"""Of rows that are few by what is asked for, as those with one number: never of a list that grows."""


def part_of(rows: "QuerySet[Any, Any]", order: Sequence[str], cursor: str, part: ListPart) -> "QuerySet[Any, Any]":
    """Return a part of rows in an order (of which the last field is unique), whose cursor is the field `cursor`.

    Raise Invalid when the row after which it is to begin is not there, which a list in the order of its cursor
    does not need to know.
    """
    rows = rows.order_by(*order)
    if "\0" in part.after:
        raise nowhere(part.after)
    if part.after:
        names = [name.removeprefix("-") for name in order]
        rows = rows.filter(_beyond(order, _place(rows, names, cursor, part.after)))
    return rows[part.start : part.start + part.most]


def nowhere(after: str) -> Invalid:
    """Return the error for a cursor that names no row."""
    words = f"there is no {after[:80]!r} in this list; leave it out to begin anew"
    return Invalid(f"after: {words}.", errors=[FieldError("after", words)])


def _place(rows: "QuerySet[Any, Any]", names: list[str], cursor: str, after: str) -> list[Any]:
    # Of another table only texts are cursors.
    field: Field[Any, Any] | None = None if "__" in cursor else rows.model._meta.get_field(cursor)
    if isinstance(field, IntegerField) and not (after.isascii() and after.isdecimal() and len(after) < 19):
        raise nowhere(after)
    if names == [cursor]:
        return [after]
    bookmark = rows.filter(**{cursor: after}).values_list(*names).first()
    if bookmark is None:
        raise nowhere(after)
    return list(bookmark)


def _beyond(order: Sequence[str], place: Sequence[Any]) -> Q:
    """Return the condition for what comes after a place: larger in the first field, or there equal and so on."""
    beyond, equal = Q(), Q()
    for name, value in zip(order, place, strict=True):
        field = name.removeprefix("-")
        beyond |= equal & Q(**{f"{field}__{'lt' if name.startswith('-') else 'gt'}": value})
        equal &= Q(**{field: value})
    return beyond

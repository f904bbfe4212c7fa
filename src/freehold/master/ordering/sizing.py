"""What an instance may use of its node: as its order says, or else as usual with its type; and another size later."""

from typing import Any

from freehold.master.fleet import partitions, revisions
from freehold.master.fleet.models import Node
from freehold.master.foundation.errors import Invalid, NoPlace
from freehold.master.ordering import resolving
from freehold.protocol.problem import FieldError, Reason
from freehold.protocol.size import Size


def of_order(title: str, values: dict[str, Any] | None, usual: Size, *, is_shared: bool) -> Size:
    """Return what an instance may use; what `values` do not name is as usual with its type. Raise Invalid."""
    if is_shared and values:
        raise Invalid(
            f"'{title}' is shared: its host has a size, and it has none.",
            errors=[FieldError("size", "none for a shared instance")],
        )
    return resolving.size_of(values or {}).over(usual)


def resize(row: dict[str, Any], size: Size) -> None:
    """Have an instance use more of its node, or less; raise NoPlace when that has not so much left."""
    revisions.take_turn()
    if not partitions.resize(row["node_id"], row["partition"], row["id"], size):
        title = Node.objects.values_list("title", flat=True).get(id=row["node_id"])
        raise NoPlace(
            f"Node '{title}', where '{row['title']}' lives, has not so much left for it.",
            reasons=[Reason("has not so much left", 1)],
            remedy="Take a smaller size, or move it to another node first.",
        )

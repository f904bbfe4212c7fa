"""Nodes on which nothing is placed: lost, or closed by their operator."""

from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import Node


def set_lost(node: str, lost_at: int | None) -> None:
    """Note since when a node is lost (milliseconds), or that it is not; in a transaction of the caller."""
    Node.objects.filter(id=node).update(lost_at=lost_at)
    sync_supplies(node)


def close(node: str) -> None:
    """Have nothing new be placed on a node; in a transaction of the caller."""
    Node.objects.filter(id=node).update(open=False)
    sync_supplies(node)

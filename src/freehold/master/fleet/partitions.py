"""Which instance has which partition, and what that leaves of its node."""

from pathlib import Path
from typing import Any

from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import Node
from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run

SQL = sql.load(Path(__file__).parent / "sql" / "partitions.sql", prepared=True)


def take(node: str, instance: str, weight: int, revision: int) -> dict[str, Any] | None:
    """Give an instance a partition of a node, with the node's next revision; return its name and address.

    None when the node has none, or no room for the weight, any more.
    """
    if not run(SQL["take_capacity"], node=node, weight=weight, revision=revision):
        return None
    (partition,) = run(SQL["take_partition"], node=node, instance=instance)
    sync_supplies(node)
    return partition


def free(node: str, partition: str, instance: str, weight: int) -> None:
    """Take a partition back from an instance, or from what was left of one; without harm when it has it no more."""
    Node.objects.select_for_update().get(id=node)
    rows = run(SQL["free_partition"], node=node, partition=partition, instance=instance)
    if rows:
        run(SQL["free_capacity"], node=node, weight=weight, partitions=int(bool(rows[0]["present"])))
        sync_supplies(node)


def keep(node: str, partition: str, instance: str, left: str) -> None:
    """Keep a partition from others for what is left there of an instance that moved away."""
    run(SQL["keep_partition"], node=node, partition=partition, instance=instance, left=left)

"""Which instance has which partition, and what that leaves of its node."""

from pathlib import Path
from typing import Any

from freehold.master.fleet.actions import sync_supplies
from freehold.master.fleet.models import Node
from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run
from freehold.protocol.size import Size

SQL = sql.load(Path(__file__).parent / "sql" / "partitions.sql", prepared=True)


def take(node: str, instance: str, weight: int, size: Size, revision: int) -> dict[str, Any] | None:
    """Give an instance a partition of a node, with the node's next revision; return its name and address.

    Of the node so much is kept for it as its size names. None when the node has none, or no room, any more.
    """
    kept = _kept(size)
    if not run(SQL["take_capacity"], node=node, weight=weight, revision=revision, **kept):
        return None
    (partition,) = run(SQL["take_partition"], node=node, instance=instance, **kept)
    sync_supplies(node)
    return partition


def free(node: str, partition: str, instance: str, weight: int) -> None:
    """Take a partition back from an instance, or from what was left of one; without harm when it has it no more."""
    Node.objects.select_for_update().get(id=node)
    rows = run(SQL["free_partition"], node=node, partition=partition, instance=instance)
    if rows:
        partitions = int(bool(rows[0].pop("present")))
        run(SQL["free_capacity"], node=node, weight=weight, partitions=partitions, **rows[0])
        sync_supplies(node)


def resize(node: str, partition: str, instance: str, size: Size) -> bool:
    """Keep of a node what another size of an instance that lives there names; return whether there is so much."""
    Node.objects.select_for_update().get(id=node)
    (before,) = run(SQL["kept"], node=node, partition=partition, instance=instance)
    after = _kept(size)
    more = {f"more_{name}": after[name] - before[name] for name in after}
    if not run(SQL["resize_capacity"], node=node, **more):
        return False
    run(SQL["resize_partition"], node=node, partition=partition, instance=instance, **after)
    return True


def _kept(size: Size) -> dict[str, int]:
    return {"cpu_percent": size.cpu_percent, "memory_mb": size.memory_mb, "disk_mb": size.disk_mb}


def keep(node: str, partition: str, instance: str, left: str) -> None:
    """Keep a partition from others for what is left there of an instance that moved away."""
    run(SQL["keep_partition"], node=node, partition=partition, instance=instance, left=left)

"""Whose an instance is: a node can speak only of those that live on it."""

from dataclasses import dataclass

from freehold.master.gateway.database import DatabaseConnection
from freehold.protocol import validation

MOST_OWNERS = 1_000_000


@dataclass(frozen=True, slots=True)
class Owner:
    """What must be known of an instance to believe a report about it."""

    node: str
    is_child: bool
    """Another instance requested it, and waits for what it publishes."""
    created_at: int


_NOBODY = Owner("", False, 0)


class Owners:
    """Where instances live, remembered between transactions; used by one thread."""

    def __init__(self, connection: DatabaseConnection) -> None:
        self._connection = connection
        self._owners: dict[str, Owner] = {}
        self._moves = 0

    def forget(self) -> None:
        """Forget all: memory may be wrong."""
        self._owners.clear()

    def forget_moved(self) -> None:
        """Forget all if an instance moved since the last call; called in each transaction."""
        rows = self._connection.rows("moves", {})
        moves = int(rows[0][0]) if rows else 0
        if moves != self._moves:
            self._owners.clear()
            self._moves = moves

    def on_node(self, node: str, instance: str) -> Owner:
        """Return what is known of an instance of this node; raise ValueError when it does not live there."""
        owner = self.look_up(instance)
        if owner.node != node:
            raise ValueError(f"instance {instance} does not live on this node")
        return owner

    def look_up(self, instance: str) -> Owner:
        """Return what is known of an instance; of an unknown one, that it is nobody's."""
        owner = self._owners.get(instance)
        if owner is None:
            validation.name(instance)
            rows = self._connection.rows("owner", {"instance": instance})
            if not rows:
                return _NOBODY
            owner = Owner(rows[0][0], rows[0][1] is not None, rows[0][2])
            if len(self._owners) >= MOST_OWNERS:
                # The one that was looked up first of all: never all of them, for all would be asked for again.
                del self._owners[next(iter(self._owners))]
            self._owners[instance] = owner
        return owner

    def has_left(self, node: str, instance: str) -> bool:
        """Return whether an instance was moved away from a node that does not know it yet, or has not tidied up."""
        owner = self._owners.get(instance)
        if owner is not None and owner.node == node:
            return False
        return bool(self._connection.rows("departed", {"instance": validation.name(instance), "node": node}))

"""A tree that nobody pays for is stopped, with its data where it is, and goes on as it was when somebody does."""

from freehold.master.fleet import revisions
from freehold.master.foundation import clock
from freehold.master.foundation.transactions import audit, run
from freehold.master.ordering import history, trees
from freehold.master.ordering.models import Instance
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.states import Wanted

ACTOR = "billing"
"""Who stops and starts it, in its history."""


def hold(trees_of: list[str]) -> None:
    """Keep trees from changing until the transaction ends. For who will suspend or resume them, before anything that is
    locked after instances (`fleet.revisions.lock_clock`).
    """
    for tree in sorted(trees_of):
        trees.lock(tree)
    if trees_of:
        revisions.lock_clock()


def suspend(tree: str) -> bool:
    """Stop a tree, in a transaction of the caller; return whether it was not suspended before.

    One with hosts that serve others is left alone: those who share it may well have paid.
    """
    trees.lock(tree)
    root = Instance.objects.get(id=tree)
    if root.suspended_at is not None or root.wanted == Wanted.DESTROYED or run(QUERIES["guests"], tree=tree):
        return False
    _hold(root, clock.now(), Wanted.STOPPED)
    return True


def resume(tree: str) -> bool:
    """Have a tree be again what is asked of it, in a transaction of the caller; return whether it was suspended."""
    trees.lock(tree)
    root = Instance.objects.get(id=tree)
    if root.suspended_at is None or root.wanted == Wanted.DESTROYED:
        return False
    _hold(root, None, Wanted(root.requested_state))
    return True


def _hold(root: Instance, since: int | None, shown: Wanted) -> None:
    Instance.objects.filter(id=root.id).update(suspended_at=since)
    trees.settle(root.tree)
    # The time in which it is stopped so is not time in which a promise could be broken.
    history.remember(root.id, ACTOR, root.release_id, root.parameters, shown)
    verb = "instance.resume" if since is None else "instance.suspend"
    audit(ACTOR, verb, root.id, project=root.project_id, title=root.title)

"""Hints: "look now". They carry no data and may be lost: a timer looks anyway.

Who looks (a reconciler, the gateway's watcher) registers a wake-up function; who changed something hints
after its commit. No Django at import: the gateway's side uses it too.
"""

from collections import defaultdict
from collections.abc import Callable

FLEET_CHANGED = "fleet-changed"
"""Some node has a new revision."""
REPORTED = "reported"
"""A node told something that a reconciler may want to act on."""

_listeners: dict[str, list[Callable[[], None]]] = defaultdict(list)


def listen(hint: str, wake: Callable[[], None]) -> None:
    """Have `wake` called, from any thread, at each hint; it must return at once."""
    _listeners[hint].append(wake)


def forget(hint: str, wake: Callable[[], None]) -> None:
    """Undo `listen`."""
    _listeners[hint].remove(wake)


def give(hint: str) -> None:
    """Wake whoever listens."""
    for wake in tuple(_listeners[hint]):
        wake()


def after_commit(hint: str) -> None:
    """Wake whoever listens once the present transaction is committed."""
    from django.db import transaction

    transaction.on_commit(lambda: give(hint))

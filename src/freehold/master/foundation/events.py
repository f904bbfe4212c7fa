"""Domain events: what a room tells those above it, in its own transaction, without knowing them.

A listener runs at once and in the same transaction; an error that it raises refuses the whole act.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

E = TypeVar("E")
_listeners: dict[type[Any], list[Callable[[Any], None]]] = defaultdict(list)


def listen(kind: type[E], listener: Callable[[E], None]) -> None:
    """Have a function called with each event of a kind; asking twice is harmless."""
    if listener not in _listeners[kind]:
        _listeners[kind].append(listener)


def send(event: object) -> None:
    """Tell whoever listens."""
    for listener in _listeners[type(event)]:
        listener(event)

"""Waiting, in the words of the kit."""

from freehold.kit.waiting import lives, until

__all__ = ["lives", "until"]

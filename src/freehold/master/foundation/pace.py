"""How often an idle node speaks to its Master. Pure."""

CONTACTS, LONGEST_PACE = 1000.0, 600.0
"""Contacts a second that a fleet makes at most while nothing happens, and seconds between two of one node at most."""
JITTER = 0.1
"""The share by which each pace is longer or shorter, so that nodes do not come together."""


def pace(least: float, nodes: int) -> float:
    """Return the seconds between contacts of an idle node: calmer in a large fleet."""
    return max(least, min(nodes / CONTACTS, LONGEST_PACE))

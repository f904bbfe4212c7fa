"""Identifiers: a prefix that says what it names, the time it was made, and chance.

They sort by creation, which keeps neighbouring rows neighbours in an index, and carry 50 random bits, which
keeps them from being guessed or counted.
"""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new(prefix: str) -> str:
    """Return a fresh identifier such as `inst-01k9z3…` (20 characters after the prefix)."""
    number = (int(time.time() * 1000) << 50) | secrets.randbits(50)
    characters = []
    for _ in range(20):
        number, index = divmod(number, 32)
        characters.append(_ALPHABET[index])
    return f"{prefix}-{''.join(reversed(characters))}"

"""What the catalogue tells the rooms above it (`foundation.events`)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SellingEnded:
    """A project may offer a product to others no more."""

    product: str
    """Id."""
    project: str
    """Id of who may no more."""

"""What ordering tells the rooms above it (`foundation.events`): each may refuse it, within the order's transaction."""

from dataclasses import dataclass
from typing import Any

from freehold.protocol.size import Size
from freehold.protocol.states import Wanted


@dataclass(frozen=True)
class Ordered:
    """An instance was made and placed."""

    instance: str
    project: str
    """Id."""
    product: str
    type: str
    node: str
    root: str | None
    """For a part, which another instance requested: the root of its tree."""
    offer: str | None
    """Id."""
    quote: str | None


@dataclass(frozen=True)
class HandedOver:
    """A tree is another project's from now on."""

    instance: str
    """Its root."""
    project: str
    """Id of who has it now."""
    product: str
    type: str


@dataclass
class OfferNamed:
    """An offer was named in a request of an instance that is there; who sold it writes what that means."""

    instance: str
    project: str
    """Id."""
    offer: str
    node: str
    quote: str | None
    actor: str
    is_present: bool = False
    """It is the one that the instance is had at."""
    is_changed: bool = False
    """It is paid for at another price from now on."""


@dataclass
class AskGrace:
    """For how long a tree can be had back, if it is destroyed now: a question, answered by writing into it."""

    instance: str
    """Its root."""
    seconds: float
    """As usual with this Master; who sold it may say otherwise."""


@dataclass(frozen=True)
class Ending:
    """A tree stops, and is destroyed later unless it is had back."""

    instance: str
    """Its root."""


@dataclass(frozen=True)
class KeptOn:
    """A tree that was to be destroyed is had back."""

    instance: str
    """Its root."""


@dataclass(frozen=True)
class Changed:
    """Something else is asked of an instance than before; its end, too."""

    instance: str
    parameters: dict[str, Any]
    asked: Wanted
    size: Size | None = None
    """When it is said: what it may use, without what its type says."""

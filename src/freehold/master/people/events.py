"""What people tells the rooms above it (`foundation.events`), within its transaction."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class AskPersonalData:
    """What is kept about a person: a question, answered by writing into it."""

    person: str
    email: str
    found: dict[str, Any] = field(default_factory=dict)
    """JSON, by what it is."""


@dataclass(frozen=True)
class PersonDeleted:
    """A person's account is being deleted: what names them, and need not be kept, goes."""

    person: str
    email: str
    alias: str
    """What stands for them from now on."""

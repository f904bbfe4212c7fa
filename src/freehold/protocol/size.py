"""The size of an instance: how much of its node it may use, and what is kept for it there.

Each number is declared here, and only here: types, offers, orders and requests say sizes as this struct.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec


class Size(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is named is the most that an instance may use. 0: not named; then its node's own limit holds.

    Of processors, memory and disk that are named its node keeps so much for it alone: others that name theirs get none
    of it.
    """

    cpus: Annotated[float, msgspec.Meta(ge=0, le=4096)] = 0.0
    """Processors, to hundredths."""
    memory_mb: Annotated[int, msgspec.Meta(ge=0, le=2**30)] = 0
    """Megabytes of memory; an instance that needs more has a process killed."""
    disk_mb: Annotated[int, msgspec.Meta(ge=0, le=2**40)] = 0
    """Megabytes of its files."""
    processes: Annotated[int, msgspec.Meta(ge=0, le=2**22)] = 0
    """Processes and threads."""
    open_files: Annotated[int, msgspec.Meta(ge=0, le=2**20)] = 0
    """Files and connections that one process may have open."""

    @property
    def cpu_percent(self) -> int:
        """Of one processor."""
        return max(1, round(self.cpus * 100)) if self.cpus else 0

    def over(self, usual: "Size") -> "Size":
        """Return this size with what it does not name as in another one."""
        named = {name: getattr(self, name) for name in self.__struct_fields__ if getattr(self, name)}
        return msgspec.structs.replace(usual, **named)

    def text(self) -> str:
        """Return it as JSON."""
        return msgspec.json.encode(self).decode()


class WantedSize(Size, frozen=True, omit_defaults=True, forbid_unknown_fields=False):
    """A size as a node is told it: a later Master may name more."""


UNNAMED = Size()
NAMES = Size.__struct_fields__


def read(text: str) -> Size:
    """Return a size from JSON that `Size.text` wrote."""
    # Nearly all name nothing.
    return UNNAMED if text == "{}" else msgspec.json.decode(text, type=Size)


def size_of(values: Mapping[str, Any]) -> Size:
    """Return a size from what somebody wrote; raise msgspec.ValidationError, which says what is wrong."""
    return msgspec.convert(dict(values), Size)

"""The meters: what is counted of each instance. Each is declared here, and only here.

A field of `MeterValues` is a declaration. All else derives from `METERS`: what a report may tell, how a node adds its
readings up, the Master's columns and statements, what can be priced, and the words that people read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter
from typing import Annotated, NamedTuple, get_type_hints

import msgspec


class Source(Enum):
    """What a node reads, and so how its readings become a counter that only grows."""

    LEVEL = "level"
    """What there is at the moment. It counts for the time until the next reading: megabytes become megabyte seconds."""
    OWN = "own"
    """A counter that is made with the instance: it begins at zero."""
    INHERITED = "inherited"
    """A counter that was there before the instance, and counted another one's use: its first value counts nothing."""


class Unit(NamedTuple):
    """A measure that people know."""

    size: int
    """How many of the counter's units it is."""
    sign: str


@dataclass(frozen=True)
class MeterDeclaration:
    """What is known of a meter, beside its name."""

    title: str
    """In English; the panel translates it."""
    counts: str
    """What one of the counter is."""
    source: Source
    units: tuple[Unit, ...]
    """In which people read and price it. The first is the one in which use is shown."""
    is_priced: bool = True
    """Whether a price list may ask for it."""


_HOURS = (Unit(3_600_000, "h"),)
_GIB_HOURS = (Unit(1024 * 3600, "GiB h"),)
_BYTES = (Unit(1024**2, "MiB"), Unit(10**6, "MB"), Unit(10**9, "GB"), Unit(10**12, "TB"))


class MeterValues(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an instance used, by meter. None, and never zero, is what its node cannot measure."""

    cpu_ms: Annotated[
        int | None, MeterDeclaration("Processor", "milliseconds of processor time", Source.OWN, _HOURS)
    ] = None
    memory_mb_s: Annotated[
        int | None, MeterDeclaration("Memory", "resident megabytes times seconds", Source.LEVEL, _GIB_HOURS)
    ] = None
    disk_mb_s: Annotated[
        int | None, MeterDeclaration("Disk", "megabytes on disk times seconds", Source.LEVEL, _GIB_HOURS)
    ] = None
    network_in: Annotated[
        int | None, MeterDeclaration("Network, received", "bytes received", Source.INHERITED, _BYTES)
    ] = None
    network_out: Annotated[int | None, MeterDeclaration("Network, sent", "bytes sent", Source.INHERITED, _BYTES)] = None
    process_s: Annotated[
        int | None,
        MeterDeclaration(
            "Processes", "processes of services times seconds", Source.LEVEL, (Unit(3600, "h"),), is_priced=False
        ),
    ] = None


def _declared() -> dict[str, MeterDeclaration]:
    hints = get_type_hints(MeterValues, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in MeterValues.__struct_fields__}


METERS: dict[str, MeterDeclaration] = _declared()
"""Every meter by its name, in the order in which they are stored and shown."""
NAMES = tuple(METERS)
PRICED = tuple(name for name, meter in METERS.items() if meter.is_priced)
"""The meters that a price list may ask for."""

counters: Callable[[MeterValues], tuple[int | None, ...]] = attrgetter(*NAMES)
"""Return the values of all meters, in the order of `NAMES`."""

"""The form of what a node reports: checked where an item enters a node's outbox, and again by the Master.

Each function raises ValueError, with the reason, for what cannot be true or cannot be kept. Both sides call the same
ones, so what a node sends is what its Master takes.
"""

from collections.abc import Callable, Mapping
from typing import Any, get_args

import msgspec

from freehold.protocol import (
    FUTURE,
    MAX_DEPTH,
    MAX_ITEM,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_PROCESSES,
    MAX_PROMISES,
    MAX_PUBLICATION,
)
from freehold.protocol.meters import counters
from freehold.protocol.report import (
    AsideReport,
    AssessmentReport,
    FarewellReport,
    HostFacts,
    InstanceReport,
    Item,
    PublicationReport,
    SoftwareReport,
    UsageReport,
)

MOST_PARTITIONS = 10_000
MOST_PROMISES = 1000
"""Of a machine itself."""
PERIODS = (1.0, 86400.0)
TIMEOUTS = (0.1, 3600.0)
"""Seconds between two checks of a promise, and those that one may take."""
LARGEST = 2**63 - 1
LARGEST_SMALL = 2**31 - 1
LARGEST_NUMBER = 10**40
"""A whole number in a publication is smaller."""
LATEST = 1e11
"""Seconds since 1970 that are surely no time: the year 5138."""


def check(item: Item, now: float) -> None:
    """Raise ValueError for an item that the Master would set aside for its form; `now`: seconds since 1970."""
    _CHECKS[type(item)](item, now)
    if (size := len(encoded(item))) > MAX_ITEM:
        raise ValueError(f"it has {size} bytes; an item has at most {MAX_ITEM}")


def text(value: str) -> str:
    """Return the end of a text, as it can be kept."""
    # PostgreSQL has no zero character; SQLite would cut there.
    return value[-MAX_MESSAGE:].replace("\0", "�")


def name(value: str) -> str:
    """Return a name as it is; raise ValueError for one that no index of a database could hold."""
    if not value or len(value) > MAX_NAME or "\0" in value:
        raise ValueError(f"{value[:40]!r} is no name: it has 1 to {MAX_NAME} characters, none of them zero")
    return value


def series(value: str) -> str:
    """Return the name of a series of counters, which may be empty."""
    if len(value) > MAX_NAME or "\0" in value:
        raise ValueError(f"{value[:40]!r} is no name of a series")
    return value


def promises(names: list[str]) -> list[str]:
    """Return the names of an instance's promises as they are."""
    if len(names) > MAX_PROMISES:
        raise ValueError(f"{len(names)} promises; an instance has at most {MAX_PROMISES}")
    for text in names:
        name(text)
    return names


def processes(names: list[str]) -> list[str]:
    """Return the names of an instance's services as they are."""
    if len(names) > MAX_PROCESSES:
        raise ValueError(f"{len(names)} services; an instance has at most {MAX_PROCESSES}")
    for text in names:
        name(text)
    return names


def publication(values: Mapping[str, object]) -> bytes:
    """Return a publication as JSON."""
    content = encoded(values)
    if len(content) > MAX_PUBLICATION:
        raise ValueError(f"a publication of {len(content)} bytes; at most {MAX_PUBLICATION} are accepted")
    check_depth(values)
    return content


def check_depth(value: object, most: int = MAX_DEPTH) -> None:
    """Raise ValueError for a value of JSON that is nested more than `most` deep, or holds an endless number."""
    level, depth = [value], 0
    while level:
        if depth > most:
            raise ValueError(f"it is nested more than {most} deep")
        below: list[object] = []
        for item in level:
            if isinstance(item, dict):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and abs(item) >= LARGEST_NUMBER:
                raise ValueError("it holds a whole number of more than 40 digits")
        level, depth = below, depth + 1


def encoded(value: object) -> bytes:
    """Return a value as JSON; raise ValueError for what JSON or UTF-8 cannot hold."""
    try:
        return msgspec.json.encode(value)
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"it cannot be written as JSON: {error}") from None


def check_facts(facts: HostFacts) -> None:
    """Raise ValueError for facts that cannot be true or kept."""
    if len(facts.partitions) > MOST_PARTITIONS:
        raise ValueError(f"more than {MOST_PARTITIONS} partitions")
    for partition in facts.partitions:
        name(partition.name)
        if partition.address:
            name(partition.address)
    if len({partition.name for partition in facts.partitions}) != len(facts.partitions):
        raise ValueError("two partitions of the same name")
    if not 0 <= facts.cpus <= LARGEST_SMALL:
        raise ValueError(f"{facts.cpus} CPUs are impossible")
    for megabytes in (facts.memory_mb, facts.disk_mb):
        count(megabytes)
    if len(facts.protections) > MOST_PROMISES or len(facts.promises) > MOST_PROMISES:
        raise ValueError(f"more than {MOST_PROMISES} promises of the machine itself")
    for text in (*facts.protections, *(promise.name for promise in facts.promises)):
        name(text)
    for promise in facts.promises:
        if "\0" in promise.message or len(promise.message) > MAX_MESSAGE:
            raise ValueError(f"the message of {promise.name} is no text of {MAX_MESSAGE} characters at most")
    for text in (facts.architecture, facts.system, facts.agent):
        if text:
            name(text)


def count(value: int | None) -> int | None:
    """Return a counter as it is; raise ValueError for one that cannot be."""
    if value is not None and not 0 <= value <= LARGEST:
        raise ValueError(f"a counter of {value} is impossible")
    return value


def moment(seconds: float, now: float) -> int:
    """Return seconds since 1970 as milliseconds; raise ValueError for what is no time, or of the future."""
    time(seconds)
    if reason := ahead(seconds, now):
        raise ValueError(reason)
    return int(seconds * 1000)


def time(seconds: float) -> float:
    """Return seconds since 1970 as they are; raise ValueError for what is no time."""
    if not 0 <= seconds < LATEST:
        raise ValueError(f"{seconds} is not a time in seconds since 1970")
    return seconds


def ahead(seconds: float, now: float) -> str:
    """Return why a time that is reported now cannot be; empty when it may be."""
    return f"{seconds:.0f} is in the future: it is {now:.0f}" if seconds > now + FUTURE else ""


def _check_software(item: SoftwareReport, now: float) -> None:
    name(item.release)


def _check_instance(item: InstanceReport, now: float) -> None:
    name(item.instance)
    count(item.revision)
    promises(item.promises)
    processes(item.processes)


def _check_publication(item: PublicationReport, now: float) -> None:
    name(item.instance)
    count(item.revision)
    publication(item.values)


def _check_assessment(item: AssessmentReport, now: float) -> None:
    name(item.instance)
    name(item.promise)
    count(item.revision)
    moment(item.at, now)


def _check_usage(item: UsageReport, now: float) -> None:
    name(item.instance)
    series(item.series)
    moment(item.at, now)
    for counter in counters(item):
        count(counter)


def _check_aside(item: AsideReport, now: float) -> None:
    name(item.item)


_CHECKS: dict[type[Item], Callable[[Any, float], None]] = {
    HostFacts: lambda item, now: check_facts(item),
    SoftwareReport: _check_software,
    InstanceReport: _check_instance,
    PublicationReport: _check_publication,
    AssessmentReport: _check_assessment,
    UsageReport: _check_usage,
    AsideReport: _check_aside,
    FarewellReport: lambda item, now: None,
}
"""The form of each kind of item."""
if set(_CHECKS) != set(get_args(Item)):
    raise TypeError(f"the form of each kind of item is checked: {set(_CHECKS) ^ set(get_args(Item))}")

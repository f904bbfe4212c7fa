"""What a node claims is looked at before it is kept: raise ValueError, with the reason, for what cannot be true."""

from freehold.protocol import MAX_MESSAGE
from freehold.protocol.report import HostFacts

LONGEST_NAME = 200
MOST_PARTITIONS = 10_000
MOST_PROMISES = 1000
"""Of a machine itself."""
LARGEST = 2**63 - 1
LARGEST_SMALL = 2**31 - 1


def text(value: str) -> str:
    """Return the end of a text, as it can be kept."""
    # PostgreSQL has no zero character; SQLite would cut there.
    return value[-MAX_MESSAGE:].replace("\0", "�")


def name(value: str) -> str:
    """Return a name as it is; raise ValueError for one that no index of a database could hold."""
    if not value or len(value) > LONGEST_NAME or "\0" in value:
        raise ValueError(f"{value[:40]!r} is no name: it has 1 to {LONGEST_NAME} characters, none of them zero")
    return value


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
    for one in (*facts.protections, *(promise.name for promise in facts.promises)):
        name(one)
    for promise in facts.promises:
        if "\0" in promise.message or len(promise.message) > MAX_MESSAGE:
            raise ValueError(f"the message of {promise.name} is no text of {MAX_MESSAGE} characters at most")
    for one in (facts.architecture, facts.system, facts.agent):
        if one:
            name(one)


def count(value: int | None) -> int | None:
    """Return a counter as it is; raise ValueError for one that cannot be."""
    if value is not None and not 0 <= value <= LARGEST:
        raise ValueError(f"a counter of {value} is impossible")
    return value


def moment(seconds: float) -> int:
    """Return seconds since 1970 as milliseconds; raise ValueError for what is no time."""
    if not 0 <= seconds < 1e11:
        raise ValueError(f"{seconds} is not a time in seconds since 1970")
    return int(seconds * 1000)

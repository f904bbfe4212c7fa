"""Which node gets an instance: pure, tested as data.

The candidates come from the index of supplies, best first; this module says whether one fits and why not.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec

from freehold.protocol.problem import Reason
from freehold.protocol.size import UNNAMED, Size


class Placement(StrEnum):
    """Where to look first."""

    SPREAD = "spread"
    """The node with the most free partitions: a lost node takes few instances with it."""
    PACK = "pack"
    """The node with the fewest: others can be switched off."""


AtLeast = Annotated[int, msgspec.Meta(ge=0)]


class Constraints(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where an instance may go. An empty value does not constrain."""

    node: str = ""
    """Id or title of the one node."""
    site: str = ""
    region: str = ""
    labels: dict[str, str] = {}
    """Each must stand on the node with exactly this value."""
    cpus: AtLeast = 0
    """The node has at least so many."""
    memory_mb: AtLeast = 0
    disk_mb: AtLeast = 0
    architecture: str = ""
    placement: Placement = Placement.SPREAD
    instance: str = ""
    """For a shared instance: title or id of the one that serves it."""


@dataclass(frozen=True)
class Avoided:
    """Where an instance must not be, whatever its constraints say."""

    nodes: frozenset[str] = frozenset()
    """Ids."""
    sites: frozenset[str] = frozenset()
    """Ids."""

    def holds(self, node: str, site: str) -> bool:
        """Whether a node, on a site, is to be avoided."""
        return node in self.nodes or site in self.sites


@dataclass(frozen=True)
class Candidate:
    """A node with a supply of the release and a free partition."""

    node: str
    title: str
    site: str
    region: str
    labels: dict[str, str]
    cpus: int
    memory_mb: int
    disk_mb: int
    architecture: str
    free: int
    capacity_left: int
    cpu_percent_left: int
    """What of it nobody's size names yet, and is not the machine's own."""
    memory_mb_left: int
    disk_mb_left: int
    built: bool
    """Whether the release is built there already."""
    site_id: str = ""
    failed: bool = False
    """Whether it could not be built there; it is tried again."""


@dataclass(frozen=True)
class Needs:
    """What an instance takes of its node."""

    weight: int
    size: Size = UNNAMED


def misfit(candidate: Candidate, constraints: Constraints, needs: Needs) -> str | None:
    """Return the first reason why an instance cannot go there; None when it can."""
    wanted = constraints
    if wanted.node and wanted.node not in (candidate.node, candidate.title):
        return f"is not node '{wanted.node}'"
    if wanted.site and wanted.site != candidate.site:
        return f"is not on site '{wanted.site}'"
    if wanted.region and wanted.region != candidate.region:
        return f"is not in region '{wanted.region}'"
    for label, value in wanted.labels.items():
        if candidate.labels.get(label) != value:
            return f"has no label {label}={value}"
    if wanted.architecture and wanted.architecture != candidate.architecture:
        return f"is not of architecture '{wanted.architecture}'"
    if candidate.cpus < wanted.cpus:
        return f"has fewer than {wanted.cpus} CPUs"
    if candidate.memory_mb < wanted.memory_mb:
        return f"has less than {wanted.memory_mb} MB of memory"
    if candidate.disk_mb < wanted.disk_mb:
        return f"has less than {wanted.disk_mb} MB of disk"
    if candidate.capacity_left < needs.weight:
        return "has no capacity left"
    return _too_large(candidate, needs.size)


def _too_large(candidate: Candidate, size: Size) -> str | None:
    """Return what of a size the node has not left."""
    if size.cpu_percent > max(0, candidate.cpu_percent_left):
        return f"has not {size.cpus:g} CPUs left"
    if size.memory_mb > max(0, candidate.memory_mb_left):
        return f"has not {size.memory_mb} MB of memory left"
    if size.disk_mb > max(0, candidate.disk_mb_left):
        return f"has not {size.disk_mb} MB of disk left"
    return None


def rank(candidates: Iterable[Candidate], constraints: Constraints, needs: Needs) -> list[Candidate]:
    """Return the candidates that fit, best first.

    Spread: most free partitions first; pack: fewest. Between equals, a node that has built the release
    already, for it starts in a second instead of minutes; then by id, so that the same question has the same
    answer.
    """
    sign = -1 if constraints.placement is Placement.SPREAD else 1
    fitting = (candidate for candidate in candidates if misfit(candidate, constraints, needs) is None)
    return sorted(fitting, key=lambda candidate: (sign * candidate.free, not candidate.built, candidate.node))


def explain(candidates: Iterable[Candidate], constraints: Constraints, needs: Needs) -> list[Reason]:
    """Return every reason that excludes candidates, with how many each excludes, most first."""
    counts = Counter(filter(None, (misfit(candidate, constraints, needs) for candidate in candidates)))
    return [Reason(reason, nodes) for reason, nodes in counts.most_common()]

"""What everybody may know of each site on which something runs for everybody: how it is now, how its services kept
their promises day by day, and when it is down as announced. Nothing of any service, node or customer.
"""

from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, Q, QuerySet

from freehold.master.fleet.models import Site, Supply
from freehold.master.foundation import clock
from freehold.master.foundation.atom import FeedEntry
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.monitoring import days, queries
from freehold.master.monitoring.availability import Availability
from freehold.master.monitoring.models import Maintenance

DAYS = 90
"""Days that are told, today among them, which is not counted yet."""
TOLD = 100
"""Maintenances in the feed."""


class SiteState(StrEnum):
    """How a site is at this moment."""

    UP = "up"
    PARTLY = "partly"
    """Some of its nodes are silent."""
    DOWN = "down"
    """All of its nodes are."""
    MAINTENANCE = "maintenance"
    """It was announced that it may be down now."""


@dataclass(frozen=True)
class PublicSite:
    """A site as everybody sees it."""

    id: str
    name: str
    region: str
    state: SiteState
    days: list[tuple[int, Availability | None]]
    """The last days (since 1970, UTC), the oldest first; None: nothing counts, or it is not counted yet."""
    maintenances: list[Maintenance]
    """What is announced and not over, what begins first first."""


def sites(part: ListPart) -> list[PublicSite]:
    """Return a part of the sites with nodes, by name."""
    rows = list(part_of(_with_nodes(), ("name", "id"), "id", part))
    first = clock.now() // clock.DAY - DAYS + 1
    known = days.of_sites([row.id for row in rows], first)
    coming = queries.coming({row.id for row in rows})
    return [
        PublicSite(
            id=row.id,
            name=row.name,
            region=row.region,
            state=_state(row.heard, row.silent, coming.get(row.id, [])),
            days=[(day, known[row.id].get(day)) for day in range(first, first + DAYS)],
            maintenances=coming.get(row.id, []),
        )
        for row in rows
    ]


def count() -> int:
    """Return how many sites there are to tell of."""
    return _with_nodes().count()


def entries() -> list[FeedEntry]:
    """Return what was announced for all sites as entries of a feed, what was announced last first."""
    announced = Maintenance.objects.filter(site__in=_serving()).select_related("site")
    rows = announced.order_by("-announced_at", "-id")[:TOLD]
    return [
        FeedEntry(
            identity=f"maintenance-{row.id}",
            title=f"{row.site.name}: {row.what}",
            content=f"{clock.iso(row.begins_at)} – {clock.iso(row.ends_at)}",
            published_at=row.announced_at,
            updated_at=row.announced_at,
            category="maintenance",
        )
        for row in rows
    ]


def _with_nodes() -> "QuerySet[Site, Site]":
    """Return the sites with nodes that spoke once, with how many are heard, silent, and taken for lost.

    Only those on which something runs for everybody: a site that serves its own project alone is nobody's business.
    """
    spoke = Q(node__chain__isnull=False)
    is_lost, is_silent = Q(node__lost_at__isnull=False), Q(node__silent_since__isnull=False)
    return (
        Site.objects.filter(id__in=_serving())
        .annotate(
            heard=Count("node", filter=spoke & ~is_lost & ~is_silent),
            silent=Count("node", filter=spoke & ~is_lost & is_silent),
            lost=Count("node", filter=spoke & is_lost),
        )
        .filter(Q(heard__gt=0) | Q(silent__gt=0) | Q(lost__gt=0))
    )


def _serving() -> "QuerySet[Supply, str]":
    """Return the sites (ids) on which a release may be used by everyone."""
    return Supply.objects.filter(beneficiary="", wanted="available").values_list("site", flat=True)


def _state(heard: int, silent: int, announced: list[Maintenance]) -> SiteState:
    if any(row.begins_at <= clock.now() for row in announced):
        return SiteState.MAINTENANCE
    if not heard:
        return SiteState.DOWN
    return SiteState.PARTLY if silent else SiteState.UP

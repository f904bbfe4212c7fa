"""For everybody: how the sites are."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import anybody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock, days
from freehold.master.foundation.paging import ListPart
from freehold.master.monitoring import public_status

router = Router()


class SiteDayOut(Schema):
    day: str
    kept: int = Field(description="Seconds in which services kept their promises, over all services.")
    counted: int = Field(description="Seconds that count.")
    unknown: int = Field(description="Of these, seconds of which nodes have yet to tell.")


class StatusMaintenanceOut(Schema):
    begins_at: str
    ends_at: str
    what: str


class SiteStatusOut(Schema):
    id: str
    name: str
    region: str
    state: public_status.SiteState
    days: list[SiteDayOut] = Field(description=f"Of the last {public_status.DAYS}, those of which something counts.")
    maintenances: list[StatusMaintenanceOut]


@router.get(
    "/status",
    response=list[SiteStatusOut],
    auth=anybody,
    summary="How each site is now and was day by day, and what is announced",
    openapi_extra=listed("id"),
)
def list_sites(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    return [
        {
            **{name: getattr(site, name) for name in ("id", "name", "region", "state")},
            "days": [
                {"day": days.iso(day), **{name: part // 1000 for name, part in vars(known).items()}}
                for day, known in site.days
                if known is not None
            ],
            "maintenances": [
                {"begins_at": clock.iso(row.begins_at), "ends_at": clock.iso(row.ends_at), "what": row.what}
                for row in site.maintenances
            ],
        }
        for site in public_status.sites(ListPart(after, limit))
    ]

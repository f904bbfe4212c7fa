"""How the sites are, for everybody."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from freehold.master.foundation import atom
from freehold.master.foundation.days import iso
from freehold.master.monitoring import public_status
from freehold.master.monitoring.availability import kept_percent
from freehold.master.monitoring.public_status import SiteState
from freehold.master.notifications.wording import link
from freehold.master.panel import charts
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_anybody
from freehold.master.people.identity import Caller

_STATES = {
    SiteState.UP: gettext_lazy("All of it is heard"),
    SiteState.PARTLY: gettext_lazy("A part of it is silent"),
    SiteState.DOWN: gettext_lazy("Nothing is heard of it"),
    SiteState.MAINTENANCE: gettext_lazy("Maintenance, as announced"),
}


@require_GET
@for_anybody
def overview(request: HttpRequest, caller: Caller | None) -> HttpResponse:
    """Each site: now, day by day, and when it is down as announced."""
    number = lists.page_number(request.GET.get("page", ""))
    sites = public_status.sites(lists.numbered_part(number))
    shown = [
        {
            "site": site,
            "state": site.state.value,
            "words": _STATES[site.state],
            "bars": charts.bars([None if known is None else known.shares for _day, known in site.days]),
            "kept": kept_percent(known for _day, known in site.days if known is not None),
            "begin": iso(site.days[0][0]),
            "end": iso(site.days[-1][0]),
        }
        for site in sites
    ]
    page = lists.numbered(sites, number, public_status.count())
    size = {"width": charts.WIDTH, "height": charts.HEIGHT}
    return draw(request, caller, "status", {"sites": shown, "page": page, **size})


@require_GET
@for_anybody
def feed(request: HttpRequest, caller: Caller | None) -> HttpResponse:
    """What is announced, for feed readers."""
    content = atom.feed("status", "status", public_status.entries(), link(request.path) or request.path)
    return HttpResponse(content, content_type=atom.MEDIA_TYPE)

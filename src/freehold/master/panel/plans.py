"""Another offer for a service that is there: what it would cost more, or less."""

import json
from dataclasses import dataclass
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from freehold.master.billing.subscriptions import choices
from freehold.master.foundation.errors import Invalid, MasterError, NotFound
from freehold.master.ordering import actions, queries
from freehold.master.panel import labels
from freehold.master.panel.decorators import draw, for_members
from freehold.master.panel.offers import OfferCard, at_its_price
from freehold.master.panel.sign_up import shown_terms
from freehold.master.people import terms
from freehold.master.people.identity import Caller, Scope
from freehold.master.sales.models import Offer


@dataclass(frozen=True)
class PlanCard(OfferCard):
    """An offer in the place of the present one."""

    more: int
    """What a month costs more, in minor units; below 0: less."""

    @property
    def less(self) -> int:
        return -self.more


@require_http_methods(["GET", "POST"])
@for_members
def overview(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """The offers that a service can be had at. POST has it at one of them."""
    row = queries.by_title(caller.project(project, Scope.ORDER), title)
    plan = choices.of_service(row["id"])
    if plan is None or row["parent"] is not None:
        raise NotFound(f"'{title}' is not paid for.", remedy="")
    cards = [PlanCard(other, [], other.gross - plan.gross) for other in plan.others]
    name, titles = Offer.objects.values_list("name", "titles").get(id=plan.offer)
    context: dict[str, Any] = {
        "row": row, "plan": plan, "cards": cards, "present": labels.of_language(json.loads(titles)) or name,
        "chosen_offer": request.POST.get("offer", ""), "terms": shown_terms(),
    }  # fmt: skip
    if request.method != "POST":
        return draw(request, caller, "plan", context)
    try:
        if not request.POST.get("offer"):
            raise Invalid(_("Choose an offer."))
        terms.accept(terms.check_accepted(request.POST.getlist("terms")), acting=caller)
        spec = at_its_price(actions.Request(project, title), cards, request.POST["offer"], acting=caller)
        # Where it is it stays: a region would be another place.
        actions.request(msgspec.structs.replace(spec, constraints=None), acting=caller)
    except MasterError as error:
        return draw(request, caller, "plan", {**context, "problem": error, "what": labels.problem(error)}, error.status)
    return redirect("instance", project, title)

"""What can be ordered, ordering it, and changing what was ordered."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from freehold.master.allocation.choice import Constraints
from freehold.master.billing.subscriptions import choices
from freehold.master.billing.subscriptions.choices import OfferTerms
from freehold.master.catalog import queries as catalog
from freehold.master.catalog.queries import ResolvedType
from freehold.master.fleet import queries as fleet
from freehold.master.foundation.errors import Forbidden, Malformed, MasterError, NotFound
from freehold.master.ordering import actions, listing, queries, room
from freehold.master.panel import labels, offers, sizes
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members, is_fragment
from freehold.master.panel.sign_up import shown_terms
from freehold.master.people import terms
from freehold.master.people.identity import Caller, Scope
from freehold.master.schemaform.forms import Form
from freehold.protocol import size
from freehold.protocol.order import FREE_TEXT
from freehold.protocol.problem import FieldError

CONSTRAINTS = ("site", "node", "instance")
"""Those that have an input; `instance` for what another instance serves."""
_REDRAWS = ("add-row", "remove-row", "redraw")
"""Buttons that change the form and order nothing; none is called as a method of forms is, which it would hide."""


@require_GET
@for_members
def catalogue(request: HttpRequest, caller: Caller) -> HttpResponse:
    """The products that some node offers, each with its newest release and its types."""
    number = lists.page_number(request.GET.get("page", ""))
    page = listing.products(sorted(caller.able(Scope.READ).values()), number=number)
    types = catalog.orderable_types([row["release"] for row in page.rows])
    products = [{"newest": row, "types": types.get(row["release"], [])} for row in page.rows]
    return draw(request, caller, "catalogue", {"products": products, "page": page})


@require_http_methods(["GET", "POST"])
@for_members
def order(request: HttpRequest, caller: Caller, product: str) -> HttpResponse:
    """Order a product through a form made of its schema."""
    mine = caller.able(Scope.ORDER)
    if not mine:
        raise Forbidden("You have no project to order for.", remedy="Ask whoever runs this Master to give you a role.")
    form_data: QueryDict = request.POST if request.method == "POST" else request.GET
    releases = [] if "\0" in product else listing.releases(sorted(mine.values()), product)
    if not releases:
        raise NotFound(f"There is no product '{product}' that you can order.", remedy="")
    chosen = _chosen(releases, form_data)
    types = catalog.orderable_types([chosen["release"]]).get(chosen["release"], [])
    if not types:
        raise NotFound(f"'{product}' is only a part of other products.", remedy="")
    kind = next((candidate for candidate in types if candidate.name == form_data.get("type", "default")), types[0])
    form = Form(catalog.type_schemas(chosen["release"], kind.name).request, {}, _posted(request))
    project = form_data.get("project") if form_data.get("project") in mine else next(iter(mine))
    resolved = ResolvedType(
        product, chosen["release"], chosen["version"], kind.name, kind.weight, kind.host, size=size.read(kind.size)
    )
    nowhere = room.lacking(resolved, mine[str(project)], Constraints())
    cards = offers.cards(resolved, mine[str(project)], nowhere)
    context: dict[str, Any] = {
        "form": form,
        "product": product,
        "releases": releases,
        "chosen": chosen,
        "types": types,
        "kind": kind,
        "projects": list(mine),
        "project": project,
        "title": form_data.get("title", ""),
        "protections": _protections(chosen["release"], sorted(mine.values())),
        "constraints": [(name, form_data.get(name, "")) for name in CONSTRAINTS if name != "instance" or kind.shared],
        "errors": {},
        "others": [],
        "free_text": labels.free_text(_free_text(form_data)),
        "sizes": sizes.fields(form_data, {}),
        "cards": cards,
        "chosen_offer": offers.chosen_value(cards, form_data.get("offer", "")),
        "lacking": nowhere,
        # The law wants it of all that may cost (Directive 2011/83/EU, article 8(2)).
        "is_paid": any(card.terms == OfferTerms.PAID for card in cards),
        "terms": shown_terms(),
    }
    if request.method == "GET" or _only_redraws(request):
        return draw(request, caller, "order", context)
    parameters = form.parameters()
    if parameters is None:
        return draw(request, caller, "order", context, 422)
    unsized = actions.Request(
        str(project),
        form_data.get("title", "").strip(),
        product=product,
        release=chosen["version"],
        type=kind.name,
        parameters=parameters,
        constraints={name: value.strip() for name, value in context["constraints"] if value.strip()},
        **_free_text(form_data),
    )
    try:
        spec = msgspec.structs.replace(unsized, size=sizes.read(form_data, {}))
        if queries.is_there(caller.project(spec.project, Scope.ORDER), spec.title):
            # A request would change what is there; who fills in this form wants something new.
            context["errors"] = {"title": _("This title is taken. Choose another one.")}
            return draw(request, caller, "order", context, 409)
        terms.accept(terms.check_accepted(form_data.getlist("terms")), acting=caller)
        spec = offers.at_its_price(spec, cards, form_data.get("offer", ""), acting=caller)
        actions.request(spec, partial=bool(form_data.get("partial")), acting=caller)
    except MasterError as error:
        return draw(request, caller, "order", {**context, **_explained(form, error, context["sizes"])}, error.status)
    return _go(request, spec.project, spec.title)


@require_http_methods(["GET", "POST"])
@for_members
def change(request: HttpRequest, caller: Caller, project: str, title: str) -> HttpResponse:
    """Change the parameters of a service, or its release."""
    row = queries.by_title(caller.project(project, Scope.ORDER), title)
    if row["parent"] is not None or row["wanted"] == "destroyed":
        raise NotFound(f"'{title}' cannot be changed here.", remedy="")
    form_data = request.POST if request.method == "POST" else request.GET
    present = {"release": row["release_id"], "version": row["version"]}
    newer = listing.releases([row["project_id"]], row["product"])
    releases = newer if any(release["release"] == row["release_id"] for release in newer) else [present, *newer]
    chosen = _chosen(releases, form_data if form_data.get("release") else {"release": row["version"]})
    schemas = catalog.type_schemas(chosen["release"], row["type"])
    form, is_paid = Form(schemas.request, row["parameters"], _posted(request)), choices.is_paid(row["id"])
    context: dict[str, Any] = {
        "form": form,
        "row": row,
        "is_paid": is_paid,
        "free_text": labels.free_text({**row["free_text"], **_free_text(form_data)}),
        "releases": releases if row["host"] is None else [present],
        # Of what is paid for, the plan says the size.
        "sizes": sizes.fields(form_data, row["size"]) if row["host"] is None and not is_paid else [],
        "chosen": chosen,
        "errors": {},
        "others": [],
    }
    if request.method == "GET" or _only_redraws(request):
        return draw(request, caller, "change", context)
    parameters = form.parameters()
    if parameters is None:
        return draw(request, caller, "change", context, 422)
    unsized = actions.Request(project, title, release=chosen["version"], parameters=parameters, **_free_text(form_data))
    try:
        size_asked = sizes.read(form_data, row["size"]) if context["sizes"] else None
        spec = msgspec.structs.replace(unsized, size=size_asked)
        actions.request(spec, partial=bool(form_data.get("partial")), acting=caller)
    except MasterError as error:
        return draw(request, caller, "change", {**context, **_explained(form, error, context["sizes"])}, error.status)
    return _go(request, project, title)


def _free_text(form_data: "QueryDict | dict[str, str]") -> dict[str, Any]:
    """Return the free text of an order that was typed."""
    return {name: str(form_data[name]).strip() for name in FREE_TEXT if name in form_data}


def _protections(release: str, projects: list[str]) -> list[dict[str, Any]]:
    """Return, by site, which protections hold where a release may be placed and which do not."""
    return [
        {
            "site": site,
            "holding": labels.protections(held, holding=True),
            "missing": labels.protections(held, holding=False),
        }
        for site, held in fleet.protections(release, projects).items()
    ]


def _chosen(releases: list[dict[str, Any]], form_data: "QueryDict | dict[str, str]") -> dict[str, Any]:
    """Return the release whose version was asked for, or the newest."""
    return next((release for release in releases if release["version"] == form_data.get("release")), releases[0])


def _posted(request: HttpRequest) -> QueryDict | None:
    """Return what was typed, if anything was."""
    if request.method != "POST":
        return None
    if any("\0" in value for values in request.POST.lists() for value in values[1]):
        raise Malformed("A value holds a zero character, which no text has.")
    return request.POST


def _only_redraws(request: HttpRequest) -> bool:
    return any(name in request.POST for name in _REDRAWS)


def _explained(form: Form, error: MasterError, inputs: list[dict[str, str]]) -> dict[str, Any]:
    """Put an error where it belongs: at inputs of the form, at our own, or above everything."""
    unplaced: list[FieldError] = form.refuse(error.errors, labels.rule)
    own: dict[str, str | Promise] = {}
    for error_field in unplaced:
        if error_field.field == "title":
            own["title"] = _("1 to 100 letters, digits, spaces, dots, dashes or underscores.")
        elif error_field.field.startswith(sizes.PREFIX):
            own[error_field.field] = labels.rule(error_field.rule)
    other_errors = labels.field_errors(invalid for invalid in unplaced if invalid.field not in own)
    at_fields = bool(error.errors) and not other_errors
    return {
        "errors": own,
        "sizes": [{**field, "error": own.get(field["name"], "")} for field in inputs],
        "others": other_errors,
        "problem": None if at_fields else error,
        "what": labels.problem(error),
    }


def _go(request: HttpRequest, project: str, title: str) -> HttpResponse:
    answer = redirect("instance", project, title)
    if is_fragment(request):
        return HttpResponse(headers={"HX-Redirect": answer["Location"]})
    return answer

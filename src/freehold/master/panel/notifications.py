"""Pages about messages: when and of what one is told, and what was sent."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from freehold.master.foundation.errors import Conflict, Invalid, TooManyTries
from freehold.master.notifications import actions, queries
from freehold.master.panel import labels
from freehold.master.panel import queries as lists
from freehold.master.panel.decorators import draw, for_members
from freehold.master.people import letters
from freehold.master.people.identity import Caller


@require_http_methods(["GET", "POST"])
@for_members
def own(request: HttpRequest, caller: Caller) -> HttpResponse:
    """When and of what somebody is told, and what was sent to them. POST changes it, or sends a dead message again."""
    if request.method != "POST":
        return _draw(request, caller, {})
    if "test" in request.POST:
        try:
            letters.ask_test(acting=caller)
        except (Conflict, TooManyTries) as error:
            return _draw(request, caller, {"problem": labels.problem(error)}, error.status)
        return redirect("account-messages")
    if message := request.POST.get("message"):
        actions.retry(actions.own_message(message, acting=caller), acting=caller)
        return redirect("account-messages")
    try:
        actions.choose(_choice(request, caller), acting=caller)
    except Invalid as error:
        wrong = {invalid.field: True for invalid in error.errors}
        return _draw(request, caller, {"wrong": wrong, "asked": request.POST}, error.status)
    return redirect("account-messages")


@require_http_methods(["GET", "POST"])
@for_members
def webhooks(request: HttpRequest, caller: Caller, project: str) -> HttpResponse:
    """The addresses that are told what happens in a project, and its feed. POST adds one."""
    owner = _told_project(caller, project)
    context: dict[str, Any] = {}
    status = 200
    if request.method == "POST":
        try:
            # Drawn at once, not after a redirect: the secret is shown only now.
            secret, webhook = actions.add_webhook(project, request.POST.get("url", "").strip(), acting=caller)
            context = {"secret": secret, "made": webhook}
        except (Invalid, Conflict) as error:
            context = {"wrong": labels.problem(error), "error": error, "asked": request.POST}
            status = error.status
    number = lists.page_number(request.GET.get("page", ""))
    rows = queries.webhooks_of(owner, lists.numbered_part(number))
    shown = [queries.shown_webhook(row, project, caller) for row in rows]
    total = queries.count_webhooks(owner)
    context |= {
        "project": project, "page": lists.numbered(shown, number, total),
        "feed": request.build_absolute_uri(f"/api/v1/projects/{project}/feed"),
    }  # fmt: skip
    return draw(request, caller, "webhooks", context, status)


@require_http_methods(["GET", "POST"])
@for_members
def webhook(request: HttpRequest, caller: Caller, project: str, identity: str) -> HttpResponse:
    """What was sent to one address. POST sends a test or a dead message again, or removes it."""
    _told_project(caller, project)
    webhook = actions.own_webhook(project, identity, acting=caller)
    if request.method == "POST":
        if request.POST.get("act") == "remove":
            actions.remove_webhook(webhook, acting=caller)
            return redirect("webhooks", project)
        if message := request.POST.get("message"):
            actions.retry(actions.message_of(webhook, message), acting=caller)
        else:
            actions.try_webhook(webhook, acting=caller)
        return redirect("webhook", project, identity)
    number = lists.page_number(request.GET.get("page", ""))
    messages = queries.messages_to_webhook(webhook)
    rows = queries.part_of_messages(messages, lists.numbered_part(number))
    titles = queries.titles(rows)
    shown = [_row(queries.shown(row, titles)) for row in rows]
    context = {"project": project, "webhook": webhook, "page": lists.numbered(shown, number, messages.count())}
    return draw(request, caller, "webhook", context)


def _told_project(caller: Caller, project: str) -> str:
    """Return the id of a project in which somebody is told of something; raise Forbidden."""
    able = [scope for scope in queries.ANSWERING if caller.may(project, scope)]
    return caller.project(project, (able or queries.ANSWERING)[0])


def _choice(request: HttpRequest, caller: Caller) -> actions.MessageChoice:
    form = request.POST
    begin, end, most = (form.get(name, "").strip() for name in ("quiet_from", "quiet_until", "most"))
    mailed = set(form.getlist("tell"))
    return actions.MessageChoice(
        language=form.get("language", ""),
        time_zone=form.get("time_zone", "").strip(),
        quiet_hours=f"{begin}-{end}" if begin or end else "",
        most=int(most) if most.isascii() and most.isdigit() else 0,
        kinds={
            project: {kind.value: f"{project}/{kind}" in mailed for kind in queries.kinds_in(caller, project)}
            for project in caller.projects
        },
    )


def _draw(request: HttpRequest, caller: Caller, context: dict[str, Any], status: int = 200) -> HttpResponse:
    number = lists.page_number(request.GET.get("page", ""))
    messages = queries.messages_to(caller.person)
    rows = queries.part_of_messages(messages, lists.numbered_part(number))
    titles = queries.titles(rows)
    chosen = queries.chosen(caller)
    context = {
        "chosen": chosen,
        "languages": [("", _("of this Master")), *settings.LANGUAGES],
        "projects": [
            (project, [(kind.value, labels.kind(kind), by_mail) for kind, by_mail in kinds.items()])
            for project, kinds in chosen.kinds.items()
            if kinds
        ],
        "page": lists.numbered([_row(queries.shown(row, titles)) for row in rows], number, messages.count()),
        **context,
    }
    return draw(request, caller, "account_messages", context, status)


def _row(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "state_word": labels.message_state(message["state"])}

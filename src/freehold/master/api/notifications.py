"""Messages: when somebody wants them, of what, and what was sent."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Field, Router, Schema

from freehold.master.api.auth import any_person, caller, feed_of_project, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import atom, clock
from freehold.master.foundation.paging import ListPart
from freehold.master.notifications import actions, feed, queries
from freehold.master.notifications.models import OutgoingMessage, Webhook
from freehold.master.notifications.wording import link
from freehold.master.people import letters
from freehold.master.people.identity import Caller, Scope

router = Router()
_WEBHOOKS = "/projects/{project}/webhooks"
_LANGUAGE = "Of messages: en, fr or zh-hans; empty: the Master's own."
_QUIET = (
    "In which no mail is sent: `22:00-07:00` in `time_zone`; empty: none. What happens then comes together after it."
)
_MOST = "Mails in ten minutes; the others come together when they are over."
_KINDS = "By project and kind, whether mail tells of it."


class NotificationsOut(Schema):
    language: str = Field(description=_LANGUAGE)
    time_zone: str
    quiet_hours: str = Field(description=_QUIET)
    most: int = Field(description=_MOST)
    kinds: dict[str, dict[str, bool]] = Field(description=_KINDS)
    is_mail_sent: bool = Field(description="Whether this Master sends mail at all.")


class NotificationsIn(StrictBody):
    """What is left out stays as it is."""

    language: str | None = Field(None, description=_LANGUAGE)
    time_zone: str | None = Field(None, description="As the time-zone database names it: Europe/Paris.")
    quiet_hours: str | None = Field(None, description=_QUIET)
    most: int | None = Field(None, description=_MOST)
    kinds: dict[str, dict[str, bool]] = Field({}, description=f"{_KINDS} What is not named stays as it is.")


class SentMessage(Schema):
    id: str = Field(description="The same in each attempt: `Message-ID` and `webhook-id` hold it.")
    titles: list[str] = Field(description="What it says, a line for each cause.")
    state: str = Field(description="waiting, sent, or dead: refused for good, or not delivered for three days.")
    attempts: int
    made_at: str
    sent_at: str | None
    next_at: str | None = Field(description="When it is tried again.")
    error: str = Field(description="Why the last attempt failed; empty: it did not.")


class WebhookIn(StrictBody):
    url: str = Field(description="https://HOST/PATH of an address of the internet.")


class WebhookRow(Schema):
    id: str
    url: str = Field(description="Its path is shown to who made it, and to owners.")
    maker: str = Field(description="Whose webhook it is: it is told what they may know in the project.")
    created_at: str


class WebhookOut(WebhookRow):
    secret: str = Field(description="Shown only now: with it the receiver checks `webhook-signature`.")


@router.get(
    "/me/notifications", response=NotificationsOut, auth=any_person, summary="When and of what you are told by mail"
)
def show(request: HttpRequest) -> dict[str, Any]:
    return _chosen(caller(request))


@router.patch(
    "/me/notifications", response=NotificationsOut, auth=any_person, summary="Choose when and of what you are told"
)
def choose(request: HttpRequest, body: NotificationsIn) -> dict[str, Any]:
    who = caller(request)
    actions.choose(actions.MessageChoice(**body.dict()), acting=who)
    return _chosen(who)


@router.get(
    "/me/messages",
    response=list[SentMessage],
    auth=any_person,
    summary="Mails to you, the newest first",
    openapi_extra=listed("id"),
)
def list_messages(request: HttpRequest, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    messages = queries.messages_to(caller(request).person)
    return shown(queries.part_of_messages(messages, ListPart(after, limit)))


@router.post(
    "/me/messages/test",
    response={202: None},
    auth=any_person,
    summary="Have a test mailed to you; the list of mails to you says what became of it",
)
def try_mail(request: HttpRequest) -> tuple[int, None]:
    letters.ask_test(acting=caller(request))
    return 202, None


@router.post(
    "/me/messages/{message}/retry", response={204: None}, auth=any_person, summary="Send a dead mail to you again"
)
def retry(request: HttpRequest, message: str) -> tuple[int, None]:
    who = caller(request)
    actions.retry(actions.own_message(message, acting=who), acting=who)
    return 204, None


@router.get(
    _WEBHOOKS,
    response=list[WebhookRow],
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="Addresses that are told what happens in a project",
    openapi_extra=listed("id"),
)
def list_webhooks(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    who = caller(request)
    rows = queries.webhooks_of(who.projects[project], ListPart(after, limit))
    return [_webhook(row, project, who) for row in rows]


@router.post(
    _WEBHOOKS,
    response={201: WebhookOut},
    auth=in_project(Scope.ORDER, Scope.OPERATE, Scope.ACCOUNT),
    summary="Have an address be told what you may know in a project",
)
def add_webhook(request: HttpRequest, project: str, body: WebhookIn) -> tuple[int, dict[str, Any]]:
    """Messages follow the Standard Webhooks specification: `webhook-id`, `webhook-timestamp`, `webhook-signature`."""
    who = caller(request)
    secret, webhook = actions.add_webhook(project, body.url, acting=who)
    return 201, {**_webhook(webhook, project, who), "secret": secret}


@router.delete(
    f"{_WEBHOOKS}/{{webhook}}",
    response={204: None},
    auth=in_project(Scope.ORDER, Scope.OPERATE, Scope.ACCOUNT),
    summary="Tell an address nothing any more (its maker, or an owner)",
)
def remove_webhook(request: HttpRequest, project: str, webhook: str) -> tuple[int, None]:
    who = caller(request)
    actions.remove_webhook(actions.own_webhook(project, webhook, acting=who), acting=who)
    return 204, None


@router.post(
    f"{_WEBHOOKS}/{{webhook}}/test",
    response={201: SentMessage},
    auth=in_project(Scope.ORDER, Scope.OPERATE, Scope.ACCOUNT),
    summary="Send a webhook a test",
)
def try_webhook(request: HttpRequest, project: str, webhook: str) -> tuple[int, dict[str, Any]]:
    who = caller(request)
    message = actions.try_webhook(actions.own_webhook(project, webhook, acting=who), acting=who)
    return 201, shown([message])[0]


@router.get(
    f"{_WEBHOOKS}/{{webhook}}/messages",
    response=list[SentMessage],
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="Messages to a webhook, the newest first",
    openapi_extra=listed("id"),
)
def list_messages_to_webhook(
    request: HttpRequest, project: str, webhook: str, after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    messages = queries.messages_to_webhook(actions.own_webhook(project, webhook, acting=caller(request)))
    return shown(queries.part_of_messages(messages, ListPart(after, limit)))


@router.post(
    f"{_WEBHOOKS}/{{webhook}}/messages/{{message}}/retry",
    response={204: None},
    auth=in_project(Scope.ORDER, Scope.OPERATE, Scope.ACCOUNT),
    summary="Send a dead message to a webhook again",
)
def retry_for_webhook(request: HttpRequest, project: str, webhook: str, message: str) -> tuple[int, None]:
    who = caller(request)
    outgoing = actions.message_of(actions.own_webhook(project, webhook, acting=who), message)
    actions.retry(outgoing, acting=who)
    return 204, None


@router.get(
    "/projects/{project}/feed",
    auth=feed_of_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="What happened in a project, as an Atom feed",
)
def feed_of(request: HttpRequest, project: str, after: After = "") -> HttpResponse:
    """Feed readers send an API token with the scope `read` as the password of any user."""
    who = caller(request)
    causes = queries.causes_in(project, who, ListPart(after, feed.LENGTH))
    content = feed.atom(project, who.projects[project], causes, link(request.path) or request.path)
    return HttpResponse(content, content_type=atom.MEDIA_TYPE)


def shown(messages: list[OutgoingMessage]) -> list[dict[str, Any]]:
    """Return messages as the API says them."""
    titles = queries.titles(messages)
    rows = [queries.shown(message, titles) for message in messages]
    times = ("made_at", "sent_at", "next_at")
    return [{**row, **{name: clock.iso(row[name]) for name in times}} for row in rows]


def _chosen(who: Caller) -> dict[str, Any]:
    preferences = queries.chosen(who)
    return {
        "language": preferences.language, "time_zone": preferences.time_zone, "quiet_hours": preferences.quiet_hours,
        "most": preferences.most,
        "kinds": {
            project: {kind.value: is_told for kind, is_told in kinds.items()}
            for project, kinds in preferences.kinds.items()
        },
        "is_mail_sent": preferences.is_mail_sent,
    }  # fmt: skip


def _webhook(row: Webhook, project: str, who: Caller) -> dict[str, Any]:
    shown = queries.shown_webhook(row, project, who)
    return {**shown, "created_at": clock.iso(shown["created_at"])}

"""Messages: when somebody wants them, of what, and what was sent."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import any_person, caller
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock
from freehold.master.foundation.paging import ListPart
from freehold.master.notifications import actions, queries
from freehold.master.notifications.models import OutgoingMessage
from freehold.master.people.identity import Caller

router = Router()
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
    found = queries.messages_to(caller(request).person)
    return shown(queries.part_of_messages(found, ListPart(after, limit)))


@router.post(
    "/me/messages/{message}/retry", response={204: None}, auth=any_person, summary="Send a dead mail to you again"
)
def retry(request: HttpRequest, message: str) -> tuple[int, None]:
    who = caller(request)
    actions.retry(actions.own_message(message, acting=who), acting=who)
    return 204, None


def shown(messages: list[OutgoingMessage]) -> list[dict[str, Any]]:
    """Return messages as the API says them."""
    said = queries.titles(messages)
    rows = [queries.shown(message, said) for message in messages]
    times = ("made_at", "sent_at", "next_at")
    return [{**row, **{name: clock.iso(row[name]) for name in times}} for row in rows]


def _chosen(who: Caller) -> dict[str, Any]:
    found = queries.chosen(who)
    return {
        "language": found.language, "time_zone": found.time_zone, "quiet_hours": found.quiet_hours, "most": found.most,
        "kinds": {
            project: {kind.value: is_told for kind, is_told in kinds.items()} for project, kinds in found.kinds.items()
        },
        "is_mail_sent": found.is_mail_sent,
    }  # fmt: skip

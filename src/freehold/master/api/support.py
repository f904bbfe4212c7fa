"""Tickets: asked, answered, closed."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.foundation import clock
from freehold.master.foundation.paging import ListPart
from freehold.master.people.identity import Caller, Scope
from freehold.master.support import actions, queries
from freehold.master.support.models import Ticket

router = Router()
_TICKETS = "/projects/{project}/tickets"


class QuestionIn(StrictBody):
    service: str = Field(description="Title of the service that it is about.")
    title: str
    text: str


class AnswerIn(StrictBody):
    text: str = ""
    close: bool = False


class TicketOut(Schema):
    id: str
    title: str
    opened_at: str
    closed_at: str | None


class MessageOut(Schema):
    id: str
    at: str
    author: str
    text: str


@router.get(
    _TICKETS,
    response=list[TicketOut],
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="What a project asked, and what it is to answer",
    openapi_extra=listed("id"),
)
def list_tickets(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, Any]]:
    """The open ones first, the newest first."""
    return [_short(ticket) for ticket in queries.of_project(project, caller(request), ListPart(after, limit))]


@router.post(
    _TICKETS,
    response={201: TicketOut},
    auth=in_project(Scope.ORDER),
    summary="Ask whoever runs a service's node about it",
)
def ask(request: HttpRequest, project: str, body: QuestionIn) -> tuple[int, dict[str, Any]]:
    who = caller(request)
    return 201, _short(actions.ask(project, body.service, body.title, body.text, acting=who))


@router.get(
    f"{_TICKETS}/{{ticket}}",
    response=TicketOut,
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="One ticket",
)
def show(request: HttpRequest, project: str, ticket: str) -> dict[str, Any]:
    return _short(queries.find(project, ticket, caller(request)))


@router.get(
    f"{_TICKETS}/{{ticket}}/messages",
    response=list[MessageOut],
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="What was said in a ticket",
    openapi_extra=listed("id"),
)
def list_messages(
    request: HttpRequest, project: str, ticket: str, after: After = "", limit: Limit = USUAL
) -> list[dict[str, Any]]:
    """The oldest first."""
    messages = queries.messages(queries.find(project, ticket, caller(request)), ListPart(after, limit))
    return [
        {"id": str(message.id), "at": clock.iso(message.at), "author": message.author, "text": message.text}
        for message in messages
    ]


@router.post(
    f"{_TICKETS}/{{ticket}}/messages",
    response={201: TicketOut},
    auth=in_project(Scope.READ, Scope.OPERATE, Scope.ACCOUNT),
    summary="Answer, or close",
)
def answer(request: HttpRequest, project: str, ticket: str, body: AnswerIn) -> tuple[int, dict[str, Any]]:
    """What is said to a closed ticket opens it again."""
    who: Caller = caller(request)
    return 201, _short(actions.answer(project, ticket, body.text, close=body.close, acting=who))


def _short(ticket: Ticket) -> dict[str, Any]:
    return {
        "id": ticket.id,
        "title": ticket.title,
        "opened_at": clock.iso(ticket.opened_at),
        "closed_at": clock.iso(ticket.closed_at),
    }

"""All reads of support."""

from django.db.models import Case, IntegerField, Q, Value, When

from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.people.identity import Caller, Scope
from freehold.master.support.models import Message, Ticket

_ANSWERING = (Scope.OPERATE, Scope.ACCOUNT)
_OWN = ("service:", "budget:")
"""How what a ticket is about begins, when it concerns all who read its project."""
_IS_CLOSED = Case(When(closed_at=None, then=Value(0)), default=Value(1), output_field=IntegerField())
_ORDER = ("is_closed", "-id")


def of_project(project: str, acting: Caller, part: ListPart) -> list[Ticket]:
    """Return a part of what a project asked and what it is to answer, the open ones first, the newest first.

    Raise Forbidden for a project in which the caller has nothing to see.
    """
    rows = Ticket.objects.filter(_seen(project, acting)).annotate(is_closed=_IS_CLOSED)
    return list(part_of(rows, _ORDER, "id", part))


def of_projects(projects: list[str], acting: Caller, part: ListPart) -> tuple[list[Ticket], int]:
    """Return the same of several projects, each ticket once, and how many there are in all."""
    seen = Q()
    for project in projects:
        seen |= _seen(project, acting)
    rows = Ticket.objects.filter(seen).annotate(is_closed=_IS_CLOSED)
    return list(part_of(rows.select_related("project"), _ORDER, "id", part)), rows.count()


def find(project: str, identity: str, acting: Caller) -> Ticket:
    """Return a ticket that the caller sees as a member of a project; raise NotFound, the same for one of others."""
    ticket = Ticket.objects.filter(_seen(project, acting), id=identity).first()
    if ticket is None:
        raise NotFound(f"There is no ticket '{identity}' here.")
    return ticket


def count_open() -> int:
    """Return how many tickets of this Master are open."""
    return Ticket.objects.filter(closed_at=None).count()


def messages(ticket: Ticket, part: ListPart) -> list[Message]:
    """Return a part of what was said, the oldest first, after the one with a number."""
    return list(part_of(Message.objects.filter(ticket=ticket), ("id",), "id", part))


def count_messages(ticket: Ticket) -> int:
    """Return how many messages a ticket has."""
    return Message.objects.filter(ticket=ticket).count()


def has_tickets(acting: Caller) -> bool:
    """Whether there can be tickets for somebody."""
    return any(acting.able(scope) for scope in (Scope.READ, *_ANSWERING))


def is_about_own_matters(about: str) -> bool:
    """Whether all who may read the project of a ticket about this may read it."""
    return about.startswith(_OWN)


def _seen(project: str, acting: Caller) -> Q:
    """Return which tickets a member of a project sees: its own, if it reads; those it answers, by what it may do."""
    may = [scope for scope in _ANSWERING if acting.may(project, scope)]
    reads = acting.may(project, Scope.READ)
    if not may and not reads:
        acting.project(project, Scope.READ)
    owner = acting.projects[project]
    # What the Master noticed of a provider is for those whose work it is, not for all who order there.
    own = Q()
    for beginning in _OWN:
        own |= Q(project=owner, about__startswith=beginning)
    answers = Q(provider=owner, scope__in=[scope.value for scope in may])
    return (own | answers) if reads else answers

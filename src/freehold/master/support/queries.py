"""All reads of support."""

from django.db.models import Q

from freehold.master.foundation.errors import NotFound
from freehold.master.people.identity import Caller, Scope
from freehold.master.support.models import Message, Ticket

_ANSWERING = (Scope.OPERATE, Scope.ACCOUNT)
MOST = 200


def of_project(project: str, acting: Caller) -> list[Ticket]:
    """Return what a project asked and what it is to answer, the open ones first, the newest first.

    Raise Forbidden for a project in which the caller has nothing to see.
    """
    seen = _seen(project, acting)
    rows = list(Ticket.objects.filter(seen, closed_at=None).order_by("-id")[:MOST])
    return rows + list(Ticket.objects.filter(seen).exclude(closed_at=None).order_by("-id")[: MOST - len(rows)])


def find(project: str, identity: str, acting: Caller) -> Ticket:
    """Return a ticket that the caller sees as a member of a project; raise NotFound, the same for one of others."""
    found = Ticket.objects.filter(_seen(project, acting), id=identity).first()
    if found is None:
        raise NotFound(f"There is no ticket '{identity}' here.")
    return found


def messages(ticket: Ticket) -> list[Message]:
    """Return what was said, the oldest first."""
    return list(Message.objects.filter(ticket=ticket).order_by("id"))


def has_tickets(acting: Caller) -> bool:
    """Whether there can be tickets for somebody."""
    return any(acting.able(scope) for scope in (Scope.READ, *_ANSWERING))


def _seen(project: str, acting: Caller) -> Q:
    """Return which tickets a member of a project sees: its own, if it reads; those it answers, by what it may do."""
    may = [scope for scope in _ANSWERING if acting.may(project, scope)]
    reads = acting.may(project, Scope.READ)
    if not may and not reads:
        acting.project(project, Scope.READ)
    owner = acting.projects[project]
    # What the Master noticed of a provider is for those whose work it is, not for all who order there.
    own = Q(project=owner, about__startswith="service:") | Q(project=owner, about__startswith="budget:")
    answers = Q(provider=owner, scope__in=[scope.value for scope in may])
    return (own | answers) if reads else answers

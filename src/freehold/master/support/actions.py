"""All writes of support: to open a ticket, to say something in it, to close it."""

from freehold.master.fleet.models import Node
from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.foundation.transactions import audit, writing
from freehold.master.ordering import queries as ordering
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.master.support.models import Message, Ticket
from freehold.master.support.queries import find
from freehold.protocol.problem import FieldError

MOST_TEXT, MOST_TITLE = 10_000, 150
MASTER = "freehold"
"""Who speaks when nobody does."""


def ask(project: str, service: str, title: str, text: str, *, acting: Caller) -> Ticket:
    """Ask whoever runs a service's node about it; return the ticket. Raise NotFound or Invalid."""
    owner = acting.project(project, Scope.ORDER)
    row = ordering.by_title(owner, service)
    _check(text, title)
    provider = Node.objects.values_list("project_id", flat=True).get(id=row["node_id"])
    with writing():
        quotas.check(owner, Quota.TICKETS, Ticket.objects.filter(project=owner, closed_at=None).count)
        ticket = _open(owner, provider, Scope.OPERATE, f"service:{row['id']}", f"{service}: {title.strip()}")
        _say(ticket, acting.actor, text)
        audit(acting.actor, "ticket.open", ticket.id, project=owner)
    return ticket


def answer(project: str, identity: str, text: str, *, close: bool = False, acting: Caller) -> Ticket:
    """Say something in a ticket, and close it if so wished; what is said to a closed one opens it again.

    Raise NotFound for one that the caller may not see, Conflict when another one about the same is open by now.
    """
    ticket = find(project, identity, acting)
    if text or not close:
        _check(text)
    with writing():
        if text:
            quotas.check(ticket.project_id, Quota.MESSAGES, Message.objects.filter(ticket=ticket).count)
            _say(ticket, acting.actor, text)
        if ticket.closed_at is not None and not close and _others(ticket):
            raise Conflict("There is a newer ticket about this.", remedy="Write in that one.")
        Ticket.objects.filter(id=ticket.id).update(closed_at=clock.now() if close else None)
        audit(acting.actor, "ticket.close" if close else "ticket.answer", ticket.id, project=ticket.project_id)
    return find(project, identity, acting)


def notice(
    about: str, title: str, text: str, *, project: str, provider: str = "", scope: Scope = Scope.OPERATE, until: int = 0
) -> None:
    """Have the Master tell people of something: in the ticket that is open about it, or in a new one."""
    with writing():
        ticket = Ticket.objects.filter(about=about, closed_at=None).first()
        if ticket is None:
            ticket = _open(project, provider or project, scope, about, title)
        Ticket.objects.filter(id=ticket.id).update(until=until)
        _say(ticket, MASTER, text)


def close_notice(about: str, text: str) -> None:
    """Close what the Master opened about something that is over by itself."""
    with writing():
        for ticket in Ticket.objects.filter(about=about, closed_at=None):
            _say(ticket, MASTER, text)
            Ticket.objects.filter(id=ticket.id).update(closed_at=clock.now())


def _open(project: str, provider: str, scope: Scope, about: str, title: str) -> Ticket:
    return Ticket.objects.create(
        id=ids.new("tick"),
        project_id=project,
        provider_id=provider,
        scope=scope.value,
        about=about,
        title=title,
        opened_at=clock.now(),
    )


def _say(ticket: Ticket, author: str, text: str) -> None:
    Message.objects.create(ticket=ticket, at=clock.now(), author=author, text=text.strip())


def _others(ticket: Ticket) -> bool:
    """Whether another ticket about the same is open, where there may be only one."""
    if ticket.about.startswith("service:"):
        return False
    return Ticket.objects.filter(about=ticket.about, closed_at=None).exclude(id=ticket.id).exists()


def _check(text: str, title: str | None = None) -> None:
    wrong = []
    if not 0 < len(text.strip()) <= MOST_TEXT or "\0" in text:
        wrong.append(FieldError("text", f"1 to {MOST_TEXT} characters"))
    if title is not None and (not 0 < len(title.strip()) <= MOST_TITLE or not title.isprintable()):
        wrong.append(FieldError("title", f"a line of 1 to {MOST_TITLE} characters"))
    if wrong:
        problems = "; ".join(f"{invalid.field}: {invalid.rule}" for invalid in wrong)
        raise Invalid(f"This cannot be said so: {problems}.", errors=wrong)

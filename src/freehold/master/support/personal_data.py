"""What people wrote in tickets, as part of what is kept about them."""

from freehold.master.foundation import clock, events
from freehold.master.people.events import AskPersonalData, PersonDeleted
from freehold.master.support.models import Message

MOST_MESSAGES = 10_000
"""Messages of a person that an export holds, the newest; it says how many there are."""


def listen() -> None:
    """Have a say in what is kept about a person."""
    events.listen(AskPersonalData, tell)
    events.listen(PersonDeleted, forget)


def tell(event: AskPersonalData) -> None:
    """Add what a person wrote in tickets."""
    rows = Message.objects.filter(author=event.email).order_by("-id")
    event.found["messages"] = {
        "number": rows.count(),
        "newest": [
            {"at": clock.iso(row.at), "ticket": row.ticket_id, "text": row.text} for row in rows[:MOST_MESSAGES]
        ],
    }


def forget(event: PersonDeleted) -> None:
    """Have what they wrote name them no more: the rest of a conversation would make no sense without it."""
    Message.objects.filter(author=event.email).update(author=event.alias)

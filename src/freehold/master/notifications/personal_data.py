"""What somebody chose about messages and what was sent to them, as part of what is kept about them."""

import json

from freehold.master.foundation import clock, events
from freehold.master.notifications.kinds import CauseKind
from freehold.master.notifications.models import (
    Cause,
    MessageSettings,
    MutedKind,
    Notice,
    OutgoingMessage,
    Webhook,
)
from freehold.master.people.events import AskPersonalData, PersonDeleted

MOST_MESSAGES = 10_000
"""Mails to a person that an export holds, the newest; it says how many there are."""


def listen() -> None:
    """Have a say in what is kept about a person."""
    events.listen(AskPersonalData, tell)
    events.listen(PersonDeleted, forget)


def tell(event: AskPersonalData) -> None:
    """Add what a person chose, their webhooks, and which mails were sent to them."""
    settings = MessageSettings.objects.filter(person=event.person).values().first()
    muted = MutedKind.objects.filter(person=event.person).order_by("project__name", "kind")
    mails = OutgoingMessage.objects.filter(person=event.person).order_by("-id")
    event.found["notifications"] = {
        "settings": {name: value for name, value in (settings or {}).items() if name != "person_id"},
        "muted": [{"project": project, "kind": kind} for project, kind in muted.values_list("project__name", "kind")],
        "webhooks": [
            {"project": webhook.project.name, "url": webhook.url, "created_at": clock.iso(webhook.created_at)}
            for webhook in Webhook.objects.filter(maker=event.person).select_related("project").order_by("id")
        ],
        "mails": {
            "number": mails.count(),
            "newest": [
                {
                    "id": mail.id,
                    "state": mail.state,
                    "made_at": clock.iso(mail.made_at),
                    "sent_at": clock.iso(mail.sent_at),
                }
                for mail in mails[:MOST_MESSAGES]
            ],
        },
    }


def forget(event: PersonDeleted) -> None:
    """Remove it all, and have what they said in tickets name them no more where it was told to others."""
    Notice.objects.filter(person=event.person).delete()
    OutgoingMessage.objects.filter(person=event.person).delete()
    Webhook.objects.filter(maker=event.person).delete()
    MutedKind.objects.filter(person=event.person).delete()
    MessageSettings.objects.filter(person=event.person).delete()
    answers = Cause.objects.filter(kind=CauseKind.TICKET_ANSWERED, detail__contains=json.dumps(event.email))
    for cause in answers.iterator():
        detail = json.loads(cause.detail)
        if detail["author"] == event.email:
            Cause.objects.filter(id=cause.id).update(detail=json.dumps({**detail, "author": event.alias}))

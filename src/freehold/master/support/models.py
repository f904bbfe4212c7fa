"""Tickets: what somebody asks, and what the Master noticed that a person has to look at."""

from django.db import models
from django.db.models import Q

from freehold.master.people.models import Project


class Ticket(models.Model):
    """A conversation about one thing, open until somebody closes it."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    """Who asked, or whom it is about."""
    provider = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    """Who answers; the same for what the Master noticed of a project's own matters."""
    scope = models.TextField()
    """What somebody of the provider must be allowed to do to see it: operate, account."""
    about = models.TextField()
    """What it is about, for the Master: `refused:node-…`, `run:17`, `budget:…`; for people: `service:inst-…`."""
    until = models.BigIntegerField(default=0)
    """The last row of what it is about that it tells of."""
    title = models.TextField()
    opened_at = models.BigIntegerField()
    closed_at = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["about"],
                name="one_open_ticket",
                condition=Q(closed_at__isnull=True) & ~Q(about__startswith="service:"),
            ),
        ]
        indexes = [
            models.Index(fields=["project", "id"], name="ticket_of_project"),
            models.Index(fields=["provider", "id"], name="ticket_of_provider"),
            models.Index(fields=["about"], name="ticket_about"),
        ]


class Message(models.Model):
    """What somebody said in a ticket. Written once."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE)
    at = models.BigIntegerField()
    author = models.TextField()
    text = models.TextField()

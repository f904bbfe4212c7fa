"""All reads about what lets people in."""

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from freehold.master.foundation import clock
from freehold.master.people import sessions
from freehold.master.people.models import ApiToken, Membership, Role, Session


def open_sessions(person: str) -> "QuerySet[Session]":
    """Return the sessions of a person that a browser can still use."""
    now = sessions.seconds() * clock.SECOND
    return Session.objects.filter(
        person=person,
        expire_date__gt=timezone.now(),
        seen_at__gte=now - sessions.IDLE_SECONDS * clock.SECOND,
        began_at__gte=now - settings.SESSION_COOKIE_AGE * clock.SECOND,
    )


def staff_project() -> str | None:
    """Return the id of the project of those who run this Master: the first that one of them owns."""
    owners = Membership.objects.filter(person__is_staff=True, person__is_active=True, role=Role.OWNER)
    return owners.order_by("project__created_at", "project_id").values_list("project_id", flat=True).first()


def valid_tokens(person: str) -> "QuerySet[ApiToken]":
    """Return the tokens of a person that open something, each with its project."""
    rows = ApiToken.objects.filter(person=person, revoked_at=None, expires_at__gt=clock.now())
    return rows.select_related("project")

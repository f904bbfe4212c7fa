"""Forgets sessions, tokens, codes, letters and invitations that open nothing any more."""

from django.utils import timezone

from freehold.master.foundation import clock
from freehold.master.foundation.transactions import writing
from freehold.master.people import letters
from freehold.master.people.actions import ENDED_TOKEN_DAYS
from freehold.master.people.models import ApiToken, Invitation, PasswordReset, Session


def clean_up() -> int:
    """Forget sessions, codes, letters, invitations that are over, tokens so for 30 days; return how many."""
    with writing():
        count = Session.objects.filter(expire_date__lt=timezone.now()).delete()[0]
    with writing():
        count += PasswordReset.objects.filter(expires_at__lt=clock.now()).delete()[0]
    count += letters.clean_up()
    with writing():
        count += Invitation.objects.filter(expires_at__lt=clock.now()).delete()[0]
    with writing():
        tokens = ApiToken.objects.filter(expires_at__lt=clock.now() - ENDED_TOKEN_DAYS * clock.DAY)
        return count + tokens.delete()[0]

"""Forgets what nodes showed falsely, long ago."""

from freehold.master.foundation import clock
from freehold.master.foundation.transactions import writing
from freehold.master.generation.models import Forgery

FORGERY_DAYS = 90


def clean_up() -> int:
    """Forget forgeries of 90 days ago; return how many."""
    with writing():
        return Forgery.objects.filter(at__lt=clock.now() - FORGERY_DAYS * clock.DAY).delete()[0]

"""Moves billing toward what was ordered, became ready and was used."""

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import consumption, subscriptions
from freehold.master.foundation.transactions import writing


def reconcile() -> None:
    """Begin what is ready for the first time."""
    subscriptions.begin_ready()


def tidy() -> None:
    """Add up what was used, so that costs to date are near the truth and a monthly run has little to do."""
    for entity in LegalEntity.objects.all():
        with writing():
            consumption.add_up(entity)

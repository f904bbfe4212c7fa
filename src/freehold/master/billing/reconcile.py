"""Moves billing toward what was ordered, became ready and was used."""

from freehold.master.accounting.models import LegalEntity
from freehold.master.billing import consumption, dunning, run, subscriptions
from freehold.master.billing.models import Contract
from freehold.master.foundation import clock, days
from freehold.master.foundation.transactions import writing


def reconcile() -> None:
    """Begin what is ready for the first time."""
    subscriptions.begin_ready()


def tidy() -> None:
    """Add up what was used, so that costs are near the truth; issue what is due; stop what is not paid for."""
    for entity in LegalEntity.objects.all():
        with writing():
            consumption.add_up(entity)
        today = days.of_moment(clock.now(), entity.time_zone)
        if Contract.objects.filter(entity=entity, next_day__lte=today).exists():
            run.run_for(entity, today, "freehold")
        dunning.look(entity)

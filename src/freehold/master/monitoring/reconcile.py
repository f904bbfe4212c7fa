"""Keeps the history of promises bounded."""

from django.db.models import Max

from freehold.master.foundation import clock
from freehold.master.foundation.transactions import writing
from freehold.master.monitoring import record
from freehold.master.monitoring.models import Assessment

HISTORY_DAYS = 90


def tidy() -> None:
    """Write the record of the month that is over; forget results of 90 days ago, but never the last of a promise."""
    record.keep()
    last = Assessment.objects.values("instance", "promise").annotate(last=Max("id")).values("last")
    old = Assessment.objects.filter(at__lt=clock.now() - HISTORY_DAYS * clock.DAY).exclude(id__in=last)
    with writing():
        old.delete()

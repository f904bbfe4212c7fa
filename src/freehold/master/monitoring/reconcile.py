"""Keeps the history of promises bounded."""

from freehold.master.foundation import clock
from freehold.master.foundation.transactions import change, run, writing
from freehold.master.monitoring import days, record
from freehold.master.monitoring.models import Maintenance
from freehold.master.monitoring.queries import SQL

HISTORY_DAYS = 100
"""More than the two complete months, and the present one, that credits look back (`billing.promised`)."""
MAINTENANCE_DAYS = 400
STRETCH = 20_000
"""Results that are looked at in one transaction."""


keep_record = record.keep


def clean_up() -> int:
    """Forget results of 100 days ago, but never the last of a promise, and announced times and days of 400 days ago.

    Return how many rows went.

    From the oldest on, as far as there are old ones: what follows is not looked at. An old result that came late goes
    when those that came before it are old as well.
    """
    with writing():
        count = Maintenance.objects.filter(ends_at__lt=clock.now() - MAINTENANCE_DAYS * clock.DAY).delete()[0]
    count += days.clean_up()
    before = clock.now() - HISTORY_DAYS * clock.DAY
    after = 0
    while True:
        (stretch,) = run(SQL["stretch"], after=after, most=STRETCH)
        if stretch["last"] is None or stretch["earliest"] >= before:
            return count
        with writing():
            count += change(SQL["forget"], after=after, last=stretch["last"], before=before)
        after = stretch["last"]

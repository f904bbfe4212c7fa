"""Forgets hours of use of months that nobody bills any more."""

from pathlib import Path

from freehold.master.foundation import clock, days, sql
from freehold.master.foundation.transactions import change, run, writing

_SQL = sql.load(Path(__file__).parent / "sql" / "usage.sql")
KEPT_MONTHS = 24
"""Complete months whose hours are kept: what becomes known of older ones is billed no more (`billing.consumption`)."""
STRETCH = 2000
"""Instances whose hours are looked at in one transaction."""


def clean_up() -> int:
    """Forget the hours of older months, instance by instance; return how many."""
    month = days.month_of(days.of_moment(clock.now(), "UTC")) - KEPT_MONTHS
    # A day more: a month begins at another moment in each seller's place.
    before = (days.first_day(month) - 1) * 24
    after, count = "", 0
    while True:
        (stretch,) = run(_SQL["stretch"], after=after, most=STRETCH)
        if stretch["last"] is None:
            return count
        with writing():
            count += change(_SQL["forget"], after=after, last=stretch["last"], before=before)
        after = stretch["last"]

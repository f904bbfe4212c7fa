"""What was used, by civil month of the seller, and what it costs: added up whenever counters moved or terms changed.

A term's quantity of a month is that of all hours that begin in it on a day of the term: who paid on a day pays what was
used on it, at that day's price. It is added up anew from the month on in which a counter last stood, so late readings
find their own month and term, in whatever order they come.
"""

from pathlib import Path

from freehold.master.accounting.models import LegalEntity
from freehold.master.foundation import clock, days, sql
from freehold.master.foundation.transactions import run
from freehold.master.usage.reconcile import KEPT_MONTHS

_SQL = sql.load(Path(__file__).parent.parent / "sql" / "consumption.sql")


def add_up(entity: LegalEntity) -> None:
    """Bring the consumption of a seller's subscriptions up to its counters, within a transaction of the caller."""
    for name in ("changed", "take_changed", "readings", "stale", "tell_others"):
        run(_SQL[name], entity=entity.id)
    (row,) = run(_SQL["first_change"])
    if row["stale"]:
        present = days.month_of(days.of_moment(clock.now(), entity.time_zone))
        first = days.month_of(days.of_moment(row["since"], entity.time_zone))
        # The hours of older months are gone: adding up what is left would give money back.
        for month in range(max(first, present - KEPT_MONTHS), present + 1):
            _add_up_month(month, entity.time_zone)
        run(_SQL["roll"])
    for name in ("changed", "readings", "stale"):
        run(_SQL[f"forget_{name}"])


def _add_up_month(month: int, zone: str) -> None:
    begin, end = days.first_day(month), days.first_day(month + 1)
    run(_SQL["days"])
    for day in range(begin, end + 1):
        # An hour belongs to the day on which it begins, also where midnight is not on an hour of UTC.
        run(_SQL["add_day"], day=day, hour=-(-days.begins_at(day, zone) // clock.HOUR))
    values = {"month": month, "begin_day": begin, "end_day": end, "end_moment": days.begins_at(end, zone)}
    for name in ("used", "add_up", "take_away", "forget_used", "forget_days"):
        run(_SQL[name], **values)

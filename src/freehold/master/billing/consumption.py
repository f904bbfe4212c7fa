"""What was used, by civil month of the seller, and what it costs: added up whenever counters moved.

A month's quantity is that of all hours that begin in it. It is added up anew from the month on in which a counter last
stood, so late readings find their own month, at that month's price, in whatever order they come.
"""

from pathlib import Path

from freehold.master.accounting.models import LegalEntity
from freehold.master.foundation import clock, days, sql
from freehold.master.foundation.transactions import run

_SQL = sql.load(Path(__file__).parent / "sql" / "consumption.sql")
_HOUR = 3_600_000


def add_up(entity: LegalEntity) -> None:
    """Bring the consumption of a seller's subscriptions up to its counters, within a transaction of the caller."""
    run(_SQL["stale"], entity=entity.id)
    (row,) = run(_SQL["first_change"])
    if row["stale"]:
        present = days.month_of(days.of_moment(clock.now(), entity.time_zone))
        for month in range(days.month_of(days.of_moment(row["since"], entity.time_zone)), present + 1):
            begin, end = (days.begins_at(days.first_day(one), entity.time_zone) for one in (month, month + 1))
            run(
                _SQL["add_up"],
                month=month,
                # An hour belongs to the month in which it begins, also where midnight is not on an hour of UTC.
                first_hour=-(-begin // _HOUR),
                end_hour=-(-end // _HOUR),
                end_moment=end,
                end_day=days.first_day(month + 1),
            )
        run(_SQL["roll"])
    run(_SQL["forget_stale"])

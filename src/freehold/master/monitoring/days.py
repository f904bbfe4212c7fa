"""Counts, for each service and day that is over, how long it kept its promises: what pictures of months are made of;
and sums them up for each site, which everybody may know.

Results of promises are kept for a hundred days, and a service has thousands of them in a month; its days are kept for
thirteen months and are one short row each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from freehold.master.foundation import clock, sql
from freehold.master.foundation.transactions import change, run, writing
from freehold.master.monitoring import queries
from freehold.master.monitoring.availability import Availability
from freehold.master.monitoring.models import SiteDay

KEPT_DAYS = 400
LATE = clock.HOUR
"""Milliseconds after its end at which a day is counted: nodes tell within minutes what they know."""
LOOK_BACK = 35
"""Days that are counted where the Master was away, or never counted before."""
MOST_DAYS = 3
"""Days that are counted in one run: others have work to do, too."""
PART = 500
"""Services whose day is counted in one transaction."""
_SQL = sql.load(Path(__file__).parent / "sql" / "days.sql")


@dataclass(frozen=True)
class Day:
    """A day (since 1970, UTC) and how long promises were kept on it."""

    day: int
    availability: Availability


def count() -> int:
    """Count the days that are over and were not counted, and again those of which more may be known now."""
    last = (clock.now() - LATE) // clock.DAY - 1
    (row,) = run(_SQL["counted"])
    first = last - LOOK_BACK + 1
    if row["day"] is not None and row["day"] <= last:
        first = max(first, row["day"] + 1)
    elif row["day"] is not None:
        # Counted while this machine's clock was ahead: these days are still to come.
        with writing():
            change(_SQL["unlearn"], last=last)
            change(_SQL["unlearn_sites"], last=last)
    counted = 0
    for day in range(first, min(last, first + MOST_DAYS - 1) + 1):
        counted += _count_new(day)
        with writing():
            change(_SQL["sum_sites"], day=day)
            change(_SQL["done"], day=day)
    return counted + _count_again(last - LOOK_BACK)


def clean_up() -> int:
    """Forget days of more than thirteen months ago; return how many."""
    before = clock.now() // clock.DAY - KEPT_DAYS
    with writing():
        return change(_SQL["forget"], before=before) + change(_SQL["forget_sites"], before=before)


def of_instance(instance: str, since: int) -> list[Day]:
    """Return the days of a service, from one on, as far as they were counted."""
    return [
        Day(row["day"], Availability(row["kept"], row["counted"], row["unknown"]))
        for row in run(_SQL["of_instance"], instance=instance, since=since)
    ]


def of_sites(sites: Sequence[str], since: int) -> dict[str, dict[int, Availability]]:
    """Return the days of sites (ids), from one on, as far as they were counted: by site, then by day."""
    known: dict[str, dict[int, Availability]] = {site: {} for site in sites}
    for row in SiteDay.objects.filter(site__in=sites, day__gte=since):
        known[row.site_id][row.day] = Availability(row.kept, row.counted, row.unknown)
    return known


def _count_new(day: int) -> int:
    begin, after, counted = day * clock.DAY, "", 0
    while True:
        rows = run(_SQL["uncounted"], after=after, day=day, begin=begin, end=begin + clock.DAY, most=PART)
        if not rows:
            return counted
        with writing():
            for row in rows:
                _write(row["id"], day, is_final=bool(row["is_final"]))
        after, counted = rows[-1]["id"], counted + len(rows)


def _count_again(since: int) -> int:
    day, after, counted = since, "", 0
    while True:
        rows = run(_SQL["unknown"], day=day, after=after, length=clock.DAY, most=PART)
        if not rows:
            return counted
        with writing():
            for row in rows:
                _write(row["instance_id"], row["day"], is_final=bool(row["is_final"]))
            for changed_day in {row["day"] for row in rows}:
                change(_SQL["sum_sites"], day=changed_day)
        day, after, counted = rows[-1]["day"], rows[-1]["instance_id"], counted + len(rows)


def _write(instance: str, day: int, *, is_final: bool) -> None:
    """Write down what is known of a day; `is_final`: nothing more will be told of it."""
    end = (day + 1) * clock.DAY
    known = queries.available(instance, (day * clock.DAY, end))
    unknown = 0 if is_final else known.unknown
    if not is_final and (run(_SQL["spoke"], instance=instance)[0]["at"] or 0) < end:
        # What its node has to tell of the day's end may be on its way, or wait for a line.
        unknown = known.counted - known.kept
    change(_SQL["write"], instance=instance, day=day, kept=known.kept, counted=known.counted, unknown=unknown)

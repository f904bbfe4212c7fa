"""Civil dates: whole days since 1970-01-01, and civil months as whole numbers. Pure.

A bill counts days and months of its seller's place, never moments; whole numbers compare and subtract the same in
both databases.
"""

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from freehold.master.foundation.errors import Invalid
from freehold.protocol.problem import FieldError

NEVER = 2_147_483_647
"""The day after which nothing comes: the end of what has none."""
LAST_ANCHOR = 28
"""The last day of a month on which a customer's period may begin: every month has it."""
_EPOCH = date(1970, 1, 1)


def from_date(day: date) -> int:
    return (day - _EPOCH).days


def to_date(day: int) -> date:
    return _EPOCH + timedelta(days=day)


def parse(text: str) -> int:
    """Return the day of a date such as `2026-10-31`; raise ValueError for any other text."""
    return from_date(date.fromisoformat(text))


def read(text: str, field: str) -> int:
    """Return the day of a date that a person wrote; raise Invalid when it is none."""
    try:
        return parse(text)
    except ValueError:
        raise Invalid(f"'{text}' is no date.", errors=[FieldError(field, "YYYY-MM-DD", text)]) from None


def iso(day: int) -> str:
    return to_date(day).isoformat()


def of_moment(moment: int, zone: str) -> int:
    """Return the civil day of a moment (milliseconds) in a time zone."""
    return from_date(datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).date())


def begins_at(day: int, zone: str) -> int:
    """Return the moment (milliseconds) at which a civil day begins in a time zone."""
    midnight = datetime.combine(to_date(day), datetime.min.time(), ZoneInfo(zone))
    return int(midnight.astimezone(UTC).timestamp() * 1000)


def month_of(day: int) -> int:
    """Return the civil month of a day: 12 × year + month − 1."""
    moment = to_date(day)
    return moment.year * 12 + moment.month - 1


def month(year: int, number: int) -> int:
    return year * 12 + number - 1


def month_name(month: int) -> str:
    """Return a month as people and programs read it: `2026-10`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def first_day(month: int) -> int:
    """Return the first day of a month."""
    return from_date(date(month // 12, month % 12 + 1, 1))


def anchor(day: int) -> int:
    """Return the day of the month on which periods begin for who came on a day: that of the month, at most the 28th."""
    return min(to_date(day).day, LAST_ANCHOR)


def period(day: int, anchored: int) -> tuple[int, int]:
    """Return the monthly period that holds a day: its first day, and the first day of the next."""
    moment = to_date(day)
    this = month(moment.year, moment.month) if moment.day >= anchored else month(moment.year, moment.month) - 1
    return _on(this, anchored), _on(this + 1, anchored)


def add_months(day: int, count: int) -> int:
    """Return the day so many months later, for a day that every month has."""
    return _on(month_of(day) + count, to_date(day).day)


def _on(month: int, number: int) -> int:
    assert number <= monthrange(month // 12, month % 12 + 1)[1]
    return first_day(month) + number - 1

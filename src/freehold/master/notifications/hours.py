"""The hours in which a person wants no messages. Pure but for the row that says them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from freehold.master.notifications.models import MessageSettings

MINUTES = 24 * 60


def next_awake(now: int, hours: MessageSettings | None) -> int:
    """Return `now`, or the end of the quiet hours in which it is, in milliseconds."""
    if hours is None or hours.quiet_from is None or hours.quiet_until is None:
        return now
    local = datetime.fromtimestamp(now / 1000, ZoneInfo(hours.time_zone))
    minute = local.hour * 60 + local.minute
    # As far as from the beginning: quiet hours may hold a midnight.
    length = (hours.quiet_until - hours.quiet_from) % MINUTES
    if (minute - hours.quiet_from) % MINUTES >= length:
        return now
    end = local.replace(hour=hours.quiet_until // 60, minute=hours.quiet_until % 60, second=0, microsecond=0)
    if hours.quiet_until <= minute:
        end += timedelta(days=1)
    return max(now, int(end.timestamp() * 1000))

"""The record of kept promises of each site, month by month: public, and made once when a month is over: when all
nodes of the site have told of it, or a month later, when what nobody told counts as not kept.

Its evidence is public too, a line a service. Who has a service finds its line by its id, computes the same from its own
results, and sees that the sums and the digest that were published are those of all lines.
"""

import hashlib

from freehold.master.fleet.models import Node, Site
from freehold.master.foundation import clock, days
from freehold.master.foundation.transactions import writing
from freehold.master.monitoring.availability import Availability
from freehold.master.monitoring.models import KeptRecord
from freehold.master.monitoring.queries import available
from freehold.master.ordering.models import Instance


def keep() -> int:
    """Write the record of the last two complete months (UTC) of each site that has none yet; return how many.

    The last one waits where a node that is silent may have more to tell of it.
    """
    present = days.month_of(days.of_moment(clock.now(), "UTC"))
    return sum(_keep_month(month, is_last=month == present - 1) for month in (present - 2, present - 1))


def _keep_month(month: int, *, is_last: bool) -> int:
    count = 0
    end = days.begins_at(days.first_day(month + 1), "UTC")
    for site in Site.objects.filter(created_at__lt=end).exclude(
        id__in=KeptRecord.objects.filter(month=month).values("site")
    ):
        availabilities = _of(site, month)
        if is_last and any(availability.unknown for availability in availabilities.values()):
            continue
        evidence = "".join(sorted(line(instance, availability) for instance, availability in availabilities.items()))
        values = {
            "kept": sum(availability.kept for availability in availabilities.values()),
            "counted": sum(availability.counted for availability in availabilities.values()),
            "instances": len(availabilities),
            "evidence": evidence,
            "digest": hashlib.sha256(evidence.encode()).hexdigest(),
        }
        with writing():
            _, is_new = KeptRecord.objects.get_or_create(site=site, month=month, defaults=values)
        count += is_new
    return count


def line(instance: str, availability: Availability) -> str:
    """Return the evidence of a service: SHA-256 of its id, which its people alone know, milliseconds kept, counted."""
    return f"{hashlib.sha256(instance.encode()).hexdigest()} {availability.kept} {availability.counted}\n"


def evidence(digest: str) -> str | None:
    """Return the evidence that has a digest, if some record has."""
    return KeptRecord.objects.filter(digest=digest).exclude(digest="").values_list("evidence", flat=True).first()


def _of(site: Site, month: int) -> dict[str, Availability]:
    """Return how all services of a site kept their promises in a month, by instance."""
    begin, end = (days.begins_at(days.first_day(start), "UTC") for start in (month, month + 1))
    nodes = Node.objects.filter(site=site)
    instances = Instance.objects.filter(node__in=nodes, parent=None, created_at__lt=end).exclude(gone_at__lt=begin)
    rows = instances.values_list("id", "created_at").iterator()
    availabilities = {instance: available(instance, (max(begin, created_at), end)) for instance, created_at in rows}
    return {instance: availability for instance, availability in availabilities.items() if availability.counted}

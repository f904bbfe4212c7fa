"""The record of kept promises of each site, month by month: public, and made once when a month is over."""

from freehold.master.fleet.models import Node, Site
from freehold.master.foundation import clock, days
from freehold.master.foundation.transactions import writing
from freehold.master.monitoring.models import KeptRecord
from freehold.master.monitoring.queries import available
from freehold.master.ordering.models import Instance


def keep() -> None:
    """Write the record of the last complete month (UTC) of each site that has none yet."""
    month = days.month_of(days.of_moment(clock.now(), "UTC")) - 1
    for site in Site.objects.exclude(id__in=KeptRecord.objects.filter(month=month).values("site")):
        kept, counted, instances = _of(site, month)
        with writing():
            KeptRecord.objects.get_or_create(
                site=site, month=month, defaults={"kept": kept, "counted": counted, "instances": instances}
            )


def _of(site: Site, month: int) -> tuple[int, int, int]:
    """Return the milliseconds kept and counted of all services of a site in a month, and how many they were."""
    begin, end = (days.begins_at(days.first_day(one), "UTC") for one in (month, month + 1))
    nodes = Node.objects.filter(site=site)
    instances = Instance.objects.filter(node__in=nodes, parent=None, created_at__lt=end).exclude(gone_at__lt=begin)
    kept = counted = services = 0
    for instance, created_at in instances.values_list("id", "created_at").iterator():
        found = available(instance, (max(begin, created_at), end))
        if found.counted:
            kept, counted, services = kept + found.kept, counted + found.counted, services + 1
    return kept, counted, services

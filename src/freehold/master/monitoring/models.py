"""Whether promises are kept."""

from django.db import models

from freehold.master.fleet.models import Site
from freehold.master.ordering.models import Instance


class Assessment(models.Model):
    """The result of a promise at a time. Appended by the gateway when it changes and at a slow heartbeat."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    revision = models.BigIntegerField()
    promise = models.TextField()
    kept = models.BooleanField()
    message = models.TextField()
    at = models.BigIntegerField()
    """By the node's clock."""

    class Meta:
        indexes = [
            models.Index(fields=["instance", "promise", "id"], name="assessment_latest"),
            # Of all results few are bad: whoever looks for what is broken now reads those of the last hours only.
            models.Index(fields=["at"], name="assessment_broken", condition=models.Q(kept=False)),
        ]


class KeptDay(models.Model):
    """How long a service kept its promises on a day of UTC that is over (milliseconds), as far as it is known."""

    pk = models.CompositePrimaryKey("instance_id", "day")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    day = models.IntegerField()
    """Days since 1970."""
    kept = models.IntegerField()
    counted = models.IntegerField()
    unknown = models.IntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["day"], name="keptday_day"),
            # Few days are not known in full: whoever counts them again reads no other.
            models.Index(fields=["day"], name="keptday_unknown", condition=models.Q(unknown__gt=0)),
        ]


class SiteDay(models.Model):
    """The sum of a day over the services of a site; public, so it says nothing of any of them."""

    pk = models.CompositePrimaryKey("site_id", "day")
    site = models.ForeignKey(Site, on_delete=models.CASCADE, db_index=False)
    day = models.IntegerField()
    kept = models.BigIntegerField()
    counted = models.BigIntegerField()
    unknown = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["day"], name="siteday_day")]


class CountedDay(models.Model):
    """The one row of it: the last day of UTC that was counted for every service (`days`)."""

    id = models.IntegerField(primary_key=True, default=1)
    day = models.IntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_counted_day")]


class Maintenance(models.Model):
    """A time in which a site may be down, announced before: it does not count for availability."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    begins_at = models.BigIntegerField()
    ends_at = models.BigIntegerField()
    what = models.TextField()
    announced_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("begins_at")), name="maintenance_ends"),
        ]


class KeptRecord(models.Model):
    """How much of a month the services of a site kept their promises."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    month = models.IntegerField()
    kept = models.BigIntegerField()
    counted = models.BigIntegerField()
    instances = models.IntegerField()
    evidence = models.TextField(default="")
    """A line a service (`record.line`), in their order."""
    digest = models.TextField(default="")
    """SHA-256 of the evidence."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "month"], name="one_record_a_month")]

"""What instances used: written by the gateway alone, from the counters that nodes tell."""

from django.db import models

from freehold.master.ordering.models import Instance


class _Counters(models.Model):
    """What is measured. Null, and never zero, is what the node cannot measure."""

    cpu_ms = models.BigIntegerField(null=True)
    memory_mb_s = models.BigIntegerField(null=True)
    disk_mb_s = models.BigIntegerField(null=True)
    network_in = models.BigIntegerField(null=True)
    network_out = models.BigIntegerField(null=True)

    class Meta:
        abstract = True


class Counter(_Counters):
    """The last reading of the cumulative counters of an instance, by series: a series begins at zero."""

    pk = models.CompositePrimaryKey("instance_id", "series")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    series = models.CharField(max_length=200)
    at = models.BigIntegerField()


class Hour(_Counters):
    """What an instance used in an hour, over all series: the sums of all hours are the sums of all counters."""

    pk = models.CompositePrimaryKey("instance_id", "hour")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    hour = models.BigIntegerField()
    """Hours since 1970 UTC."""

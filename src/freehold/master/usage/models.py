"""What instances used."""

from django.db import models

from freehold.master.ordering.models import Instance


class CounterRow(models.Model):
    """Cumulative counters of an instance. Appended by the gateway, once for each report.

    A counter that the node cannot measure is null, never zero.
    """

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    at = models.BigIntegerField()
    cpu_ms = models.BigIntegerField(null=True)
    memory_mb_s = models.BigIntegerField(null=True)
    disk_mb_s = models.BigIntegerField(null=True)
    network_in = models.BigIntegerField(null=True)
    network_out = models.BigIntegerField(null=True)

    class Meta:
        indexes = [models.Index(fields=["instance", "id"], name="counter_latest")]

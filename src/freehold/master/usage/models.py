"""What instances used: written by the gateway alone, from the counters that nodes tell."""

from collections.abc import Iterable

from django.db import models

from freehold.master.ordering.models import Instance
from freehold.protocol import meters


def add_columns(model: type[models.Model], names: Iterable[str]) -> None:
    """Give a table a column for each meter. Null, and never zero, is what the node cannot measure."""
    for name in names:
        model.add_to_class(name, models.BigIntegerField(null=True))


class LastReading(models.Model):
    """What the cumulative counters of an instance last showed, by series: a series begins at zero."""

    pk = models.CompositePrimaryKey("instance_id", "series")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    series = models.CharField(max_length=200)
    at = models.BigIntegerField()


class Hour(models.Model):
    """What an instance used in an hour, over all series: the sums of all hours are the sums of all counters."""

    pk = models.CompositePrimaryKey("instance_id", "hour")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    hour = models.BigIntegerField()
    """Hours since 1970 UTC."""


for _model in (LastReading, Hour):
    add_columns(_model, meters.NAMES)

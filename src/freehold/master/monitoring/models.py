"""Whether promises are kept."""

from django.db import models

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
        indexes = [models.Index(fields=["instance", "promise", "id"], name="assessment_latest")]

"""How the last run of each task ended."""

from django.db import models


class TaskState(models.Model):
    """A task, as its last run left it.

    Written at each run that failed, every ten seconds while there is something to do, else once a minute.
    """

    name = models.TextField(primary_key=True)
    began_at = models.BigIntegerField()
    ended_at = models.BigIntegerField(null=True)
    """None: it runs now, or the Master ended in the middle of it."""
    took_ms = models.BigIntegerField(default=0)
    done = models.BigIntegerField(default=0)
    """How many things the last run changed."""
    failures = models.IntegerField(default=0)
    """In a row."""
    error = models.TextField(default="")
    """Why the last run failed; empty: it did not."""

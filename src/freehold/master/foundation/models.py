"""The audit log: one row for every act, in the transaction of the act."""

from django.db import models


class AuditRow(models.Model):
    """Who did what to what, and when. Never changed, and kept for ten years."""

    at = models.BigIntegerField()
    actor = models.TextField()
    """Who acted: a person's e-mail, `instance:…`, `node:…` or `freehold` for the Master itself."""
    verb = models.TextField()
    subject = models.TextField()
    project = models.TextField(default="")
    detail = models.TextField(default="{}")
    """JSON of what changed; never a secret."""

    class Meta:
        indexes = [
            models.Index(fields=["subject", "id"], name="audit_subject"),
            models.Index(fields=["project", "id"], name="audit_project"),
        ]


class Counter(models.Model):
    """A row of numbers that are given once, by name; of what they name, all up to `sealed` is finished for ever."""

    name = models.TextField(primary_key=True)
    last = models.BigIntegerField(default=0)
    sealed = models.BigIntegerField(default=0)

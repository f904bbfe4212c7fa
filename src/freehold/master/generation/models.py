"""A Master's generation, and what its nodes showed that does not fit it, as appended by the gateway."""

from django.db import models


class Generation(models.Model):
    """One row, one number: it grows when an operator goes on from an older copy and accepts what is lost."""

    value = models.BigIntegerField()
    began_at = models.BigIntegerField(default=0)
    """Nodes are silent since then at most."""
    settles_at = models.BigIntegerField(null=True)
    """Until when what can move may run where the copy does not know; None: no more."""


class Doubt(models.Model):
    """This Master said something that its database does not know: in force until a later generation."""

    node = models.TextField()
    """Id of the node that showed it."""
    generation = models.BigIntegerField()
    revision = models.BigIntegerField()
    """The last that was said to it."""
    epoch = models.IntegerField()
    """Of its reports, as was said to it."""
    reason = models.TextField()
    at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node", "generation"], name="one_doubt_a_node")]


class ClockComparison(models.Model):
    """One row, as the gateway of the Master that serves last saw it: how its clock compares with those of its nodes."""

    nodes = models.IntegerField(default=0)
    """Heard lately, whose clocks something else than this Master keeps right."""
    is_agreed = models.BooleanField(default=False)
    """Most of them show about the same time."""
    ahead = models.BigIntegerField(default=0)
    """Milliseconds by which most say that this Master is ahead of them, negative: behind; 0: they do not say so."""
    at = models.BigIntegerField(default=0)


class Forgery(models.Model):
    """A node showed a statement that was never said to it: the first of a day."""

    node = models.TextField()
    day = models.IntegerField()
    """Days since 1970-01-01 UTC."""
    reason = models.TextField()
    at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["node", "day"], name="one_forgery_a_day")]

"""What can be ordered."""

from django.db import models

from freehold.master.people.models import Project


class Product(models.Model):
    """A name under which releases are published."""

    id = models.TextField(primary_key=True)
    name = models.TextField(unique=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    """Whose operators publish its releases."""
    created_at = models.BigIntegerField()


class SellingGrant(models.Model):
    """A product's owner lets another project offer it to others: at prices of its own, and on its nodes."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, db_index=False)
    name = models.TextField()
    """Of the project that was granted it, as its owner wrote it."""
    project = models.ForeignKey(Project, on_delete=models.CASCADE, null=True)
    """Who that is; nobody, for good, when there was no such project: its owner is not told."""
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "name"], name="one_grant_a_seller")]


class Release(models.Model):
    """One version of a product's software. Immutable: its identity is the hash of its archive."""

    id = models.TextField(primary_key=True)
    """SHA-256 of the archive, hexadecimal."""
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    version = models.TextField()
    description = models.TextField()
    size = models.IntegerField()
    """Bytes of the archive."""
    goes_back = models.BooleanField(db_default=True)
    """An instance that ran it may have an older version again."""
    published_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "version"], name="one_release_a_version")]
        indexes = [models.Index(fields=["product", "published_at"], name="release_latest")]


class ReleaseType(models.Model):
    """A flavour of a release, with the JSON schemas of what goes in and what comes out."""

    release = models.ForeignKey(Release, on_delete=models.CASCADE)
    name = models.TextField()
    title = models.TextField()
    description = models.TextField(default="")
    index = models.IntegerField(default=0)
    weight = models.PositiveIntegerField(default=1)
    holds_data = models.BooleanField(default=True)
    """Its instances cannot be moved to another node without their data."""
    requests = models.TextField(default="[]")
    """JSON list of `protocol.descriptor.RequestDescriptor`: what its instances may request of others."""
    shared = models.BooleanField(default=False)
    host = models.TextField(default="")
    """For a shared type: the type of the same release whose instances take it in."""
    is_orderable = models.BooleanField(default=True, db_default=True)
    """Customers may order it; otherwise only instances may request it."""
    knows_peers = models.BooleanField(db_default=False)
    """Its instances are told which others there are in their tree."""
    size = models.TextField(db_default="{}")
    """JSON of `protocol.size.Size`: what its instances may use, unless something else is said of one."""
    request_schema = models.TextField()
    response_schema = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "name"], name="one_type_a_name")]

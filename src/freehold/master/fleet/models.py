"""Where promises are kept: sites, nodes, partitions, and what each node must be able to run."""

from django.db import models
from django.db.models import Q

from freehold.master.catalog.models import Release
from freehold.master.people.models import Person, Project


class MoveCount(models.Model):
    """One row, one number: how often an instance was moved from one node to another."""

    value = models.BigIntegerField(default=0)


class RevisionClock(models.Model):
    """One row, one number: it grows with every change that some node must know.

    Each node's revision is the value at its last change, so that each node has one growing revision and
    whoever watches the whole fleet asks one indexed question. Taking the next value locks the row until the
    transaction ends: revisions become visible in order.
    """

    value = models.BigIntegerField()


class Site(models.Model):
    """A place with nodes: a data centre, a home, a plane."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    name = models.TextField()
    region = models.TextField(default="")
    expected_silence = models.IntegerField(default=0)
    """Seconds for which its nodes may be silent and nobody is told: a flight, a ship."""
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_site_a_name")]


class Node(models.Model):
    """A machine that keeps promises."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    title = models.TextField()
    epoch = models.IntegerField(default=1)
    revision = models.BigIntegerField(db_index=True)
    open = models.BooleanField(default=True)
    """Whether new instances may be placed here."""
    builder = models.BooleanField(default=False)
    """Whether other nodes may take its finished builds instead of building themselves."""
    labels = models.TextField(default="{}")
    """JSON object of strings, set by the operator."""
    cpus = models.IntegerField(default=0)
    memory_mb = models.BigIntegerField(default=0)
    disk_mb = models.BigIntegerField(default=0)
    architecture = models.TextField(default="")
    system = models.TextField(default="")
    agent = models.TextField(default="")
    protections = models.TextField(default="{}")
    """JSON object: what stands between its partitions, and whether it holds."""
    promises = models.TextField(default="[]")
    """JSON list: the machine's own promises, each with name, kept and message."""
    lease = models.IntegerField(default=0)
    """Seconds of silence after which it is taken for lost, and what can move is moved; 0: never."""
    acknowledged_lease = models.IntegerField(default=0)
    """The lease that it said it obeys."""
    lost_at = models.BigIntegerField(null=True)
    """Since when it is taken for lost; nothing is placed there until it reports again."""
    silent_since = models.BigIntegerField(null=True)
    """When it was last heard, while it is not heard any more; nothing is placed there meanwhile."""
    stopped = models.TextField(default="")
    """protocol.states.Stopped: what its operator stopped, while it is not heard because of that; else empty."""
    capacity = models.IntegerField(default=1_000_000)
    """Sum of the weights of the instances it may hold."""
    used = models.IntegerField(default=0)
    free = models.IntegerField(default=0)
    """How many of its partitions are free."""
    kept_cpu_percent = models.BigIntegerField(db_default=0)
    """What of its processors (percent of one), memory and disk is kept for instances whose size names them."""
    kept_memory_mb = models.BigIntegerField(db_default=0)
    kept_disk_mb = models.BigIntegerField(db_default=0)
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "title"], name="one_node_a_title"),
            models.CheckConstraint(condition=Q(free__gte=0), name="node_free_not_negative"),
            models.CheckConstraint(condition=Q(used__gte=0), name="node_used_not_negative"),
        ]


class Partition(models.Model):
    """The place on a node where one instance lives."""

    id = models.TextField(primary_key=True)
    """`NODE:NAME`."""
    node = models.ForeignKey(Node, on_delete=models.CASCADE)
    name = models.TextField()
    number = models.IntegerField()
    """Its place in the node's list: lower ones are taken first."""
    address = models.TextField()
    present = models.BooleanField(default=True)
    """Whether the node still offers it."""
    instance = models.TextField(null=True)
    """The instance that lives here; its row is in `ordering`, which may look at this room but not be seen by it."""
    kept_cpu_percent = models.BigIntegerField(db_default=0)
    """What of its node is kept for that."""
    kept_memory_mb = models.BigIntegerField(db_default=0)
    kept_disk_mb = models.BigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["node", "name"], name="one_partition_a_name"),
            # Not of the empty ones: SQLite would look for a free partition among all of the fleet's.
            models.UniqueConstraint(
                fields=["instance"], name="one_partition_an_instance", condition=Q(instance__isnull=False)
            ),
        ]
        indexes = [
            models.Index(
                fields=["node", "number"],
                name="partition_free",
                condition=Q(instance__isnull=True, present=True),
            )
        ]


class Supply(models.Model):
    """ "This release may run on this node": the node builds it, the allocation may choose it.

    `free`, `open` and `site` repeat the node's values, kept equal in the same transactions, so that the best
    node for a release is found by walking one index and never by looking at all nodes.
    """

    id = models.TextField(primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.PROTECT)
    node = models.ForeignKey(Node, on_delete=models.CASCADE)
    beneficiary = models.TextField(default="")
    """The only project that may use it; empty: everyone."""
    wanted = models.TextField(default="available")
    observed = models.TextField(default="")
    """What the node last said: building, available, failed, removed; empty before it spoke."""
    message = models.TextField(default="")
    """When failed: the last lines of the build's log."""
    observed_at = models.BigIntegerField(null=True)
    revision = models.BigIntegerField()
    open = models.BooleanField(default=True)
    """The supply is wanted available and the node is open and has capacity left."""
    free = models.IntegerField(default=0)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "node"], name="one_supply_a_node")]
        indexes = [
            models.Index(
                fields=["release", "beneficiary", "free", "node"],
                name="supply_choice",
                condition=Q(open=True, free__gt=0),
            ),
            models.Index(
                fields=["release", "beneficiary", "site", "free", "node"],
                name="supply_choice_site",
                condition=Q(open=True, free__gt=0),
            ),
            models.Index(fields=["node", "revision"], name="supply_feed"),
        ]


class EnrolToken(models.Model):
    """A one-time right to become a node of a site."""

    id = models.TextField(primary_key=True)
    digest = models.TextField(unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    created_by = models.ForeignKey(Person, on_delete=models.CASCADE)
    expires_at = models.BigIntegerField()
    used_by = models.TextField(null=True)
    """The node that used it up."""
    key = models.TextField(default="")
    """SHA-256 of the public key with which it was used up: who has that key may not have heard the answer."""
    epoch = models.IntegerField(default=0)
    """Of the node, since then."""


class Certificate(models.Model):
    """A certificate that our authority gave out. What is not in this table is nobody."""

    fingerprint = models.TextField(primary_key=True)
    """SHA-256 of its DER form, hexadecimal."""
    kind = models.TextField()
    """node or instance."""
    subject = models.TextField(db_index=True)
    """The node or instance it speaks for."""
    not_after = models.BigIntegerField()
    issued_at = models.BigIntegerField()
    revoked_at = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["node", "instance"]), name="certificate_kind"),
        ]
        # Those that end soon are few among all that ended.
        indexes = [models.Index(fields=["not_after"], name="certificate_end", condition=Q(revoked_at__isnull=True))]


class Chain(models.Model):
    """Where the reports of a node end: the last that was applied. Moved by the gateway with the report's effects.

    It moves only from where the gateway believes it to be, so that a report counts once whatever is remembered.
    """

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True)
    epoch = models.IntegerField()
    sequence = models.BigIntegerField()
    hash = models.TextField()
    received_at = models.BigIntegerField()


class RefusedItem(models.Model):
    """A reported item that could not be true, kept with its reason. Appended by the gateway."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE)
    sequence = models.BigIntegerField()
    reason = models.TextField()
    item = models.TextField()
    received_at = models.BigIntegerField()


class RefusedOverflow(models.Model):
    """How many refused items of a node were let go, because newer ones filled its share. Counted by the gateway."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True)
    items = models.BigIntegerField()


class Farewell(models.Model):
    """What the operator of a node stopped, by the report that told it: it holds while that is the chain's last."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True)
    epoch = models.IntegerField()
    sequence = models.BigIntegerField()
    stopped = models.TextField()


class HostFactsRow(models.Model):
    """What a node says of itself. Appended by the gateway, taken over and deleted by this room's reconcile."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE)
    facts = models.TextField()
    """JSON of protocol.report.HostFacts."""
    received_at = models.BigIntegerField()


class SoftwareRow(models.Model):
    """What a node says of a release. Appended by the gateway, taken over and deleted by this room's reconcile."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE)
    release = models.TextField()
    state = models.TextField()
    message = models.TextField()
    at = models.BigIntegerField()

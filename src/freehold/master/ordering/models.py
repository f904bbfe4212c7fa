"""Requests and the instances they become."""

from django.db import models
from django.db.models import Q

from freehold.master.catalog.models import Release
from freehold.master.fleet.models import Node
from freehold.master.people.models import Project
from freehold.protocol.order import FREE_TEXT
from freehold.protocol.states import Wanted


class Instance(models.Model):
    """A service someone asked for. The root of a tree names its project and title; children name their parent."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, db_index=False)
    tree = models.TextField(db_index=True)
    """The root's id; a root's own."""
    parent = models.TextField(null=True, db_index=True)
    """The instance that requested it; none for a root."""
    host = models.TextField(null=True, db_index=True)
    """For a shared instance: the instance that serves it, on whose partition it is."""
    title = models.TextField()
    """A child's begins with its parent's: `shop/database`."""
    product = models.TextField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, db_index=False)
    type = models.TextField()
    parameters = models.TextField()
    """JSON object that fits the release's schema."""
    constraints = models.TextField()
    """JSON of allocation.Constraints."""
    requested_state = models.TextField(choices=[(state.value, state.value) for state in Wanted])
    """What its requester wants."""
    wanted = models.TextField(choices=[(state.value, state.value) for state in Wanted])
    """What follows for it from that and from its ancestors (`states.effective`)."""
    orphaned_at = models.BigIntegerField(null=True)
    """Since when its parent does not request it any more."""
    suspended_at = models.BigIntegerField(null=True)
    """Of a root: since when its tree is stopped because nobody pays for it (`suspension`)."""
    ends_at = models.BigIntegerField(null=True)
    """Of a root: when its tree, which is stopped until then, is destroyed (`endings`)."""
    protected = models.BooleanField(default=False)
    """It is not destroyed before this is taken off."""
    seed = models.TextField()
    """32 random bytes, hexadecimal: its secrets that survive the loss of a node derive from it."""
    child_publications = models.TextField(default="{}")
    """JSON: what the instances that it requested published, by the last part of their title."""
    restarts = models.TextField(db_default="{}")
    """JSON: the tokens of its last restarts, by service; under the empty name those of all of them."""
    forwarded_publication = models.BigIntegerField(default=0)
    """The publication row that its parent was last given."""
    awaits_ready = models.BooleanField(db_default=False)
    """Its parent is given what it publishes only when it is ready, with all below it."""
    node = models.ForeignKey(Node, on_delete=models.PROTECT, db_index=False)
    partition = models.TextField()
    """Name of the partition on the node."""
    weight = models.IntegerField()
    size = models.TextField(db_default="{}")
    """JSON of `protocol.size.Size`: what it may use of its node."""
    revision = models.BigIntegerField()
    """The node's revision at the last change of this row."""
    created_at = models.BigIntegerField()
    changed_at = models.BigIntegerField()
    gone_at = models.BigIntegerField(null=True)
    """When the node had destroyed it and its partition was free again."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "title"],
                name="one_tree_a_title",
                condition=~Q(wanted="destroyed"),
            ),
            models.CheckConstraint(condition=Q(wanted__in=[state.value for state in Wanted]), name="instance_wanted"),
            models.CheckConstraint(
                condition=Q(gone_at__isnull=True) | Q(wanted="destroyed"), name="only_the_destroyed_are_gone"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "title", "created_at"], name="instance_by_title"),
            models.Index(fields=["node", "revision"], name="instance_feed", condition=Q(gone_at__isnull=True)),
            models.Index(fields=["id"], name="instance_going", condition=Q(wanted="destroyed", gone_at__isnull=True)),
            models.Index(fields=["ends_at"], name="instance_ending", condition=Q(ends_at__isnull=False)),
            models.Index(fields=["orphaned_at"], name="instance_orphaned", condition=Q(orphaned_at__isnull=False)),
            models.Index(fields=["id"], name="instance_awaits_ready", condition=Q(awaits_ready=True)),
        ]


class InstanceCount(models.Model):
    """How many instances a project has that are not gone. Triggers of the database keep it, so no route forgets to."""

    project_id = models.TextField(primary_key=True)
    instances = models.BigIntegerField()


class Departure(models.Model):
    """An instance left a node for another; the node is still to remove what is left, for which the partition waits."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, db_index=False)
    partition = models.TextField()
    weight = models.IntegerField()
    revision = models.BigIntegerField()
    """The node's revision that says so."""
    at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["instance", "node"], name="one_departure_at_a_time")]
        indexes = [models.Index(fields=["node", "revision"], name="departure_feed")]


class DepartedRow(models.Model):
    """A node says that nothing is left of an instance that had left it. Appended by the gateway."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    node = models.ForeignKey(Node, on_delete=models.CASCADE, db_index=False)
    at = models.BigIntegerField()


class Reservation(models.Model):
    """A place that is kept for an instance that a tree is going to request (`reservations`)."""

    id = models.TextField(primary_key=True)
    """What the partition says lives on it."""
    tree = models.TextField()
    product = models.TextField()
    type = models.TextField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, db_index=False)
    node = models.ForeignKey(Node, on_delete=models.PROTECT, db_index=False)
    partition = models.TextField()
    weight = models.IntegerField()
    made_at = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["tree", "product", "type"], name="reservation_search")]


class Cluster(models.Model):
    """Instances of one kind that an instance requests together; they are changed one at a time (`clusters`)."""

    id = models.TextField(primary_key=True)
    parent = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    name = models.TextField()
    """Its members are called so, with a dash and their number."""
    product = models.TextField()
    type = models.TextField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, db_index=False)
    parameters = models.TextField()
    """JSON object, of each of them."""
    constraints = models.TextField()
    """JSON of allocation.Constraints, of each of them."""
    member_size = models.TextField(db_default="{}")
    """JSON of `protocol.size.Size`, of each of them."""
    size = models.IntegerField()
    most_down = models.IntegerField()
    ready_within = models.FloatField()
    leave_within = models.FloatField()
    shares = models.TextField()
    """JSON list: what of its publication each member is told of the others."""
    awaits_ready = models.BooleanField()
    is_refused = models.BooleanField()
    """A member did not become ready with this release and these parameters, and went back."""
    is_settled = models.BooleanField()
    """All of it was as wanted when it was looked at last."""
    trouble = models.TextField()
    """Why it goes no further; empty when it does."""
    message = models.TextField()
    """How far it is."""
    notice = models.TextField()
    """What happened on its way that somebody should know."""
    changed_at = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["parent", "name"], name="one_cluster_a_name")]


class ClusterMember(models.Model):
    """An instance as a member of a cluster, and what it was told as such."""

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, primary_key=True)
    cluster = models.ForeignKey(Cluster, on_delete=models.CASCADE, db_index=False)
    ordinal = models.IntegerField()
    view = models.TextField()
    """JSON: who its siblings are, as its node is told."""
    former = models.TextField()
    """JSON: the release and parameters that it was last ready with, while it has others; or empty."""
    told_at = models.BigIntegerField()
    """When it was last told to be something else."""
    ready_at = models.BigIntegerField(null=True)
    """When it was ready for the first time."""
    leaving_at = models.BigIntegerField(null=True)
    """Since when it leaves, for good."""
    drained_node = models.TextField(db_default="")
    """The node that is drained, and from which it moves when that is its turn; or empty."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["cluster", "ordinal"], name="one_member_an_ordinal")]


class ProjectSuspension(models.Model):
    """A project is suspended by its provider (`project_suspension`)."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True)
    reason = models.TextField()
    """Its people read it."""
    actor = models.TextField()
    at = models.BigIntegerField()
    lifted_at = models.BigIntegerField(null=True)
    """It is over, and the row stays until all services are again what is asked of them."""
    settled_at = models.BigIntegerField(null=True)
    """When all services were what follows from it."""


class HostOffer(models.Model):
    """A host instance's offer of places to shared instances, like a supply is a node's."""

    host = models.OneToOneField(Instance, on_delete=models.CASCADE, primary_key=True)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, db_index=False)
    type = models.TextField()
    """The host's."""
    beneficiary = models.TextField()
    """The project that may use it; empty for everyone."""
    free = models.IntegerField()
    """Places left."""

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(free__gte=0), name="no_more_shared_than_places")]
        indexes = [models.Index(fields=["release", "type", "beneficiary", "free"], name="share_search")]


class RequestRow(models.Model):
    """What was asked of an instance, each time it changed: its history."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    at = models.BigIntegerField()
    actor = models.TextField()
    release = models.ForeignKey(Release, on_delete=models.PROTECT, db_index=False)
    parameters = models.TextField()
    requested_state = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["instance", "id"], name="requestrow_latest")]


for _name in FREE_TEXT:
    # What a customer says of it in own words; null: nothing. Only as nullable it is added without a new table, which
    # would lose the triggers of this one on SQLite.
    Instance.add_to_class(_name, models.TextField(null=True))


class InstanceRow(models.Model):
    """What a node says of an instance. Appended by the gateway; the last row is the present."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    revision = models.BigIntegerField()
    state = models.TextField()
    message = models.TextField()
    promises = models.TextField()
    """JSON list of the names of its promises."""
    processes = models.TextField(db_default="[]")
    """JSON list of the names of its services."""
    at = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["instance", "id"], name="instancerow_latest")]


class PublicationRow(models.Model):
    """What an instance gave back. Appended by the gateway; the last row is the present."""

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, db_index=False)
    revision = models.BigIntegerField()
    published = models.TextField()
    """JSON object."""
    at = models.BigIntegerField()

    class Meta:
        indexes = [models.Index(fields=["instance", "id"], name="publication_latest")]

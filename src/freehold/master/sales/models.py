"""What is sold, and at which prices."""

from django.db import models
from django.db.models import Q

from freehold.master.accounting.models import LegalEntity
from freehold.master.foundation import days
from freehold.master.people.models import Project


class Offer(models.Model):
    """A product at a size, with the promise that comes with it. What it costs is in price lists."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    """Whose sales people made it."""
    name = models.TextField()
    """Unique for its project; two sellers may have offers of one name."""
    product = models.TextField()
    type = models.TextField()
    titles = models.TextField()
    """JSON: title by language; `en` is always there."""
    size = models.TextField(default="{}")
    """JSON of `protocol.size.Size`: what every service of it may use."""
    parameters = models.TextField(default="{}")
    """JSON object: parameters that every order of it has."""
    availability = models.IntegerField(default=0)
    """What is promised of a month, in parts of a million; 0 promises nothing."""
    credits = models.TextField(default="[]")
    """JSON: pairs of an availability and the percent of the month's price that is given back below it."""
    grace = models.IntegerField(null=True)
    """Seconds for which what is destroyed can be had back; none: as usual with this Master."""
    tax_category = models.TextField(default="services")
    account = models.TextField(default="")
    """Revenue account; empty: the entity's own."""
    retired_at = models.BigIntegerField(null=True)
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_offer_a_name"),
            models.CheckConstraint(condition=Q(availability__gte=0, availability__lte=1_000_000), name="availability"),
        ]
        indexes = [
            models.Index(fields=["product", "type"], name="offer_by_product"),
            models.Index(fields=["name", "created_at"], name="offer_by_name"),
        ]


class PriceList(models.Model):
    """What an entity asks for its offers in a currency and a region, for a time. Published, it never changes."""

    id = models.TextField(primary_key=True)
    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT)
    title = models.TextField()
    currency = models.TextField()
    region = models.TextField(default="")
    """Where it holds; empty: wherever no list of the region holds."""
    tax_included = models.BooleanField()
    from_day = models.IntegerField()
    until_day = models.IntegerField(default=days.NEVER)
    """The day on which it holds no more."""
    published_at = models.BigIntegerField(null=True)
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(until_day__gt=models.F("from_day")), name="list_ends_after_it_begins"),
        ]


class Price(models.Model):
    """What one thing of an offer costs."""

    list = models.ForeignKey(PriceList, on_delete=models.CASCADE)
    offer = models.ForeignKey(Offer, on_delete=models.PROTECT)
    kind = models.TextField()
    """`setup` once, `recurring` a month, `usage` by a meter, `deposit` to be left while it is had."""
    meter = models.TextField(default="")
    model = models.TextField(default="flat")
    """flat, unit, graduated, volume or package: `rating` computes them."""
    amount = models.BigIntegerField(default=0)
    """Minor units; for graduated and volume the tiers say it."""
    unit = models.BigIntegerField(default=1)
    """How many of the meter's units one price is for; for a package its size."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["list", "offer", "kind", "meter"], name="one_price_a_thing"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_not_negative"),
            models.CheckConstraint(condition=Q(unit__gte=1), name="price_unit"),
            models.CheckConstraint(condition=Q(kind__in=["setup", "recurring", "usage", "deposit"]), name="price_kind"),
            models.CheckConstraint(
                condition=Q(kind="usage") & ~Q(meter="") | ~Q(kind="usage") & Q(meter="", model="flat"),
                name="usage_has_a_meter",
            ),
        ]


class PriceTier(models.Model):
    """A step of a graduated or volume price: what a unit costs beyond a quantity."""

    price = models.ForeignKey(Price, on_delete=models.CASCADE)
    above = models.BigIntegerField()
    """In the meter's units; the first step is above 0."""
    until = models.BigIntegerField()
    amount = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["price", "above"], name="one_tier_a_step"),
            models.CheckConstraint(condition=Q(amount__gte=0, until__gt=models.F("above")), name="tier_values"),
        ]

import django.db.models.deletion
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import refuse

_PUBLISHED = "EXISTS (SELECT 1 FROM sales_pricelist l WHERE l.id = {row}.list_id AND l.published_at IS NOT NULL)"
_LIST_PARTS = ("id", "entity_id", "currency", "region", "tax_included", "from_day", "published_at")
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _LIST_PARTS)


def protect(apps, editor):
    """A price is final when it is published."""
    for verb, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
        condition = _PUBLISHED.format(row=row)
        refuse(editor, "sales_price", verb, f"published_{verb.lower()}", condition, "a published price never changes")
    published = f"OLD.published_at IS NOT NULL AND ({_CHANGED} OR NEW.until_day > OLD.until_day)"
    refuse(editor, "sales_pricelist", "UPDATE", "published", published, "a published list never changes")
    refuse(editor, "sales_pricelist", "DELETE", "stays", "OLD.published_at IS NOT NULL", "a published list stays")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounting", "0001_initial"),
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Offer",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("product", models.TextField()),
                ("type", models.TextField()),
                ("titles", models.TextField()),
                ("size", models.TextField(default="{}")),
                ("parameters", models.TextField(default="{}")),
                ("availability", models.IntegerField(default=0)),
                ("credits", models.TextField(default="[]")),
                ("grace", models.IntegerField(null=True)),
                ("tax_category", models.TextField(default="services")),
                ("account", models.TextField(default="")),
                ("retired_at", models.BigIntegerField(null=True)),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="PriceList",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("title", models.TextField()),
                ("currency", models.TextField()),
                ("region", models.TextField(default="")),
                ("tax_included", models.BooleanField()),
                ("from_day", models.IntegerField()),
                ("until_day", models.IntegerField(default=2147483647)),
                ("published_at", models.BigIntegerField(null=True)),
                ("created_at", models.BigIntegerField()),
                ("entity", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity")),
            ],
        ),
        migrations.CreateModel(
            name="Price",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField()),
                ("meter", models.TextField(default="")),
                ("model", models.TextField(default="flat")),
                ("amount", models.BigIntegerField(default=0)),
                ("unit", models.BigIntegerField(default=1)),
                ("offer", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="sales.offer")),
                ("list", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="sales.pricelist")),
            ],
        ),
        migrations.CreateModel(
            name="PriceTier",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("above", models.BigIntegerField()),
                ("until", models.BigIntegerField()),
                ("amount", models.BigIntegerField()),
                ("price", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="sales.price")),
            ],
        ),
        migrations.AddIndex(
            model_name="offer",
            index=models.Index(fields=["product", "type"], name="offer_by_product"),
        ),
        migrations.AddIndex(
            model_name="offer",
            index=models.Index(fields=["name", "created_at"], name="offer_by_name"),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="one_offer_a_name"),
        ),
        migrations.AddConstraint(
            model_name="offer",
            constraint=models.CheckConstraint(
                condition=models.Q(("availability__gte", 0), ("availability__lte", 1000000)), name="availability"
            ),
        ),
        migrations.AddConstraint(
            model_name="pricelist",
            constraint=models.CheckConstraint(
                condition=models.Q(("until_day__gt", models.F("from_day"))), name="list_ends_after_it_begins"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.UniqueConstraint(fields=("list", "offer", "kind", "meter"), name="one_price_a_thing"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="price_not_negative"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(condition=models.Q(("unit__gte", 1)), name="price_unit"),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["setup", "recurring", "usage", "deposit"])), name="price_kind"
            ),
        ),
        migrations.AddConstraint(
            model_name="price",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "usage"), models.Q(("meter", ""), _negated=True)),
                    models.Q(models.Q(("kind", "usage"), _negated=True), ("meter", ""), ("model", "flat")),
                    _connector="OR",
                ),
                name="usage_has_a_meter",
            ),
        ),
        migrations.AddConstraint(
            model_name="pricetier",
            constraint=models.UniqueConstraint(fields=("price", "above"), name="one_tier_a_step"),
        ),
        migrations.AddConstraint(
            model_name="pricetier",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gte", 0), ("until__gt", models.F("above"))), name="tier_values"
            ),
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
    ]

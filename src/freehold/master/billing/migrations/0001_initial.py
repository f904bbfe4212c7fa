import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import after, compact, keep


def protect(apps, editor):
    """Documents are final when they are made, and what somebody was called then stays so.

    Lines and taxes are written by the million: each in one place.
    """
    compact(editor, "billing_documentline", "billing_documenttax")
    keep(
        editor,
        "billing_document",
        "billing_documentline",
        "billing_documenttax",
        "billing_payment",
        "billing_partysnapshot",
    )
    after(editor, "billing_document", "id", "document")
    after(editor, "billing_documentline", "document", "document")
    after(editor, "billing_documenttax", "document", "document")


def share(apps, editor):
    """Have PostgreSQL multiply an amount by a fraction of any size; SQLite does it by `money.share`."""
    if editor.connection.vendor == "postgresql":
        with editor.connection.cursor() as cursor:
            cursor.execute("""
                CREATE OR REPLACE FUNCTION money_share(amount bigint, numerator text, denominator text) RETURNS bigint
                LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
                  SELECT CAST(sign(CAST(amount AS numeric))
                              * div(2 * abs(CAST(amount AS numeric) * CAST(numerator AS numeric))
                                    + CAST(denominator AS numeric),
                                    2 * CAST(denominator AS numeric)) AS bigint)
                $$
            """)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("foundation", "0001_initial"),
        ("accounting", "0001_initial"),
        ("fleet", "0001_initial"),
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="DocumentTax",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "document", "rule", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("document", models.BigIntegerField()),
                ("rule", models.BigIntegerField()),
                ("rate", models.IntegerField()),
                ("code", models.TextField()),
                ("base", models.BigIntegerField()),
                ("tax", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="MeteringCheckpoint",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance", "series", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("instance", models.TextField()),
                ("series", models.TextField()),
                ("at", models.BigIntegerField()),
                ("cpu_ms", models.BigIntegerField(null=True)),
                ("memory_mb_s", models.BigIntegerField(null=True)),
                ("disk_mb_s", models.BigIntegerField(null=True)),
                ("network_in", models.BigIntegerField(null=True)),
                ("network_out", models.BigIntegerField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Budget",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="people.project",
                    ),
                ),
                ("amount", models.BigIntegerField()),
                ("currency", models.TextField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="budget_positive")],
            },
        ),
        migrations.CreateModel(
            name="Charge",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("contract", models.BigIntegerField()),
                ("subscription", models.BigIntegerField(default=0)),
                ("kind", models.TextField()),
                ("label", models.TextField(default="")),
                ("offer", models.TextField(default="")),
                ("month", models.IntegerField(default=0)),
                ("from_day", models.IntegerField(default=0)),
                ("day", models.IntegerField()),
                ("amount", models.BigIntegerField()),
                ("tax_included", models.BooleanField()),
                ("category", models.TextField()),
                ("account", models.TextField()),
                ("evidence", models.TextField(default="{}")),
                ("part", models.IntegerField(default=0)),
                ("document", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [models.Index(condition=models.Q(("document", 0)), fields=["contract"], name="charge_open")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "agreed"), _negated=True),
                        fields=("subscription", "kind", "month", "from_day", "part"),
                        name="charged_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Consumption",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "subscription",
                        "meter",
                        "month",
                        "from_day",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("subscription", models.BigIntegerField()),
                ("meter", models.TextField()),
                ("month", models.IntegerField()),
                ("from_day", models.IntegerField()),
                ("contract", models.BigIntegerField()),
                ("offer", models.TextField()),
                ("price", models.BigIntegerField()),
                ("tax_included", models.BooleanField()),
                ("category", models.TextField()),
                ("account", models.TextField()),
                ("quantity", models.BigIntegerField()),
                ("rated", models.BigIntegerField()),
                ("billed_quantity", models.BigIntegerField(default=0)),
                ("billed", models.BigIntegerField(default=0)),
                ("document", models.BigIntegerField(default=0)),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("rated", models.F("billed")), _negated=True),
                        fields=["contract"],
                        name="consumption_open",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Customer",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("email", models.TextField(default="")),
                ("kind", models.TextField()),
                ("address", models.TextField()),
                ("country", models.TextField()),
                ("vat_number", models.TextField(default="")),
                ("currency", models.TextField()),
                ("anchor", models.IntegerField()),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="Contract",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("currency", models.TextField()),
                ("tax_class", models.TextField()),
                ("anchor", models.IntegerField()),
                ("next_day", models.IntegerField()),
                ("trouble", models.TextField(default="")),
                ("aside_on", models.IntegerField(default=0)),
                (
                    "entity",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity"
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="billing.customer"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Document",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("run", models.BigIntegerField()),
                ("contract", models.BigIntegerField()),
                ("entity", models.TextField()),
                ("customer", models.TextField()),
                ("kind", models.TextField()),
                ("year", models.IntegerField()),
                ("number", models.BigIntegerField()),
                ("day", models.IntegerField()),
                ("due_day", models.IntegerField()),
                ("from_day", models.IntegerField()),
                ("until_day", models.IntegerField()),
                ("currency", models.TextField()),
                ("tax_included", models.BooleanField()),
                ("net", models.BigIntegerField()),
                ("tax", models.BigIntegerField()),
                ("gross", models.BigIntegerField()),
                ("functional", models.BigIntegerField()),
                ("functional_tax", models.BigIntegerField()),
                ("corrects", models.BigIntegerField()),
            ],
            options={
                "indexes": [models.Index(fields=["contract", "id"], name="document_by_contract")],
                "constraints": [
                    models.UniqueConstraint(fields=("entity", "kind", "year", "number"), name="one_document_a_number"),
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "gross",
                                django.db.models.expressions.CombinedExpression(models.F("net"), "+", models.F("tax")),
                            )
                        ),
                        name="net_and_tax_are_gross",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("corrects", 0), ("gross__gte", 0), ("kind", "invoice")),
                            models.Q(("corrects__gt", 0), ("gross__lte", 0), ("kind", "credit_note")),
                            _connector="OR",
                        ),
                        name="a_credit_note_corrects_an_invoice",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DocumentLine",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "document", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("document", models.BigIntegerField()),
                ("position", models.IntegerField()),
                ("subscription", models.BigIntegerField()),
                ("kind", models.TextField()),
                ("label", models.TextField()),
                ("offer", models.TextField()),
                ("meter", models.TextField()),
                ("month", models.IntegerField()),
                ("from_day", models.IntegerField()),
                ("until_day", models.IntegerField()),
                ("quantity", models.BigIntegerField()),
                ("price", models.BigIntegerField()),
                ("amount", models.BigIntegerField()),
                ("net", models.BigIntegerField()),
                ("category", models.TextField()),
                ("rate", models.IntegerField()),
                ("account", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "recurring")),
                        fields=("subscription", "from_day"),
                        name="recurring_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ExchangeRate",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("currency", models.TextField()),
                ("day", models.IntegerField()),
                ("rate", models.TextField()),
                ("entity", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity")),
            ],
        ),
        migrations.CreateModel(
            name="PartySnapshot",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subject", models.TextField()),
                ("until", models.BigIntegerField()),
                ("name", models.TextField()),
                ("address", models.TextField()),
                ("country", models.TextField()),
                ("vat_number", models.TextField()),
                ("registration", models.TextField(default="")),
            ],
            options={
                "indexes": [models.Index(fields=["subject", "until"], name="former_of_subject")],
            },
        ),
        migrations.CreateModel(
            name="Payer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "customer",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to="billing.customer"),
                ),
                (
                    "project",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to="people.project"),
                ),
                (
                    "seller",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="people.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("purpose", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("carried", models.BigIntegerField()),
                ("day", models.IntegerField()),
                ("method", models.TextField()),
                ("reference", models.TextField()),
                ("created_at", models.BigIntegerField()),
                ("contract", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="billing.contract")),
            ],
        ),
        migrations.CreateModel(
            name="Quote",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("content", models.TextField()),
                ("until", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="Run",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("day", models.IntegerField()),
                ("state", models.TextField(default="open")),
                ("opened_at", models.BigIntegerField()),
                ("documents", models.BigIntegerField(default=0)),
                ("trouble", models.TextField(default="")),
                ("entity", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity")),
            ],
        ),
        migrations.CreateModel(
            name="Subscription",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("instance", models.TextField(db_index=True)),
                ("project", models.TextField()),
                ("contract", models.BigIntegerField(db_index=True)),
                ("offer", models.TextField()),
                ("state", models.TextField()),
                ("deposit", models.BigIntegerField(default=0)),
                ("quote", models.TextField(default="")),
                ("opened_at", models.BigIntegerField()),
                ("start_day", models.IntegerField(null=True)),
                ("end_day", models.IntegerField(null=True)),
                ("recount_from", models.BigIntegerField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("state", "pending")), fields=["id"], name="subscription_pending"),
                    models.Index(
                        condition=models.Q(("recount_from__isnull", False)), fields=["id"], name="subscription_recount"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["pending", "active", "ended", "cancelled"])),
                        name="subscription_state",
                    ),
                    models.CheckConstraint(condition=models.Q(("deposit__gte", 0)), name="no_negative_deposit"),
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["pending", "active"])),
                        fields=("instance",),
                        name="paid_for_once_at_a_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SubscriptionPrice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("subscription", models.BigIntegerField(db_index=True)),
                ("project", models.TextField(db_index=True)),
                ("contract", models.BigIntegerField(db_index=True)),
                ("offer", models.TextField()),
                ("list", models.TextField()),
                ("from_day", models.IntegerField()),
                ("until_day", models.IntegerField(default=2147483647)),
                ("amount", models.BigIntegerField()),
                ("tax_included", models.BooleanField()),
                ("category", models.TextField()),
                ("account", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("subscription", "from_day"), name="one_term_a_day"),
                    models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="term_not_negative"),
                    models.CheckConstraint(
                        condition=models.Q(("until_day__gte", models.F("from_day"))), name="term_ends_after_it_begins"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TaxRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("country", models.TextField()),
                ("tax_class", models.TextField()),
                ("category", models.TextField()),
                ("rate", models.IntegerField()),
                ("code", models.TextField()),
                ("text", models.TextField(default="")),
                ("from_day", models.IntegerField()),
                ("until_day", models.IntegerField(default=2147483647)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("country", "tax_class", "category", "from_day"), name="one_rule_a_day"
                    ),
                    models.CheckConstraint(condition=models.Q(("rate__gte", 0), ("rate__lte", 10000)), name="tax_rate"),
                ],
            },
        ),
        migrations.CreateModel(
            name="CostItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("offer", models.TextField()),
                ("kind", models.TextField()),
                ("currency", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("from_day", models.IntegerField()),
                ("evidence", models.TextField()),
                ("note", models.TextField(default="")),
                ("site", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.site")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("site", "offer", "kind", "from_day"), name="one_cost_a_day"),
                    models.CheckConstraint(condition=models.Q(("amount__gte", 0)), name="cost_not_negative"),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("anchor__gte", 1), ("anchor__lte", 28)), name="anchor_in_every_month"
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["person", "company"])), name="customer_kind"
            ),
        ),
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(fields=["entity", "currency", "anchor", "id"], name="contract_by_anchor"),
        ),
        migrations.AddConstraint(
            model_name="contract",
            constraint=models.UniqueConstraint(fields=("customer", "entity", "currency"), name="one_contract"),
        ),
        migrations.AddConstraint(
            model_name="exchangerate",
            constraint=models.UniqueConstraint(fields=("entity", "currency", "day"), name="one_rate_a_day"),
        ),
        migrations.AddConstraint(
            model_name="payer",
            constraint=models.UniqueConstraint(fields=("project", "seller"), name="one_payer_a_seller"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(fields=("contract", "method", "reference", "purpose"), name="paid_once"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["deposit", "account"])), name="payment_purpose"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "issued"), _negated=True), fields=("entity",), name="one_open_run"
            ),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["open", "rated", "issued"])), name="run_state"
            ),
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
        migrations.RunPython(share, migrations.RunPython.noop),
    ]

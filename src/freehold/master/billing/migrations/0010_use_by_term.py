from django.db import migrations, models

from freehold.master.foundation import days

TERM_OF_CHARGE = """
    coalesce((SELECT max(t.from_day) FROM billing_term t
              WHERE t.subscription = billing_charge.subscription AND t.contract = billing_charge.contract
                AND t.until_day > t.from_day AND t.from_day <= billing_charge.day), 0)
"""
# What was noted for who pays no more is of no term: it is given back when that month is added up again.
TERM_OF_USE = """
    coalesce((SELECT min(t.from_day) FROM billing_term t
              JOIN catalog_price p ON p.list_id = t.list
              WHERE t.subscription = f.subscription AND t.contract = f.contract AND t.offer = f.offer AND p.id = f.price
                AND t.from_day < %s AND t.until_day > %s AND t.until_day > t.from_day), 0)
"""
COLUMNS = (
    "subscription, meter, month, contract, offer, price, tax_included, category, account, quantity, rated, "
    "billed_quantity, billed, document"
)


def fill(apps, editor):
    """Write whose each term is, and of which term each charge and each month's use is."""
    with editor.connection.cursor() as cursor:
        cursor.execute("""
            UPDATE billing_term SET project =
              coalesce((SELECT s.project FROM billing_subscription s WHERE s.id = billing_term.subscription), '')
        """)
        cursor.execute(f"UPDATE billing_charge SET from_day = {TERM_OF_CHARGE} WHERE subscription <> 0")
        cursor.execute("SELECT DISTINCT month FROM billing_formerconsumption")
        for (month,) in cursor.fetchall():
            cursor.execute(
                f"INSERT INTO billing_consumption ({COLUMNS}, from_day) "
                f"SELECT {COLUMNS}, {TERM_OF_USE} FROM billing_formerconsumption f WHERE month = %s",
                [days.first_day(month + 1), days.first_day(month), month],
            )


class Migration(migrations.Migration):
    dependencies = [("billing", "0009_rates_and_trouble"), ("catalog", "0001_initial")]
    operations = [
        migrations.AddField("subscription", "recount_from", models.BigIntegerField(null=True)),
        migrations.AddIndex(
            "subscription",
            models.Index(
                fields=["id"], name="subscription_recount", condition=models.Q(("recount_from__isnull", False))
            ),
        ),
        migrations.AlterField("subscription", "instance", models.TextField(db_index=True)),
        migrations.AddConstraint(
            "subscription",
            models.UniqueConstraint(
                fields=["instance"],
                name="paid_for_once_at_a_time",
                condition=models.Q(state__in=["pending", "active"]),
            ),
        ),
        migrations.AddField("term", "project", models.TextField(db_index=True, default=""), preserve_default=False),
        migrations.RemoveConstraint("charge", "charged_once"),
        migrations.AddField("charge", "from_day", models.IntegerField(default=0)),
        migrations.AddConstraint(
            "charge",
            models.UniqueConstraint(
                fields=["subscription", "kind", "month", "from_day", "part"],
                name="charged_once",
                condition=~models.Q(kind="agreed"),
            ),
        ),
        migrations.RemoveIndex("consumption", "consumption_open"),
        migrations.RenameModel("Consumption", "FormerConsumption"),
        migrations.CreateModel(
            "Consumption",
            [
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
                        fields=["contract"],
                        name="consumption_open",
                        condition=~models.Q(rated=models.F("billed")),
                    )
                ]
            },
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.DeleteModel("FormerConsumption"),
    ]

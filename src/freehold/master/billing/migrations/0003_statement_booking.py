import django.db.models.deletion
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What was booked of a statement stays booked."""
    keep(editor, "billing_statementbooking")


class Migration(migrations.Migration):
    dependencies = [
        ("accounting", "0002_bank"),
        ("billing", "0002_customer_language"),
    ]

    operations = [
        migrations.CreateModel(
            name="StatementBooking",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField()),
                (
                    "entity",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounting.legalentity",
                    ),
                ),
                (
                    "payment",
                    models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, to="billing.payment"),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("entity", "key"), name="line_booked_once")],
            },
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
    ]

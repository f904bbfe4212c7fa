import django.db.models.deletion
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What a provider told stays told."""
    keep(editor, "payments_paymentevent")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounting", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PaymentEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("provider", models.TextField()),
                ("event", models.TextField()),
                ("payment", models.TextField()),
                ("kind", models.TextField()),
                ("customer", models.TextField()),
                ("currency", models.TextField()),
                ("purpose", models.TextField()),
                ("amount", models.BigIntegerField()),
                ("received_at", models.BigIntegerField()),
                (
                    "entity",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["entity", "provider", "payment"], name="event_of_payment")],
                "constraints": [
                    models.UniqueConstraint(fields=("entity", "provider", "event"), name="told_once"),
                    models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="event_amount"),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["captured", "refunded"])), name="event_kind"
                    ),
                ],
            },
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
    ]

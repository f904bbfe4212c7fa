import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("fleet", "0001_initial"),
        ("ordering", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Assessment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("revision", models.BigIntegerField()),
                ("promise", models.TextField()),
                ("kept", models.BooleanField()),
                ("message", models.TextField()),
                ("at", models.BigIntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["instance", "promise", "id"], name="assessment_latest")],
            },
        ),
        migrations.CreateModel(
            name="KeptRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.IntegerField()),
                ("kept", models.BigIntegerField()),
                ("counted", models.BigIntegerField()),
                ("instances", models.IntegerField()),
                ("evidence", models.TextField(default="")),
                ("digest", models.TextField(default="")),
                ("site", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.site")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("site", "month"), name="one_record_a_month")],
            },
        ),
        migrations.CreateModel(
            name="Maintenance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("begins_at", models.BigIntegerField()),
                ("ends_at", models.BigIntegerField()),
                ("what", models.TextField()),
                ("announced_at", models.BigIntegerField()),
                ("site", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.site")),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("begins_at"))), name="maintenance_ends"
                    )
                ],
            },
        ),
    ]

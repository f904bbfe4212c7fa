import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("fleet", "0002_certificate_end"),
        ("monitoring", "0002_broken"),
        ("ordering", "0007_drained_members"),
    ]

    operations = [
        migrations.CreateModel(
            name="CountedDay",
            fields=[
                ("id", models.IntegerField(default=1, primary_key=True, serialize=False)),
                ("day", models.IntegerField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_counted_day")],
            },
        ),
        migrations.CreateModel(
            name="KeptDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.IntegerField()),
                ("kept", models.IntegerField()),
                ("counted", models.IntegerField()),
                ("unknown", models.IntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["day"], name="keptday_day"),
                    models.Index(condition=models.Q(("unknown__gt", 0)), fields=["day"], name="keptday_unknown"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SiteDay",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id", "day", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("day", models.IntegerField()),
                ("kept", models.BigIntegerField()),
                ("counted", models.BigIntegerField()),
                ("unknown", models.BigIntegerField()),
                (
                    "site",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to="fleet.site"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["day"], name="siteday_day")],
            },
        ),
    ]

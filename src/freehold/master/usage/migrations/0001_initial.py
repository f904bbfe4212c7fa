import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("ordering", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("cpu_ms", models.BigIntegerField(null=True)),
                ("memory_mb_s", models.BigIntegerField(null=True)),
                ("disk_mb_s", models.BigIntegerField(null=True)),
                ("network_in", models.BigIntegerField(null=True)),
                ("network_out", models.BigIntegerField(null=True)),
                ("process_s", models.BigIntegerField(null=True)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance_id", "series", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("series", models.CharField(max_length=200)),
                ("at", models.BigIntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Hour",
            fields=[
                ("cpu_ms", models.BigIntegerField(null=True)),
                ("memory_mb_s", models.BigIntegerField(null=True)),
                ("disk_mb_s", models.BigIntegerField(null=True)),
                ("network_in", models.BigIntegerField(null=True)),
                ("network_out", models.BigIntegerField(null=True)),
                ("process_s", models.BigIntegerField(null=True)),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "instance_id", "hour", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("hour", models.BigIntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
    ]

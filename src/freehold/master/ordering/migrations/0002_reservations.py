import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial"), ("fleet", "0001_initial"), ("ordering", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Reservation",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("tree", models.TextField()),
                ("product", models.TextField()),
                ("type", models.TextField()),
                ("partition", models.TextField()),
                ("weight", models.IntegerField()),
                ("made_at", models.BigIntegerField()),
                (
                    "node",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="fleet.node"),
                ),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["tree", "product", "type"], name="reservation_search")],
            },
        ),
    ]

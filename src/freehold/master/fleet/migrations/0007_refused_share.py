import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("fleet", "0006_answered_again"),
    ]

    operations = [
        migrations.CreateModel(
            name="RefusedOverflow",
            fields=[
                (
                    "node",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="fleet.node"
                    ),
                ),
                ("items", models.BigIntegerField()),
            ],
        ),
    ]

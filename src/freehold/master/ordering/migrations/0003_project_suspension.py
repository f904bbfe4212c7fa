import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0001_initial"), ("ordering", "0002_reservations")]

    operations = [
        migrations.CreateModel(
            name="ProjectSuspension",
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
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("at", models.BigIntegerField()),
                ("lifted_at", models.BigIntegerField(null=True)),
                ("settled_at", models.BigIntegerField(null=True)),
            ],
        ),
    ]

from django.db import migrations, models


def begin(apps, editor):
    """Begin with the first generation."""
    apps.get_model("generation", "Generation").objects.create(id=1, value=1)


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="ClockComparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("nodes", models.IntegerField(default=0)),
                ("is_agreed", models.BooleanField(default=False)),
                ("ahead", models.BigIntegerField(default=0)),
                ("at", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Generation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.BigIntegerField()),
                ("began_at", models.BigIntegerField(default=0)),
                ("settles_at", models.BigIntegerField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Doubt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("node", models.TextField()),
                ("generation", models.BigIntegerField()),
                ("revision", models.BigIntegerField()),
                ("epoch", models.IntegerField()),
                ("reason", models.TextField()),
                ("at", models.BigIntegerField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("node", "generation"), name="one_doubt_a_node")],
            },
        ),
        migrations.CreateModel(
            name="Forgery",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("node", models.TextField()),
                ("day", models.IntegerField()),
                ("reason", models.TextField()),
                ("at", models.BigIntegerField()),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("node", "day"), name="one_forgery_a_day")],
            },
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="TaskState",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("began_at", models.BigIntegerField()),
                ("ended_at", models.BigIntegerField(null=True)),
                ("took_ms", models.BigIntegerField(default=0)),
                ("done", models.BigIntegerField(default=0)),
                ("failures", models.IntegerField(default=0)),
                ("error", models.TextField(default="")),
            ],
        ),
    ]

from django.db import migrations, models

from freehold.master.foundation.counters import NAMES
from freehold.master.foundation.immutability_triggers import refuse


def begin(apps, editor):
    """Begin to count; no counter ever goes back."""
    counter = apps.get_model("foundation", "Counter")
    counter.objects.using(editor.connection.alias).bulk_create(counter(name=name) for name in NAMES)
    condition = "NEW.last < OLD.last OR NEW.sealed < OLD.sealed OR NEW.sealed > NEW.last"
    refuse(editor, "foundation_counter", "UPDATE", "forward", condition, "a counter only grows")


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Counter",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("last", models.BigIntegerField(default=0)),
                ("sealed", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="AuditRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.BigIntegerField()),
                ("actor", models.TextField()),
                ("verb", models.TextField()),
                ("subject", models.TextField()),
                ("project", models.TextField(default="")),
                ("detail", models.TextField(default="{}")),
            ],
            options={
                "indexes": [models.Index(fields=["subject", "id"], name="audit_subject")],
            },
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]

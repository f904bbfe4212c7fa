import django.db.models.deletion
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What was said stays said."""
    keep(editor, "support_message")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Ticket",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("scope", models.TextField()),
                ("about", models.TextField()),
                ("until", models.BigIntegerField(default=0)),
                ("title", models.TextField()),
                ("opened_at", models.BigIntegerField()),
                ("closed_at", models.BigIntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="people.project"
                    ),
                ),
                (
                    "provider",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="people.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.BigIntegerField()),
                ("author", models.TextField()),
                ("text", models.TextField()),
                ("ticket", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="support.ticket")),
            ],
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(fields=["project", "id"], name="ticket_of_project"),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(fields=["provider", "id"], name="ticket_of_provider"),
        ),
        migrations.AddIndex(
            model_name="ticket",
            index=models.Index(fields=["about"], name="ticket_about"),
        ),
        migrations.AddConstraint(
            model_name="ticket",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("closed_at__isnull", True), models.Q(("about__startswith", "service:"), _negated=True)
                ),
                fields=("about",),
                name="one_open_ticket",
            ),
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
    ]

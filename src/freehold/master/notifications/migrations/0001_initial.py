import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("people", "0003_language"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Cause",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("subject", models.TextField()),
                ("key", models.TextField()),
                ("scope", models.TextField()),
                ("detail", models.TextField()),
                ("ending", models.TextField(default="{}")),
                ("opened_at", models.BigIntegerField()),
                ("noticed_at", models.BigIntegerField()),
                ("ended_at", models.BigIntegerField(null=True)),
                (
                    "project",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to="people.project"),
                ),
            ],
        ),
        migrations.CreateModel(
            name="MessageSettings",
            fields=[
                (
                    "person",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("time_zone", models.TextField(default="UTC")),
                ("quiet_from", models.IntegerField(null=True)),
                ("quiet_until", models.IntegerField(null=True)),
                ("most", models.IntegerField(default=5)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("quiet_from__isnull", True), ("quiet_until__isnull", True)),
                            models.Q(
                                ("quiet_from__gte", 0),
                                ("quiet_from__lt", 1440),
                                ("quiet_until__gte", 0),
                                ("quiet_until__lt", 1440),
                            ),
                            _connector="OR",
                        ),
                        name="quiet_from_and_until",
                    ),
                    models.CheckConstraint(condition=models.Q(("most__gte", 1)), name="at_least_one_message"),
                ],
            },
        ),
        migrations.CreateModel(
            name="MutedKind",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.TextField()),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL
                    ),
                ),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("url", models.TextField()),
                ("scopes", models.TextField()),
                ("created_at", models.BigIntegerField()),
                ("maker", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="OutgoingMessage",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("state", models.TextField(default="waiting")),
                ("attempts", models.IntegerField(default=0)),
                ("due_at", models.BigIntegerField()),
                ("claimed_until", models.BigIntegerField(default=0)),
                ("made_at", models.BigIntegerField()),
                ("queued_at", models.BigIntegerField()),
                ("sent_at", models.BigIntegerField(null=True)),
                ("error", models.TextField(default="")),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, to="notifications.webhook"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Notice",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event", models.TextField()),
                ("key", models.TextField()),
                ("due_at", models.BigIntegerField()),
                ("is_held", models.BooleanField(default=False)),
                ("cause", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="notifications.cause")),
                (
                    "person",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, to="notifications.outgoingmessage"
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="notifications.webhook",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="cause",
            index=models.Index(fields=["project", "id"], name="cause_of_project"),
        ),
        migrations.AddConstraint(
            model_name="cause",
            constraint=models.UniqueConstraint(fields=("project", "key", "kind"), name="one_cause_an_occurrence"),
        ),
        migrations.AddConstraint(
            model_name="cause",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at__isnull", True)),
                fields=("project", "kind", "subject"),
                name="one_open_cause",
            ),
        ),
        migrations.AddConstraint(
            model_name="mutedkind",
            constraint=models.UniqueConstraint(fields=("person", "project", "kind"), name="muted_once"),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.UniqueConstraint(fields=("project", "url"), name="one_webhook_an_address"),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(condition=models.Q(("state", "waiting")), fields=["due_at"], name="message_waiting"),
        ),
        migrations.AddIndex(
            model_name="outgoingmessage",
            index=models.Index(fields=["person", "id"], name="message_of_person"),
        ),
        migrations.AddConstraint(
            model_name="outgoingmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("person__isnull", True), ("webhook__isnull", False)),
                    models.Q(("person__isnull", False), ("webhook__isnull", True)),
                    _connector="OR",
                ),
                name="a_message_goes_to_somebody",
            ),
        ),
        migrations.AddConstraint(
            model_name="outgoingmessage",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "sent", "dead"])), name="message_state"
            ),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(condition=models.Q(("message__isnull", True)), fields=["due_at"], name="notice_open"),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(fields=("person", "key", "event"), name="one_notice_a_person"),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.UniqueConstraint(fields=("webhook", "key", "event"), name="one_notice_a_webhook"),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("person__isnull", True), ("webhook__isnull", False)),
                    models.Q(("person__isnull", False), ("webhook__isnull", True)),
                    _connector="OR",
                ),
                name="a_notice_is_for_somebody",
            ),
        ),
    ]

import django.db.models.deletion
from django.db import migrations, models

_TABLE = "ordering_instance"
_ONE_MORE = """
    INSERT INTO ordering_instancecount (project_id, instances) VALUES (NEW.project_id, 1)
    ON CONFLICT (project_id) DO UPDATE SET instances = ordering_instancecount.instances + 1"""
_ONE_LESS = "UPDATE ordering_instancecount SET instances = instances - 1 WHERE project_id = OLD.project_id"
_TRIGGERS = (
    # Name, event, when, what.
    ("made", "INSERT", "NEW.gone_at IS NULL", (_ONE_MORE,)),
    ("gone", "UPDATE OF gone_at", "OLD.gone_at IS NULL AND NEW.gone_at IS NOT NULL", (_ONE_LESS,)),
    (
        "moved", "UPDATE OF project_id", "OLD.gone_at IS NULL AND NEW.project_id <> OLD.project_id",
        (_ONE_LESS, _ONE_MORE),
    ),
    ("removed", "DELETE", "OLD.gone_at IS NULL", (_ONE_LESS,)),
)  # fmt: skip


def count(apps, editor):
    """Have the database itself count the instances of each project."""
    with editor.connection.cursor() as cursor:
        for name, event, when, statements in _TRIGGERS:
            trigger, body = f"{_TABLE}_{name}", "; ".join(statements)
            if editor.connection.vendor == "sqlite":
                cursor.execute(f"CREATE TRIGGER {trigger} AFTER {event} ON {_TABLE} WHEN {when} BEGIN {body}; END")
                continue
            cursor.execute(
                f"CREATE FUNCTION {trigger}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$"
            )
            cursor.execute(
                f"CREATE TRIGGER {trigger} AFTER {event} ON {_TABLE} FOR EACH ROW WHEN ({when})"
                f" EXECUTE FUNCTION {trigger}()"
            )


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("catalog", "0001_initial"),
        ("fleet", "0001_initial"),
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Instance",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("tree", models.TextField(db_index=True)),
                ("parent", models.TextField(db_index=True, null=True)),
                ("host", models.TextField(db_index=True, null=True)),
                ("title", models.TextField()),
                ("product", models.TextField()),
                ("type", models.TextField()),
                ("parameters", models.TextField()),
                ("constraints", models.TextField()),
                (
                    "requested_state",
                    models.TextField(
                        choices=[("started", "started"), ("stopped", "stopped"), ("destroyed", "destroyed")]
                    ),
                ),
                (
                    "wanted",
                    models.TextField(
                        choices=[("started", "started"), ("stopped", "stopped"), ("destroyed", "destroyed")]
                    ),
                ),
                ("orphaned_at", models.BigIntegerField(null=True)),
                ("suspended_at", models.BigIntegerField(null=True)),
                ("ends_at", models.BigIntegerField(null=True)),
                ("protected", models.BooleanField(default=False)),
                ("seed", models.TextField()),
                ("child_publications", models.TextField(default="{}")),
                ("forwarded_publication", models.BigIntegerField(default=0)),
                ("partition", models.TextField()),
                ("note", models.TextField(null=True)),
                ("weight", models.IntegerField()),
                ("revision", models.BigIntegerField()),
                ("created_at", models.BigIntegerField()),
                ("changed_at", models.BigIntegerField()),
                ("gone_at", models.BigIntegerField(null=True)),
                (
                    "node",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="fleet.node"),
                ),
                (
                    "project",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="people.project"),
                ),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="InstanceCount",
            fields=[
                ("project_id", models.TextField(primary_key=True, serialize=False)),
                ("instances", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Departure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("partition", models.TextField()),
                ("weight", models.IntegerField()),
                ("revision", models.BigIntegerField()),
                ("at", models.BigIntegerField()),
                (
                    "node",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to="fleet.node"),
                ),
                ("instance", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ordering.instance")),
            ],
        ),
        migrations.CreateModel(
            name="DepartedRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.BigIntegerField()),
                (
                    "node",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to="fleet.node"),
                ),
                ("instance", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="ordering.instance")),
            ],
        ),
        migrations.CreateModel(
            name="InstanceRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("revision", models.BigIntegerField()),
                ("state", models.TextField()),
                ("message", models.TextField()),
                ("promises", models.TextField()),
                ("at", models.BigIntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PublicationRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("revision", models.BigIntegerField()),
                ("published", models.TextField()),
                ("at", models.BigIntegerField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="RequestRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.BigIntegerField()),
                ("actor", models.TextField()),
                ("parameters", models.TextField()),
                ("requested_state", models.TextField()),
                (
                    "instance",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="HostOffer",
            fields=[
                (
                    "host",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="ordering.instance",
                    ),
                ),
                ("type", models.TextField()),
                ("beneficiary", models.TextField()),
                ("free", models.IntegerField()),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["project", "title", "created_at"], name="instance_by_title"),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("gone_at__isnull", True)), fields=["node", "revision"], name="instance_feed"
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("gone_at__isnull", True), ("wanted", "destroyed")),
                fields=["id"],
                name="instance_going",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("ends_at__isnull", False)), fields=["ends_at"], name="instance_ending"
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("orphaned_at__isnull", False)), fields=["orphaned_at"], name="instance_orphaned"
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(
                condition=models.Q(("wanted", "destroyed"), _negated=True),
                fields=("project", "title"),
                name="one_tree_a_title",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(("wanted__in", ["started", "stopped", "destroyed"])), name="instance_wanted"
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(("gone_at__isnull", True), ("wanted", "destroyed"), _connector="OR"),
                name="only_the_destroyed_are_gone",
            ),
        ),
        migrations.AddIndex(
            model_name="departure",
            index=models.Index(fields=["node", "revision"], name="departure_feed"),
        ),
        migrations.AddConstraint(
            model_name="departure",
            constraint=models.UniqueConstraint(fields=("instance", "node"), name="one_departure_at_a_time"),
        ),
        migrations.AddIndex(
            model_name="instancerow",
            index=models.Index(fields=["instance", "id"], name="instancerow_latest"),
        ),
        migrations.AddIndex(
            model_name="publicationrow",
            index=models.Index(fields=["instance", "id"], name="publication_latest"),
        ),
        migrations.AddIndex(
            model_name="requestrow",
            index=models.Index(fields=["instance", "id"], name="requestrow_latest"),
        ),
        migrations.AddIndex(
            model_name="hostoffer",
            index=models.Index(fields=["release", "type", "beneficiary", "free"], name="share_search"),
        ),
        migrations.AddConstraint(
            model_name="hostoffer",
            constraint=models.CheckConstraint(condition=models.Q(("free__gte", 0)), name="no_more_shared_than_places"),
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]

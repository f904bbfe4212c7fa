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
    """Count what is there, and have the database go on counting."""
    with editor.connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ordering_instancecount (project_id, instances)"
            f" SELECT project_id, count(*) FROM {_TABLE} WHERE gone_at IS NULL GROUP BY project_id"
        )
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
    dependencies = [
        ("catalog", "0005_who_may_offer"),
        ("fleet", "0006_answered_again"),
        ("ordering", "0005_suspension"),
        ("people", "0003_quotas"),
    ]

    operations = [
        migrations.CreateModel(
            name="InstanceCount",
            fields=[
                ("project_id", models.TextField(primary_key=True, serialize=False)),
                ("instances", models.BigIntegerField()),
            ],
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]

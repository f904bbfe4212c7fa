import django.db.models.deletion
from django.db import migrations, models

from freehold.master.foundation.immutability_triggers import after, compact, keep, refuse

_OF_BATCH = "SELECT 1 FROM accounting_entry e WHERE e.id BETWEEN OLD.first AND OLD.last"
_UNBALANCED = """EXISTS (
  SELECT 1 FROM accounting_posting p WHERE p.entry BETWEEN OLD.first AND OLD.last
  GROUP BY p.entry HAVING sum(p.amount) <> 0 OR sum(p.functional) <> 0
) OR EXISTS (
  SELECT 1 FROM accounting_entry e WHERE e.id BETWEEN OLD.first AND OLD.last
  AND NOT EXISTS (SELECT 1 FROM accounting_posting p WHERE p.entry = e.id)
)"""
_LOCKED = f"EXISTS ({_OF_BATCH} AND e.day < (SELECT open_from FROM accounting_legalentity WHERE id = OLD.entity))"
_FOREIGN = f"EXISTS ({_OF_BATCH} AND (e.batch <> OLD.id OR e.entity <> OLD.entity))"
_UNKNOWN = """EXISTS (
  SELECT 1 FROM (SELECT DISTINCT account FROM accounting_posting WHERE entry BETWEEN OLD.first AND OLD.last) p
  WHERE NOT EXISTS (SELECT 1 FROM accounting_account a WHERE a.entity_id = OLD.entity AND a.code = p.account)
)"""
_OTHER = " OR ".join(
    f"NEW.{name} <> OLD.{name}" for name in ("id", "entity", "at", "what", "first", "last", "previous")
)


def protect(apps, editor):
    """Let the database itself keep the books. Postings are written by the million: each in one place."""
    compact(editor, "accounting_posting")
    keep(editor, "accounting_entry", "accounting_posting")
    after(editor, "accounting_entry", "id", "entry")
    after(editor, "accounting_posting", "entry", "entry")
    table = "accounting_batch"
    refuse(editor, table, "DELETE", "stays", "1 = 1", "a batch is written once")
    refuse(editor, table, "UPDATE", "sealed", f"OLD.digest <> '' OR {_OTHER}", "a sealed batch never changes")
    refuse(editor, table, "UPDATE", "balanced", _UNBALANCED, "an entry does not sum to zero")
    refuse(editor, table, "UPDATE", "unlocked", _LOCKED, "an entry lies in a locked time")
    refuse(editor, table, "UPDATE", "own", _FOREIGN, "an entry is of another batch")
    refuse(editor, table, "UPDATE", "known", _UNKNOWN, "an entry names an account that is none")
    back = "NEW.open_from < OLD.open_from"
    refuse(editor, "accounting_legalentity", "UPDATE", "stays_locked", back, "what is locked stays locked")
    refuse(editor, "accounting_series", "UPDATE", "forward", "NEW.last < OLD.last", "numbers are given once")


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("foundation", "0001_initial"),
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Posting",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entry", "position", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("entry", models.BigIntegerField()),
                ("position", models.IntegerField()),
                ("account", models.TextField()),
                ("party", models.TextField(default="")),
                ("amount", models.BigIntegerField()),
                ("functional", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Series",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "entity", "kind", "year", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("entity", models.TextField()),
                ("kind", models.TextField()),
                ("year", models.IntegerField()),
                ("last", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Batch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("entity", models.TextField()),
                ("at", models.BigIntegerField()),
                ("what", models.TextField()),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("previous", models.TextField()),
                ("digest", models.TextField(default="")),
            ],
            options={
                "indexes": [models.Index(fields=["entity", "id"], name="batch_chain")],
            },
        ),
        migrations.CreateModel(
            name="Entry",
            fields=[
                ("id", models.BigIntegerField(primary_key=True, serialize=False)),
                ("batch", models.BigIntegerField()),
                ("entity", models.TextField()),
                ("year", models.IntegerField()),
                ("number", models.BigIntegerField()),
                ("day", models.IntegerField()),
                ("journal", models.TextField()),
                ("label", models.TextField()),
                ("source", models.TextField()),
                ("purpose", models.TextField()),
                ("currency", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("entity", "year", "number"), name="one_entry_a_number"),
                    models.UniqueConstraint(fields=("source", "purpose"), name="posted_once"),
                ],
            },
        ),
        migrations.CreateModel(
            name="LegalEntity",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("code", models.TextField(unique=True)),
                ("name", models.TextField()),
                ("address", models.TextField()),
                ("country", models.TextField()),
                ("currency", models.TextField()),
                ("time_zone", models.TextField()),
                ("vat_number", models.TextField(default="")),
                ("registration", models.TextField(default="")),
                ("payment_days", models.IntegerField(default=30)),
                ("stop_days", models.IntegerField(null=True)),
                ("open_from", models.IntegerField(default=0)),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
            options={
                "verbose_name_plural": "legal entities",
            },
        ),
        migrations.CreateModel(
            name="Account",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.TextField()),
                ("name", models.TextField()),
                ("kind", models.TextField()),
                ("purpose", models.TextField(default="")),
                ("entity", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="accounting.legalentity")),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("entity", "code"), name="one_account_a_code"),
                    models.UniqueConstraint(
                        condition=models.Q(("purpose", ""), _negated=True),
                        fields=("entity", "purpose"),
                        name="one_account_a_purpose",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["asset", "liability", "equity", "income", "expense"])),
                        name="account_kind",
                    ),
                ],
            },
        ),
        migrations.RunPython(protect, migrations.RunPython.noop),
    ]

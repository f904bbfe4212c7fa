from django.db import migrations

from freehold.master.foundation.immutability_triggers import after, keep, refuse

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
    """Let the database itself keep the books."""
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
    dependencies = [("accounting", "0001_initial"), ("foundation", "0003_counters")]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]

from django.db import migrations

from freehold.master.foundation.immutability_triggers import after, compact


def rewrite(apps, editor):
    """Postings are written by the million: each in one place, and looked at when it is there."""
    compact(editor, "accounting_posting")
    after(editor, "accounting_entry", "id", "entry")
    after(editor, "accounting_posting", "entry", "entry")


class Migration(migrations.Migration):
    dependencies = [("accounting", "0003_terms")]
    operations = [migrations.RunPython(rewrite, migrations.RunPython.noop)]

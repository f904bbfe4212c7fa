from django.db import migrations

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What somebody was called when documents were issued stays so."""
    keep(editor, "billing_former")


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_former")]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]

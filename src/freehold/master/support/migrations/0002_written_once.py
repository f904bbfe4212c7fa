from django.db import migrations

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What was said stays said."""
    keep(editor, "support_message")


class Migration(migrations.Migration):
    dependencies = [("support", "0001_initial")]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]

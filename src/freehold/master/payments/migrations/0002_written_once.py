from django.db import migrations

from freehold.master.foundation.immutability_triggers import keep


def protect(apps, editor):
    """What a provider told stays told."""
    keep(editor, "payments_paymentevent")


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]

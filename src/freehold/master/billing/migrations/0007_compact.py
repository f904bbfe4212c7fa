from django.db import migrations

from freehold.master.foundation.immutability_triggers import after, compact


def rewrite(apps, editor):
    """Lines and taxes are written by the million: each in one place, and looked at when it is there."""
    compact(editor, "billing_documentline", "billing_documenttax")
    after(editor, "billing_document", "id", "document")
    after(editor, "billing_documentline", "document", "document")
    after(editor, "billing_documenttax", "document", "document")


class Migration(migrations.Migration):
    dependencies = [("billing", "0006_trouble")]
    operations = [migrations.RunPython(rewrite, migrations.RunPython.noop)]

from django.db import migrations

from freehold.master.foundation.counters import NAMES
from freehold.master.foundation.immutability_triggers import refuse


def begin(apps, editor):
    """Begin to count; no counter ever goes back."""
    counter = apps.get_model("foundation", "Counter")
    counter.objects.using(editor.connection.alias).bulk_create(counter(name=name) for name in NAMES)
    condition = "NEW.last < OLD.last OR NEW.sealed < OLD.sealed OR NEW.sealed > NEW.last"
    refuse(editor, "foundation_counter", "UPDATE", "forward", condition, "a counter only grows")


class Migration(migrations.Migration):
    dependencies = [("foundation", "0002_commerce")]
    operations = [migrations.RunPython(begin, migrations.RunPython.noop)]

"""Instances that were there before trees: each was asked what it is, and gets a seed."""

import secrets
from typing import Any

from django.db import migrations


def complete(apps: Any, editor: Any) -> None:
    for row in apps.get_model("ordering", "Instance").objects.filter(seed=""):
        row.asked, row.seed = row.wanted, secrets.token_hex(32)
        row.save(update_fields=["asked", "seed"])


class Migration(migrations.Migration):
    dependencies = [("ordering", "0002_trees")]

    operations = [migrations.RunPython(complete, migrations.RunPython.noop)]

import json

from django.db import migrations

FORMERLY = {"memory_gb": "memory_mb", "disk_gb": "disk_mb"}
"""What was only shown, in gigabytes."""
NAMES = ("cpus", "memory_mb", "disk_mb", "processes", "open_files")


def have_real_sizes(apps, schema_editor):
    """Write each offer's size as what its services may use."""
    Offer = apps.get_model("sales", "Offer")
    for offer in Offer.objects.exclude(size="{}"):
        size = {}
        for name, value in json.loads(offer.size).items():
            known = FORMERLY.get(name, name)
            if known in NAMES and value > 0:
                size[known] = value * 1024 if name in FORMERLY else value
        Offer.objects.filter(id=offer.id).update(size=json.dumps(size))


class Migration(migrations.Migration):
    dependencies = [
        ("sales", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(have_real_sizes, migrations.RunPython.noop),
    ]

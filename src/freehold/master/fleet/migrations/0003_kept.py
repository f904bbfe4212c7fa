from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("fleet", "0002_certificate_end"),
    ]

    operations = [
        AddColumn(
            model_name="node",
            name="kept_cpu_percent",
            field=models.BigIntegerField(db_default=0),
        ),
        AddColumn(
            model_name="node",
            name="kept_memory_mb",
            field=models.BigIntegerField(db_default=0),
        ),
        AddColumn(
            model_name="node",
            name="kept_disk_mb",
            field=models.BigIntegerField(db_default=0),
        ),
        AddColumn(
            model_name="partition",
            name="kept_cpu_percent",
            field=models.BigIntegerField(db_default=0),
        ),
        AddColumn(
            model_name="partition",
            name="kept_memory_mb",
            field=models.BigIntegerField(db_default=0),
        ),
        AddColumn(
            model_name="partition",
            name="kept_disk_mb",
            field=models.BigIntegerField(db_default=0),
        ),
    ]

from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0006_clusters"),
    ]

    operations = [
        AddColumn(
            model_name="clustermember",
            name="drained_node",
            field=models.TextField(db_default=""),
        ),
    ]

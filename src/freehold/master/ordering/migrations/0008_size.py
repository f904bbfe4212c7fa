from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0007_drained_members"),
    ]

    operations = [
        AddColumn(
            model_name="instance",
            name="size",
            field=models.TextField(db_default="{}"),
        ),
        AddColumn(
            model_name="cluster",
            name="member_size",
            field=models.TextField(db_default="{}"),
        ),
    ]

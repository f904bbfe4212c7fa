from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0003_project_suspension"),
    ]

    operations = [
        AddColumn(
            model_name="instance",
            name="restarts",
            field=models.TextField(db_default="{}"),
        ),
        AddColumn(
            model_name="instancerow",
            name="processes",
            field=models.TextField(db_default="[]"),
        ),
    ]

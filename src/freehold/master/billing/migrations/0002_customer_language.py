from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_initial"),
    ]

    operations = [
        AddColumn(
            model_name="customer",
            name="language",
            field=models.TextField(db_default=""),
        ),
    ]

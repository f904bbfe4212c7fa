from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("ordering", "0004_restarts"),
    ]

    operations = [
        AddColumn(
            model_name="instance",
            name="awaits_ready",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(condition=models.Q(("awaits_ready", True)), fields=["id"], name="instance_awaits_ready"),
        ),
    ]

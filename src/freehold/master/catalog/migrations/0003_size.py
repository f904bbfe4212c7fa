from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_orderable"),
    ]

    operations = [
        migrations.AddField(
            model_name="releasetype",
            name="size",
            field=models.TextField(db_default="{}"),
        ),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="releasetype",
            name="is_orderable",
            field=models.BooleanField(db_default=True, default=True),
        ),
    ]

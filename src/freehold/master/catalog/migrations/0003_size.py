from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_orderable"),
    ]

    operations = [
        migrations.AddField(
            model_name="release",
            name="goes_back",
            field=models.BooleanField(db_default=True),
        ),
        migrations.AddField(
            model_name="releasetype",
            name="knows_peers",
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name="releasetype",
            name="size",
            field=models.TextField(db_default="{}"),
        ),
    ]

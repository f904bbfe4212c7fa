from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]

    operations = [
        migrations.AddField("releasetype", "shared", models.BooleanField(default=False)),
        migrations.AddField("releasetype", "host", models.TextField(default="")),
    ]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("people", "0003_quotas")]
    operations = [migrations.AddField("person", "sessions_since", models.BigIntegerField(default=0))]

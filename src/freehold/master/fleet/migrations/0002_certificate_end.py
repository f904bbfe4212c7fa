from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("fleet", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="certificate",
            index=models.Index(
                fields=["not_after"], name="certificate_end", condition=models.Q(revoked_at__isnull=True)
            ),
        ),
    ]

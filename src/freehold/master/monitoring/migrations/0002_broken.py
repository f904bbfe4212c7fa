from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0001_initial"),
        ("ordering", "0001_initial"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="assessment",
            index=models.Index(condition=models.Q(("kept", False)), fields=["at"], name="assessment_broken"),
        ),
    ]

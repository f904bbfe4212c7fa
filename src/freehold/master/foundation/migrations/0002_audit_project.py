from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("foundation", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="auditrow",
            index=models.Index(fields=["project", "id"], name="audit_project"),
        ),
    ]

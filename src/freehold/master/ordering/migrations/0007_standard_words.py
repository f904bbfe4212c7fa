from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("ordering", "0006_instances_of_project")]
    operations = [
        migrations.RenameModel("Share", "HostOffer"),
        migrations.RenameField("Instance", "asked", "requested_state"),
        migrations.RenameField("Instance", "given", "child_publications"),
        migrations.RenameField("Instance", "told", "forwarded_publication"),
        migrations.RemoveIndex("Instance", "instance_unasked"),
        migrations.RenameField("Instance", "unasked_at", "orphaned_at"),
        migrations.AddIndex(
            "Instance",
            models.Index(fields=["orphaned_at"], name="instance_orphaned", condition=Q(orphaned_at__isnull=False)),
        ),
        migrations.RenameField("RequestRow", "asked", "requested_state"),
    ]

from django.db import migrations, models

_LEFT = "UPDATE fleet_partition SET instance = instance || ':' || node_id WHERE instance LIKE 'left:%'"
"""What an instance left on a node has a name of its own there."""


class Migration(migrations.Migration):
    dependencies = [("fleet", "0005_chains")]

    operations = [
        migrations.AddField(model_name="enroltoken", name="epoch", field=models.IntegerField(default=0)),
        migrations.AddField(model_name="enroltoken", name="key", field=models.TextField(default="")),
        migrations.RunSQL(_LEFT, migrations.RunSQL.noop),
    ]

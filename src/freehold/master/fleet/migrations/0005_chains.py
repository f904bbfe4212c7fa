"""One row for each node says where its reports end, instead of one for each report."""

import django.db.models.deletion
from django.db import migrations, models

_KEEP = """
INSERT INTO fleet_chain (node_id, epoch, sequence, hash, received_at)
SELECT r.node_id, r.epoch, r.sequence, r.hash, r.received_at
FROM fleet_reportrow r
JOIN fleet_node n ON n.id = r.node_id AND n.epoch = r.epoch
WHERE r.sequence = (SELECT max(o.sequence) FROM fleet_reportrow o WHERE o.node_id = r.node_id AND o.epoch = r.epoch)
"""


class Migration(migrations.Migration):
    dependencies = [("fleet", "0004_leases")]

    operations = [
        migrations.CreateModel(
            name="Chain",
            fields=[
                (
                    "node",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="fleet.node"
                    ),
                ),
                ("epoch", models.IntegerField()),
                ("sequence", models.BigIntegerField()),
                ("hash", models.TextField()),
                ("received_at", models.BigIntegerField()),
            ],
        ),
        migrations.RunSQL(_KEEP, migrations.RunSQL.noop),
        migrations.DeleteModel(name="ReportRow"),
    ]

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def begin(apps, editor):
    """Begin to count revisions and moves."""
    apps.get_model("fleet", "RevisionClock").objects.create(id=1, value=0)
    apps.get_model("fleet", "MoveCount").objects.create(id=1, value=0)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("catalog", "0001_initial"),
        ("people", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Node",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("title", models.TextField()),
                ("epoch", models.IntegerField(default=1)),
                ("revision", models.BigIntegerField(db_index=True)),
                ("open", models.BooleanField(default=True)),
                ("builder", models.BooleanField(default=False)),
                ("labels", models.TextField(default="{}")),
                ("cpus", models.IntegerField(default=0)),
                ("memory_mb", models.BigIntegerField(default=0)),
                ("disk_mb", models.BigIntegerField(default=0)),
                ("architecture", models.TextField(default="")),
                ("system", models.TextField(default="")),
                ("agent", models.TextField(default="")),
                ("protections", models.TextField(default="{}")),
                ("promises", models.TextField(default="[]")),
                ("lease", models.IntegerField(default=0)),
                ("acknowledged_lease", models.IntegerField(default=0)),
                ("lost_at", models.BigIntegerField(null=True)),
                ("silent_since", models.BigIntegerField(null=True)),
                ("stopped", models.TextField(default="")),
                ("capacity", models.IntegerField(default=1000000)),
                ("used", models.IntegerField(default=0)),
                ("free", models.IntegerField(default=0)),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="MoveCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="RevisionClock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Certificate",
            fields=[
                ("fingerprint", models.TextField(primary_key=True, serialize=False)),
                ("kind", models.TextField()),
                ("subject", models.TextField(db_index=True)),
                ("not_after", models.BigIntegerField()),
                ("issued_at", models.BigIntegerField()),
                ("revoked_at", models.BigIntegerField(null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["node", "instance"])), name="certificate_kind"
                    )
                ],
            },
        ),
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
        migrations.CreateModel(
            name="Farewell",
            fields=[
                (
                    "node",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="fleet.node"
                    ),
                ),
                ("epoch", models.IntegerField()),
                ("sequence", models.BigIntegerField()),
                ("stopped", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="RefusedOverflow",
            fields=[
                (
                    "node",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, primary_key=True, serialize=False, to="fleet.node"
                    ),
                ),
                ("items", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="HostFactsRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("facts", models.TextField()),
                ("received_at", models.BigIntegerField()),
                ("node", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.node")),
            ],
        ),
        migrations.CreateModel(
            name="RefusedItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("sequence", models.BigIntegerField()),
                ("reason", models.TextField()),
                ("item", models.TextField()),
                ("received_at", models.BigIntegerField()),
                ("node", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.node")),
            ],
        ),
        migrations.CreateModel(
            name="Site",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("region", models.TextField(default="")),
                ("expected_silence", models.IntegerField(default=0)),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
        ),
        migrations.AddField(
            model_name="node",
            name="site",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="fleet.site"),
        ),
        migrations.CreateModel(
            name="EnrolToken",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("digest", models.TextField(unique=True)),
                ("expires_at", models.BigIntegerField()),
                ("used_by", models.TextField(null=True)),
                ("key", models.TextField(default="")),
                ("epoch", models.IntegerField(default=0)),
                (
                    "created_by",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL),
                ),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="people.project")),
                ("site", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.site")),
            ],
        ),
        migrations.CreateModel(
            name="SoftwareRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("release", models.TextField()),
                ("state", models.TextField()),
                ("message", models.TextField()),
                ("at", models.BigIntegerField()),
                ("node", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.node")),
            ],
        ),
        migrations.CreateModel(
            name="Supply",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("beneficiary", models.TextField(default="")),
                ("wanted", models.TextField(default="available")),
                ("observed", models.TextField(default="")),
                ("message", models.TextField(default="")),
                ("observed_at", models.BigIntegerField(null=True)),
                ("revision", models.BigIntegerField()),
                ("open", models.BooleanField(default=True)),
                ("free", models.IntegerField(default=0)),
                ("node", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.node")),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="catalog.release")),
                ("site", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="fleet.site")),
            ],
        ),
        migrations.CreateModel(
            name="Partition",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField()),
                ("number", models.IntegerField()),
                ("address", models.TextField()),
                ("present", models.BooleanField(default=True)),
                ("instance", models.TextField(null=True)),
                ("node", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="fleet.node")),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("instance__isnull", True), ("present", True)),
                        fields=["node", "number"],
                        name="partition_free",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("node", "name"), name="one_partition_a_name"),
                    models.UniqueConstraint(
                        condition=models.Q(("instance__isnull", False)),
                        fields=("instance",),
                        name="one_partition_an_instance",
                    ),
                ],
            },
        ),
        migrations.AddConstraint(
            model_name="site",
            constraint=models.UniqueConstraint(fields=("project", "name"), name="one_site_a_name"),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.UniqueConstraint(fields=("project", "title"), name="one_node_a_title"),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(condition=models.Q(("free__gte", 0)), name="node_free_not_negative"),
        ),
        migrations.AddConstraint(
            model_name="node",
            constraint=models.CheckConstraint(condition=models.Q(("used__gte", 0)), name="node_used_not_negative"),
        ),
        migrations.AddIndex(
            model_name="supply",
            index=models.Index(
                condition=models.Q(("free__gt", 0), ("open", True)),
                fields=["release", "beneficiary", "free", "node"],
                name="supply_choice",
            ),
        ),
        migrations.AddIndex(
            model_name="supply",
            index=models.Index(
                condition=models.Q(("free__gt", 0), ("open", True)),
                fields=["release", "beneficiary", "site", "free", "node"],
                name="supply_choice_site",
            ),
        ),
        migrations.AddIndex(
            model_name="supply",
            index=models.Index(fields=["node", "revision"], name="supply_feed"),
        ),
        migrations.AddConstraint(
            model_name="supply",
            constraint=models.UniqueConstraint(fields=("release", "node"), name="one_supply_a_node"),
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]

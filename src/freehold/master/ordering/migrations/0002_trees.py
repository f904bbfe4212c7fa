import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("catalog", "0002_shared_types"),
        ("fleet", "0001_initial"),
        ("ordering", "0001_initial"),
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="RequestRow",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.BigIntegerField()),
                ("actor", models.TextField()),
                ("parameters", models.TextField()),
                ("asked", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="Share",
            fields=[
                (
                    "host",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        serialize=False,
                        to="ordering.instance",
                    ),
                ),
                ("type", models.TextField()),
                ("beneficiary", models.TextField()),
                ("free", models.IntegerField()),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="instance",
            name="one_tree_a_title",
        ),
        migrations.AddField(
            model_name="instance",
            name="asked",
            field=models.TextField(
                choices=[("started", "started"), ("stopped", "stopped"), ("destroyed", "destroyed")], default="started"
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="instance",
            name="given",
            field=models.TextField(default="{}"),
        ),
        migrations.AddField(
            model_name="instance",
            name="host",
            field=models.TextField(db_index=True, null=True),
        ),
        migrations.AddField(
            model_name="instance",
            name="seed",
            field=models.TextField(default=""),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="instance",
            name="told",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="instance",
            name="unasked_at",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="instance",
            name="parent",
            field=models.TextField(db_index=True, null=True),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(
                condition=models.Q(("unasked_at__isnull", False)), fields=["unasked_at"], name="instance_unasked"
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(
                condition=models.Q(("wanted", "destroyed"), _negated=True),
                fields=("project", "title"),
                name="one_tree_a_title",
            ),
        ),
        migrations.AddField(
            model_name="requestrow",
            name="instance",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.CASCADE, to="ordering.instance"
            ),
        ),
        migrations.AddField(
            model_name="requestrow",
            name="release",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"),
        ),
        migrations.AddField(
            model_name="share",
            name="release",
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="catalog.release"),
        ),
        migrations.AddIndex(
            model_name="requestrow",
            index=models.Index(fields=["instance", "id"], name="requestrow_latest"),
        ),
        migrations.AddIndex(
            model_name="share",
            index=models.Index(fields=["release", "type", "beneficiary", "free"], name="share_search"),
        ),
        migrations.AddConstraint(
            model_name="share",
            constraint=models.CheckConstraint(condition=models.Q(("free__gte", 0)), name="no_more_shared_than_places"),
        ),
    ]

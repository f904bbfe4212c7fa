import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("people", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Product",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
                ("created_at", models.BigIntegerField()),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="people.project")),
            ],
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.TextField(primary_key=True, serialize=False)),
                ("version", models.TextField()),
                ("description", models.TextField()),
                ("size", models.IntegerField()),
                ("published_at", models.BigIntegerField()),
                ("product", models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="catalog.product")),
            ],
        ),
        migrations.CreateModel(
            name="ReleaseType",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField()),
                ("title", models.TextField()),
                ("description", models.TextField(default="")),
                ("index", models.IntegerField(default=0)),
                ("weight", models.PositiveIntegerField(default=1)),
                ("holds_data", models.BooleanField(default=True)),
                ("requests", models.TextField(default="[]")),
                ("shared", models.BooleanField(default=False)),
                ("host", models.TextField(default="")),
                ("request_schema", models.TextField()),
                ("response_schema", models.TextField()),
                ("release", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to="catalog.release")),
            ],
        ),
        migrations.CreateModel(
            name="SellingGrant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.TextField()),
                ("created_at", models.BigIntegerField()),
                (
                    "product",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, to="catalog.product"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, to="people.project"),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="release",
            index=models.Index(fields=["product", "published_at"], name="release_latest"),
        ),
        migrations.AddConstraint(
            model_name="release",
            constraint=models.UniqueConstraint(fields=("product", "version"), name="one_release_a_version"),
        ),
        migrations.AddConstraint(
            model_name="releasetype",
            constraint=models.UniqueConstraint(fields=("release", "name"), name="one_type_a_name"),
        ),
        migrations.AddConstraint(
            model_name="sellinggrant",
            constraint=models.UniqueConstraint(fields=("product", "name"), name="one_grant_a_seller"),
        ),
    ]

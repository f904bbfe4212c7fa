from django.db import migrations, models


def begin(apps, schema_editor):  # type: ignore[no-untyped-def]
    clocks = apps.get_model("fleet", "RevisionClock").objects.filter(id=2)
    former = clocks.values_list("value", flat=True).first()
    apps.get_model("fleet", "MoveCount").objects.create(id=1, value=former or 0)
    clocks.delete()


class Migration(migrations.Migration):
    dependencies = [("fleet", "0007_refused_share")]
    operations = [
        migrations.CreateModel(
            name="MoveCount",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("value", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.RunPython(begin, migrations.RunPython.noop),
    ]

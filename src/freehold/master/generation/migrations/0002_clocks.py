from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("generation", "0001_initial")]
    operations = [
        migrations.CreateModel(
            name="ClockComparison",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("nodes", models.IntegerField(default=0)),
                ("is_agreed", models.BooleanField(default=False)),
                ("ahead", models.BigIntegerField(default=0)),
                ("at", models.BigIntegerField(default=0)),
            ],
        ),
    ]

from django.db import migrations, models

from freehold.master.foundation.columns import AddColumn


class Migration(migrations.Migration):
    dependencies = [
        ("accounting", "0001_initial"),
    ]

    operations = [
        AddColumn(model_name="legalentity", name=name, field=models.TextField(db_default=""))
        for name in ("iban", "bic", "bank")
    ]

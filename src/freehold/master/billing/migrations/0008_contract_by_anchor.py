from django.db import migrations, models

from freehold.master.foundation import days


def anchor(apps, editor):
    """Copy the anchor of each contract's periods; leave room on PostgreSQL to write the next period where a row is."""
    contracts = apps.get_model("billing", "Contract").objects
    for day in contracts.values_list("next_day", flat=True).distinct():
        contracts.filter(next_day=day).update(anchor=days.to_date(day).day)
    if editor.connection.vendor == "postgresql":
        with editor.connection.cursor() as cursor:
            cursor.execute("ALTER TABLE billing_contract SET (fillfactor = 50)")


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_compact")]
    operations = [
        migrations.RemoveIndex(model_name="contract", name="contract_due"),
        migrations.AddField(model_name="contract", name="anchor", field=models.IntegerField(default=1)),
        migrations.RunPython(anchor, migrations.RunPython.noop),
        migrations.AlterField(model_name="contract", name="anchor", field=models.IntegerField()),
        migrations.AddIndex(
            model_name="contract",
            index=models.Index(fields=["entity", "currency", "anchor", "id"], name="contract_by_anchor"),
        ),
    ]

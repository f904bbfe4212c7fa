from decimal import Decimal

from django.db import migrations, models

from freehold.master.foundation import currencies


def whole(apps, editor):
    """Write each rate between whole currencies: it was in millionths, between their smallest units."""
    for row in apps.get_model("billing", "ExchangeRate").objects.select_related("entity"):
        places = currencies.decimals(row.currency) - currencies.decimals(row.entity.currency)
        row.rate = f"{Decimal(row.millionths).scaleb(places - 6).normalize():f}"
        row.save(update_fields=["rate"])


def share(apps, editor):
    """Have PostgreSQL multiply an amount by a fraction of any size; SQLite does it by `money.share`."""
    if editor.connection.vendor == "postgresql":
        with editor.connection.cursor() as cursor:
            cursor.execute("""
                CREATE OR REPLACE FUNCTION money_share(amount bigint, numerator text, denominator text) RETURNS bigint
                LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
                  SELECT CAST(sign(CAST(amount AS numeric))
                              * div(2 * abs(CAST(amount AS numeric) * CAST(numerator AS numeric))
                                    + CAST(denominator AS numeric),
                                    2 * CAST(denominator AS numeric)) AS bigint)
                $$
            """)


class Migration(migrations.Migration):
    dependencies = [("billing", "0008_contract_by_anchor"), ("accounting", "0004_compact")]
    operations = [
        migrations.AddField("contract", "trouble", models.TextField(default="")),
        migrations.AddField("contract", "aside_on", models.IntegerField(default=0)),
        migrations.AddField("exchangerate", "rate", models.TextField(default="")),
        migrations.RunPython(whole, migrations.RunPython.noop),
        migrations.RemoveConstraint("exchangerate", "rate_positive"),
        migrations.RemoveField("exchangerate", "millionths"),
        migrations.AlterField("exchangerate", "rate", models.TextField()),
        migrations.RunPython(share, migrations.RunPython.noop),
    ]

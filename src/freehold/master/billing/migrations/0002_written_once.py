from django.db import migrations

from freehold.master.foundation.immutability_triggers import after, keep, refuse

_PUBLISHED = "EXISTS (SELECT 1 FROM catalog_pricelist l WHERE l.id = {row}.list_id AND l.published_at IS NOT NULL)"
_LIST_PARTS = ("id", "entity_id", "currency", "region", "tax_included", "from_day", "published_at")
_CHANGED = " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _LIST_PARTS)


def protect(apps, editor):
    """Documents are final when they are made, and a price when it is published."""
    keep(editor, "billing_document", "billing_documentline", "billing_documenttax", "billing_payment")
    after(editor, "billing_document", "id", "document")
    after(editor, "billing_documentline", "document", "document")
    after(editor, "billing_documenttax", "document", "document")
    for verb, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD")):
        condition = _PUBLISHED.format(row=row)
        refuse(editor, "catalog_price", verb, f"published_{verb.lower()}", condition, "a published price never changes")
    published = f"OLD.published_at IS NOT NULL AND ({_CHANGED} OR NEW.until_day > OLD.until_day)"
    refuse(editor, "catalog_pricelist", "UPDATE", "published", published, "a published list never changes")
    refuse(editor, "catalog_pricelist", "DELETE", "stays", "OLD.published_at IS NOT NULL", "a published list stays")


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_initial"),
        ("catalog", "0003_commerce"),
        ("foundation", "0003_counters"),
    ]
    operations = [migrations.RunPython(protect, migrations.RunPython.noop)]

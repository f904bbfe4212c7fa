"""What the database itself guards and counts is there when every migration was made."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.rooms import Rooms

GUARDED = {
    "accounting_batch",
    "accounting_entry",
    "accounting_legalentity",
    "accounting_posting",
    "accounting_series",
    "billing_document",
    "billing_documentline",
    "billing_documenttax",
    "billing_partysnapshot",
    "billing_payment",
    "billing_statementbooking",
    "foundation_counter",
    "ordering_instance",
    "payments_paymentevent",
    "sales_price",
    "sales_pricelist",
    "support_message",
}
"""Tables that count, or whose rows are written once."""


def test_no_migration_loses_a_trigger(rooms: "Rooms") -> None:
    """On SQLite a table that is made anew, as Django does to add a column, has none of the triggers of the old one."""
    from django.db import connection

    query = (
        "SELECT tbl_name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        found = {table for (table,) in cursor.fetchall()}
    assert found == GUARDED

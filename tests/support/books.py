"""What holds of the books at every moment."""

from collections import defaultdict
from typing import Any

_MUST_BE_EMPTY = {
    "I6: entries sum to zero": """
        SELECT entry FROM accounting_posting GROUP BY entry HAVING sum(amount) <> 0 OR sum(functional) <> 0""",
    "I8: lines are the net": """
        SELECT d.id FROM billing_document d JOIN billing_documentline l ON l.document = d.id
        GROUP BY d.id, d.net HAVING sum(l.net) <> d.net""",
    "I8: lines of prices with tax are the gross": """
        SELECT d.id FROM billing_document d JOIN billing_documentline l ON l.document = d.id
        WHERE d.tax_included GROUP BY d.id, d.gross HAVING sum(l.amount) <> d.gross""",
    "I8: taxes are the tax": """
        SELECT d.id FROM billing_document d JOIN billing_documenttax t ON t.document = d.id
        GROUP BY d.id, d.tax, d.net HAVING sum(t.tax) <> d.tax OR sum(t.base) <> d.net""",
    "I9: a month is asked once": """
        SELECT subscription, from_day FROM billing_documentline WHERE kind = 'recurring'
        GROUP BY subscription, from_day HAVING count(*) > 1""",
    "a document without an entry": """
        SELECT id FROM billing_document d
        WHERE NOT EXISTS (SELECT 1 FROM accounting_entry e WHERE e.source = 'document:' || d.id)""",
    "I13: credits are within the month's price": """
        SELECT c.subscription FROM billing_charge c WHERE c.kind = 'sla'
        GROUP BY c.subscription, c.month HAVING -sum(c.amount) > 2310""",
}  # fmt: skip


def books_hold() -> None:
    """Assert the invariants that hold at every moment."""
    from django.db import connection

    from freehold.master.accounting.models import Entry, LegalEntity
    from freehold.master.accounting.queries import broken_links, trial_balance
    from freehold.master.billing.models import Contract, Document, Payment
    from freehold.master.billing.queries import balance
    from freehold.master.foundation import days

    with connection.cursor() as cursor:
        for invariant, statement in _MUST_BE_EMPTY.items():
            cursor.execute(statement)
            assert cursor.fetchall() == [], invariant
    for numbered in (Document, Entry):
        kinds = ("entity", "kind", "year") if numbered is Document else ("entity", "year")
        seen: dict[Any, list[int]] = defaultdict(list)
        for *key, number in numbered.objects.values_list(*kinds, "number"):
            seen[tuple(key)].append(number)
        for numbers in seen.values():
            assert sorted(numbers) == list(range(1, len(numbers) + 1)), "I5: no hole, no repeat"
    for entity in LegalEntity.objects.all():
        accounts = {one.code: one.closing for one in trial_balance(entity.id, 0, days.NEVER)}
        assert sum(accounts.values()) == 0, "I6: the trial balance is 0"
        assert broken_links(entity.id) == [], "I7: nothing issued has changed"
        if not Contract.objects.filter(entity=entity).exclude(currency=entity.currency).exists():
            contracts = [balance(one.id) for one in Contract.objects.filter(entity=entity)]
            assert accounts.get("411", 0) == sum(one.billed - one.paid for one in contracts), "I11: receivables"
            assert -accounts.get("165", 0) == sum(one.deposit for one in contracts), "I11: deposits"
    assert all(balance(one).deposit >= 0 for one in Payment.objects.values_list("contract", flat=True).distinct()), (
        "I11"
    )

"""Keeps the audit log bounded."""

from freehold.master.foundation import clock
from freehold.master.foundation.models import AuditRow
from freehold.master.foundation.transactions import writing

AUDIT_YEARS = 10
"""As long as books and what belongs to them are kept (France: code de commerce, art. L123-22)."""
BATCH = 10_000


def clean_up() -> int:
    """Forget who did what ten years ago, the oldest first; return how many rows."""
    before, count = clock.now() - AUDIT_YEARS * 366 * clock.DAY, 0
    while True:
        # By number: rows are written in the order of time, or nearly so.
        rows = list(AuditRow.objects.order_by("id").values_list("id", "at")[:BATCH])
        old = [number for number, at in rows if at < before]
        if not old:
            return count
        with writing():
            count += AuditRow.objects.filter(id__lte=old[-1], at__lt=before).delete()[0]
        if len(old) < len(rows) or len(rows) < BATCH:
            return count

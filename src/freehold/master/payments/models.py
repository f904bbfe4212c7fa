"""What providers of payments told us: card companies, banks, wallets. Kept as it came; what follows is computed."""

from django.db import models
from django.db.models import Q

from freehold.master.accounting.models import LegalEntity


class PaymentEvent(models.Model):
    """A provider says that something became of a payment. Written once; told again, it is the same row."""

    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, db_index=False)
    provider = models.TextField()
    event = models.TextField()
    """The provider's id of this news."""
    payment = models.TextField()
    """The provider's id of the payment."""
    kind = models.TextField()
    """captured or refunded (`settlement.Kind`)."""
    customer = models.TextField()
    currency = models.TextField()
    purpose = models.TextField()
    """account or deposit."""
    amount = models.BigIntegerField()
    received_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "provider", "event"], name="told_once"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="event_amount"),
            models.CheckConstraint(condition=Q(kind__in=["captured", "refunded"]), name="event_kind"),
        ]
        indexes = [models.Index(fields=["entity", "provider", "payment"], name="event_of_payment")]

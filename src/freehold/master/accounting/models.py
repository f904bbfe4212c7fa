"""Legal entities and their ledgers: double entry, in two currencies, append only.

Entries come in batches: one transaction each. Sealing a batch checks, in the database, that each entry sums to zero
in both currencies, that its accounts exist and its days are not locked; after it nothing of it changes (decision 0019).
Bulk tables name others without foreign keys, whose check a row would cost a monthly run more than writing it.
"""

from django.db import models
from django.db.models import Q

from freehold.master.people.models import Project


class LegalEntity(models.Model):
    """Who sells: a company with its own prices, taxes, numbers and ledger, run by the members of a project."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    code = models.TextField(unique=True)
    """Two to eight capitals and digits: what its documents' numbers begin with."""
    name = models.TextField()
    address = models.TextField()
    country = models.TextField()
    currency = models.TextField()
    """Of its books; it may sell in others."""
    time_zone = models.TextField()
    vat_number = models.TextField(default="")
    registration = models.TextField(default="")
    """Its number in the register of companies: SIREN, USCC."""
    payment_days = models.IntegerField(default=30)
    """Days from an invoice to when it is due."""
    stop_days = models.IntegerField(null=True)
    """Days from then to when what nobody paid for is stopped; none: it never is."""
    iban = models.TextField(db_default="")
    """The account that customers pay to, compact; empty: they are told otherwise."""
    bic = models.TextField(db_default="")
    bank = models.TextField(db_default="")
    """The name of its bank."""
    open_from = models.IntegerField(default=0)
    """The first day that is not locked: no entry can be made before it."""
    created_at = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "legal entities"


class Account(models.Model):
    """A place in the ledger of an entity."""

    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT)
    code = models.TextField()
    name = models.TextField()
    kind = models.TextField()
    """asset, liability, equity, income or expense."""
    purpose = models.TextField(default="")
    """What we use it for (`charts.Purpose`); empty: only the accountant does."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "code"], name="one_account_a_code"),
            models.UniqueConstraint(
                fields=["entity", "purpose"], name="one_account_a_purpose", condition=~Q(purpose="")
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["asset", "liability", "equity", "income", "expense"]), name="account_kind"
            ),
        ]


class Series(models.Model):
    """The last number given, by entity, kind of document and year: given in the transaction of what it numbers."""

    pk = models.CompositePrimaryKey("entity", "kind", "year")
    entity = models.TextField()
    kind = models.TextField()
    """`entry`, `invoice` or `credit_note`."""
    year = models.IntegerField()
    last = models.BigIntegerField(default=0)


class Batch(models.Model):
    """The entries of one transaction of one entity: a link of its chain."""

    entity = models.TextField()
    at = models.BigIntegerField()
    what = models.TextField()
    first = models.BigIntegerField()
    """Id of its first entry."""
    last = models.BigIntegerField()
    previous = models.TextField()
    """Digest of the batch before; empty for the first."""
    digest = models.TextField(default="")
    """SHA-256 of `previous` and of every line (`chain`); empty until it is sealed."""

    class Meta:
        indexes = [models.Index(fields=["entity", "id"], name="batch_chain")]


class Entry(models.Model):
    """One event of business: postings that sum to zero."""

    id = models.BigIntegerField(primary_key=True)
    batch = models.BigIntegerField()
    entity = models.TextField()
    year = models.IntegerField()
    number = models.BigIntegerField()
    """Without gap in the entity's year."""
    day = models.IntegerField()
    journal = models.TextField()
    """`sales`, `bank`, `misc` or `closing`."""
    label = models.TextField()
    source = models.TextField()
    """What it was made from, such as `document:17`."""
    purpose = models.TextField()
    currency = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "year", "number"], name="one_entry_a_number"),
            models.UniqueConstraint(fields=["source", "purpose"], name="posted_once"),
        ]


class Posting(models.Model):
    """What an entry puts on an account: debits are positive, credits negative."""

    pk = models.CompositePrimaryKey("entry", "position")
    entry = models.BigIntegerField()
    position = models.IntegerField()
    account = models.TextField()
    party = models.TextField(default="")
    """Id of the customer, on accounts that are kept by customer."""
    amount = models.BigIntegerField()
    """Minor units of the entry's currency."""
    functional = models.BigIntegerField()
    """Minor units of the entity's currency."""

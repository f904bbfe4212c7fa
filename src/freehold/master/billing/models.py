"""From what was ordered and used to what is owed.

Amounts are minor units of the contract's currency, days and months as `foundation.days` counts them. What monthly runs
write by the million names other rows without foreign keys (as in `accounting`); documents, their lines and taxes are
written once and never change.
"""

from django.db import models
from django.db.models import F, Q

from freehold.master.accounting.models import LegalEntity
from freehold.master.fleet.models import Site
from freehold.master.foundation import days
from freehold.master.people.models import Project
from freehold.master.usage.models import add_columns
from freehold.protocol import meters


class Customer(models.Model):
    """Who pays: a person or a company, for any number of projects."""

    id = models.TextField(primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    """Whose sales people know them."""
    name = models.TextField()
    email = models.TextField(default="")
    kind = models.TextField()
    """`person` or `company`."""
    address = models.TextField()
    country = models.TextField()
    vat_number = models.TextField(default="")
    currency = models.TextField()
    """In which they want to be asked for money, where there is a choice."""
    language = models.TextField(db_default="")
    """Of their documents; empty: that of their country (`printing.content`)."""
    anchor = models.IntegerField()
    """The day of the month on which their invoices are made: that on which they came, at most the 28th."""
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(anchor__gte=1, anchor__lte=days.LAST_ANCHOR), name="anchor_in_every_month"
            ),
            models.CheckConstraint(condition=Q(kind__in=["person", "company"]), name="customer_kind"),
        ]


class PartySnapshot(models.Model):
    """What a customer or a seller was called on documents until a moment. Written once."""

    subject = models.TextField()
    """Id of the customer or of the legal entity."""
    until = models.BigIntegerField()
    name = models.TextField()
    address = models.TextField()
    country = models.TextField()
    vat_number = models.TextField()
    registration = models.TextField(default="")

    class Meta:
        indexes = [models.Index(fields=["subject", "until"], name="former_of_subject")]


class Payer(models.Model):
    """Who pays for what a project orders of a selling project; nobody: it has all of that for free."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, db_index=False)
    seller = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "seller"], name="one_payer_a_seller")]


class Contract(models.Model):
    """A customer, a seller and a currency: what one invoice a month is about."""

    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, db_index=False)
    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, db_index=False)
    currency = models.TextField()
    tax_class = models.TextField()
    """What the customer is to the seller's tax office (`taxes.classify`)."""
    anchor = models.IntegerField()
    """The day of the month on which its periods end: its customer's."""
    next_day = models.IntegerField()
    """The day on which the present period ends and is invoiced. In no index: a monthly run writes it by the million."""
    trouble = models.TextField(default="")
    """Why no document could be made of what it is due; empty when one was."""
    aside_on = models.IntegerField(default=0)
    """The day on which it was last put aside for that: it is looked at again on another."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["customer", "entity", "currency"], name="one_contract"),
        ]
        indexes = [models.Index(fields=["entity", "currency", "anchor", "id"], name="contract_by_anchor")]


class Quote(models.Model):
    """A price that was shown, and holds for a day."""

    id = models.TextField(primary_key=True)
    """SHA-256 of what was shown."""
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    content = models.TextField()
    """JSON, canonical: what the hash is of."""
    until = models.BigIntegerField()


class Subscription(models.Model):
    """A service that is paid for."""

    instance = models.TextField(db_index=True)
    """Paid for once at a time: again after it was had for free in between."""
    project = models.TextField()
    contract = models.BigIntegerField(db_index=True)
    offer = models.TextField()
    """Id."""
    state = models.TextField()
    """`states.SUBSCRIPTION`."""
    deposit = models.BigIntegerField(default=0)
    """What must be left with the seller while it lives."""
    quote = models.TextField(default="")
    opened_at = models.BigIntegerField()
    start_day = models.IntegerField(null=True)
    """The first day of service: that on which it was ready first."""
    end_day = models.IntegerField(null=True)
    """The day after the last one of service."""
    recount_from = models.BigIntegerField(null=True)
    """The moment from which on its use is to be added up anew, because its terms changed since."""

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["pending", "active", "ended", "cancelled"]), name="subscription_state"
            ),
            models.CheckConstraint(condition=Q(deposit__gte=0), name="no_negative_deposit"),
            models.UniqueConstraint(
                fields=["instance"], name="paid_for_once_at_a_time", condition=Q(state__in=["pending", "active"])
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="subscription_pending", condition=Q(state="pending")),
            models.Index(fields=["id"], name="subscription_recount", condition=Q(recount_from__isnull=False)),
        ]


class SubscriptionPrice(models.Model):
    """What a subscription costs a month, from a day to another: its offer, its price, who pays, for which project."""

    subscription = models.BigIntegerField(db_index=True)
    project = models.TextField(db_index=True)
    contract = models.BigIntegerField(db_index=True)
    offer = models.TextField()
    list = models.TextField()
    """Price list: also of what is paid by use."""
    from_day = models.IntegerField()
    until_day = models.IntegerField(default=days.NEVER)
    amount = models.BigIntegerField()
    tax_included = models.BooleanField()
    category = models.TextField()
    account = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscription", "from_day"], name="one_term_a_day"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="term_not_negative"),
            models.CheckConstraint(condition=Q(until_day__gte=F("from_day")), name="term_ends_after_it_begins"),
        ]


class Charge(models.Model):
    """What is asked once: a setup fee, what sales agreed; and what is given back for promises that were not kept."""

    contract = models.BigIntegerField()
    subscription = models.BigIntegerField(default=0)
    kind = models.TextField()
    """setup, sla or agreed."""
    label = models.TextField(default="")
    """Of what sales agreed."""
    offer = models.TextField(default="")
    month = models.IntegerField(default=0)
    """Of an SLA credit."""
    from_day = models.IntegerField(default=0)
    """When the term began that it is about; 0 for what sales agreed."""
    day = models.IntegerField()
    amount = models.BigIntegerField()
    tax_included = models.BooleanField()
    category = models.TextField()
    account = models.TextField()
    evidence = models.TextField(default="{}")
    """JSON: what it was computed from."""
    part = models.IntegerField(default=0)
    """Of the credits of a term's month: what was known later is given in another part."""
    document = models.BigIntegerField(default=0)
    """The document that has it; 0 until there is one."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "kind", "month", "from_day", "part"],
                name="charged_once",
                condition=~Q(kind="agreed"),
            ),
        ]
        indexes = [models.Index(fields=["contract"], name="charge_open", condition=Q(document=0))]


class Consumption(models.Model):
    """What a subscription used of a meter in a civil month, what that costs, and how much of it was invoiced.

    A row for each payer, price and project of the month: those of the terms that held in it.
    """

    pk = models.CompositePrimaryKey("subscription", "meter", "month", "from_day")
    subscription = models.BigIntegerField()
    meter = models.TextField()
    month = models.IntegerField()
    from_day = models.IntegerField()
    """When the first of these terms began."""
    contract = models.BigIntegerField()
    offer = models.TextField()
    price = models.BigIntegerField()
    tax_included = models.BooleanField()
    category = models.TextField()
    account = models.TextField()
    quantity = models.BigIntegerField()
    rated = models.BigIntegerField()
    """What it costs: all that a payer used at one price in the month is rated as one quantity, and shared by use."""
    billed_quantity = models.BigIntegerField(default=0)
    billed = models.BigIntegerField(default=0)
    """What all documents together ask for it."""
    document = models.BigIntegerField(default=0)
    """The last of them."""

    class Meta:
        indexes = [models.Index(fields=["contract"], name="consumption_open", condition=~Q(rated=F("billed")))]


class MeteringCheckpoint(models.Model):
    """The last reading of a counter that consumption knows: whatever changed since is added up anew."""

    pk = models.CompositePrimaryKey("instance", "series")
    instance = models.TextField()
    series = models.TextField()
    at = models.BigIntegerField()


add_columns(MeteringCheckpoint, meters.PRICED)


class TaxRule(models.Model):
    """A rate of tax, from a day to another, with the words that the law wants on the invoice."""

    country = models.TextField()
    """Of sellers that have no rules of their own; or the one seller (its id) whose own it is."""
    tax_class = models.TextField()
    category = models.TextField()
    rate = models.IntegerField()
    """In hundredths of a percent."""
    code = models.TextField()
    """EN 16931 (UNTDID 5305): S, AE, G, O, Z."""
    text = models.TextField(default="")
    from_day = models.IntegerField()
    until_day = models.IntegerField(default=days.NEVER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["country", "tax_class", "category", "from_day"], name="one_rule_a_day"),
            models.CheckConstraint(condition=Q(rate__gte=0, rate__lte=10_000), name="tax_rate"),
        ]


class ExchangeRate(models.Model):
    """What one whole of a currency is in whole ones of an entity's own, from a day on."""

    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT)
    currency = models.TextField()
    day = models.IntegerField()
    rate = models.TextField()
    """A decimal number, exact: `0.9214`."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "currency", "day"], name="one_rate_a_day"),
        ]


class Run(models.Model):
    """A monthly run of an entity: what is due by a day. One that was interrupted is taken up again."""

    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT)
    day = models.IntegerField()
    """The date of its documents."""
    state = models.TextField(default="open")
    """`states.RUN`."""
    opened_at = models.BigIntegerField()
    documents = models.BigIntegerField(default=0)
    trouble = models.TextField(default="")
    """Why it could not be ended when the Master last tried."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity"], name="one_open_run", condition=~Q(state="issued")),
            models.CheckConstraint(condition=Q(state__in=["open", "rated", "issued"]), name="run_state"),
        ]


class Document(models.Model):
    """An invoice, or a credit note that corrects one. Final when it is made."""

    id = models.BigIntegerField(primary_key=True)
    run = models.BigIntegerField()
    contract = models.BigIntegerField()
    entity = models.TextField()
    customer = models.TextField()
    kind = models.TextField()
    year = models.IntegerField()
    number = models.BigIntegerField()
    """Without gap in the entity's year, by kind."""
    day = models.IntegerField()
    due_day = models.IntegerField()
    from_day = models.IntegerField()
    """Of the period that it is about."""
    until_day = models.IntegerField()
    currency = models.TextField()
    tax_included = models.BooleanField()
    net = models.BigIntegerField()
    tax = models.BigIntegerField()
    gross = models.BigIntegerField()
    functional = models.BigIntegerField()
    """Gross in the entity's currency."""
    functional_tax = models.BigIntegerField()
    corrects = models.BigIntegerField()
    """For a credit note: the invoice; otherwise 0."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["entity", "kind", "year", "number"], name="one_document_a_number"),
            models.CheckConstraint(condition=Q(gross=F("net") + F("tax")), name="net_and_tax_are_gross"),
            models.CheckConstraint(
                condition=Q(kind="invoice", corrects=0, gross__gte=0)
                | Q(kind="credit_note", corrects__gt=0, gross__lte=0),
                name="a_credit_note_corrects_an_invoice",
            ),
        ]
        indexes = [models.Index(fields=["contract", "id"], name="document_by_contract")]


class DocumentLine(models.Model):
    """A line: what, when, how much."""

    pk = models.CompositePrimaryKey("document", "position")
    document = models.BigIntegerField()
    position = models.IntegerField()
    subscription = models.BigIntegerField()
    kind = models.TextField()
    """recurring, usage, setup, sla or agreed."""
    label = models.TextField()
    offer = models.TextField()
    meter = models.TextField()
    month = models.IntegerField()
    from_day = models.IntegerField()
    until_day = models.IntegerField()
    quantity = models.BigIntegerField()
    """Days of a recurring line, units of its meter of usage."""
    price = models.BigIntegerField()
    """A recurring line's price of a whole month."""
    amount = models.BigIntegerField()
    """As its price list says it: with or without tax."""
    net = models.BigIntegerField()
    category = models.TextField()
    rate = models.IntegerField()
    account = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subscription", "from_day"], name="recurring_once", condition=Q(kind="recurring")
            ),
        ]


class DocumentTax(models.Model):
    """What a document asks for the tax office, by rate."""

    pk = models.CompositePrimaryKey("document", "rule")
    document = models.BigIntegerField()
    rule = models.BigIntegerField()
    rate = models.IntegerField()
    code = models.TextField()
    base = models.BigIntegerField()
    tax = models.BigIntegerField()


class Payment(models.Model):
    """Money that came, or went back: written by the accountant, or by a provider of payments."""

    contract = models.ForeignKey(Contract, on_delete=models.PROTECT)
    purpose = models.TextField()
    """`deposit`, which stays while services are had, or `account`, which pays invoices, the oldest first."""
    amount = models.BigIntegerField()
    """Negative: paid back."""
    carried = models.BigIntegerField()
    """What it took off its account, or put there, in the entity's currency."""
    day = models.IntegerField()
    method = models.TextField()
    reference = models.TextField()
    created_at = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contract", "method", "reference", "purpose"], name="paid_once"),
            models.CheckConstraint(condition=Q(purpose__in=["deposit", "account"]), name="payment_purpose"),
        ]


class StatementBooking(models.Model):
    """A line of a bank statement that was booked: never again. Written once."""

    entity = models.ForeignKey(LegalEntity, on_delete=models.PROTECT, db_index=False)
    key = models.TextField()
    """`payments.statements.StatementLine.key`."""
    payment = models.OneToOneField(Payment, on_delete=models.PROTECT)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["entity", "key"], name="line_booked_once")]


class Budget(models.Model):
    """What a project wants to spend at most in a month, tax excluded: its pages and its API say how near it is."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True)
    amount = models.BigIntegerField()
    currency = models.TextField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="budget_positive")]


class CostItem(models.Model):
    """What one month of an offer costs its provider at a site, of one kind, from a day on."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    offer = models.TextField()
    kind = models.TextField()
    currency = models.TextField()
    amount = models.BigIntegerField()
    from_day = models.IntegerField()
    evidence = models.TextField()
    """SHA-256 of the paper that shows it."""
    note = models.TextField(default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["site", "offer", "kind", "from_day"], name="one_cost_a_day"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="cost_not_negative"),
        ]

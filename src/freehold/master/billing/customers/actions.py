"""Writes about customers: who pays, for which projects, with what money."""

import re
from dataclasses import dataclass

from django.conf import settings

from freehold.master.accounting import actions as ledger
from freehold.master.accounting.actions import Draft, EntryLine
from freehold.master.accounting.charts import Purpose
from freehold.master.accounting.models import LegalEntity
from freehold.master.accounting.queries import account_for, find_entity
from freehold.master.billing import exchange, overdue, taxes
from freehold.master.billing.customers import party_history
from freehold.master.billing.models import Contract, Customer, Payer, Payment
from freehold.master.billing.queries import balance
from freehold.master.foundation import clock, countries, currencies, days, ids
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.money import LARGEST
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Project
from freehold.master.people.quotas import Quota
from freehold.protocol.problem import FieldError


@dataclass(frozen=True)
class CustomerIdentity:
    """Who pays, as it is printed on invoices."""

    name: str
    kind: str
    address: str
    country: str
    currency: str
    email: str = ""
    vat_number: str = ""
    language: str = ""
    """Of their documents; empty: that of their country."""


def add_customer(spec: CustomerIdentity, project: str, *, acting: Caller) -> Customer:
    """Note a customer of a selling project; raise Invalid naming what is wrong, the tax number's check included."""
    owner = acting.project(project, Scope.SELL)
    number = _check(spec)
    today = days.of_moment(clock.now(), _zone(owner))
    customer = Customer(
        id=ids.new("cust"),
        project_id=owner,
        anchor=days.anchor(today),
        created_at=clock.now(),
        **{**vars(spec), "vat_number": number, "name": spec.name.strip()},
    )
    with writing():
        quotas.check(owner, Quota.CUSTOMERS, Customer.objects.filter(project=owner).count)
        customer.save(force_insert=True)
        audit(acting.actor, "customer.add", customer.id, project=owner, country=spec.country, kind=spec.kind)
    return customer


def change_customer(customer: Customer, spec: CustomerIdentity, *, acting: Caller) -> None:
    """Note what a customer is now; what is issued from now on is taxed and addressed accordingly."""
    acting.project(Project.objects.values_list("name", flat=True).get(id=customer.project_id), Scope.SELL)
    number = _check(spec)
    with writing():
        party_history.snapshot(Customer.objects.get(id=customer.id))
        Customer.objects.filter(id=customer.id).update(**{**vars(spec), "vat_number": number})
        for contract in Contract.objects.filter(customer=customer).select_related("entity"):
            tax_class = taxes.classify(contract.entity.country, spec.kind, spec.country, number)
            Contract.objects.filter(id=contract.id).update(tax_class=tax_class)
        audit(acting.actor, "customer.change", customer.id, project=customer.project_id, country=spec.country)


def set_payer(seller: str, project: str, customer: Customer | None, *, acting: Caller) -> None:
    """Say who pays for what a project orders of a seller from now on; nobody: it has all of that for free.

    `seller` and `project` are names of projects. What the project ordered before goes on to be paid by who paid it
    (`subscriptions.change_payer` changes that). A project that is not there is no error, or sellers could find out who
    is a customer of this Master: only its staff, who make the projects, are told (NotFound).
    """
    owner = acting.project(seller, Scope.SELL)
    if customer is not None and customer.project_id != owner:
        raise NotFound(f"There is no customer '{customer.id}'.", remedy="See `freehold billing customers`.")
    target = Project.objects.filter(name=project).first()
    if target is None and acting.is_staff:
        raise NotFound(f"There is no project '{project}'.")
    with writing():
        quotas.check(owner, Quota.PAYERS, Payer.objects.filter(seller=owner).exclude(project=target).count)
        if target is not None:
            Payer.objects.update_or_create(project=target, seller_id=owner, defaults={"customer": customer})
        audit(acting.actor, "payer.set", project, project=owner, customer=customer.id if customer else "")


def find_customer(project: str, identity: str) -> Customer:
    """Return a customer of a selling project (its id); raise NotFound."""
    customer = None if "\0" in identity else Customer.objects.filter(project=project, id=identity).first()
    if customer is None:
        raise NotFound(f"There is no customer '{identity}'.", remedy="See `freehold billing customers`.")
    return customer


def named_customer(project: str, text: str) -> Customer:
    """Return the customer of a selling project with an id, or the only one with a name.

    Raise NotFound when there is none, Invalid when several have that name.
    """
    name = text.strip()
    # PostgreSQL refuses to be asked for a zero character, so no customer has one.
    customers = [] if "\0" in name else list(Customer.objects.filter(project=project, name=name)[:2])
    if len(customers) > 1:
        raise Invalid(
            f"Several customers are called '{name[:80]}'.",
            remedy="Name the one that you mean by its id: `freehold billing customers` lists them.",
            errors=[FieldError("customer", "the id of a customer", name)],
        )
    return customers[0] if customers else find_customer(project, name)


def contract_of(customer: Customer, entity: LegalEntity, currency: str) -> Contract:
    """Return the contract of a customer with a seller in a currency, which is made when there is none."""
    known = Contract.objects.filter(customer=customer, entity=entity, currency=currency).first()
    if known is not None:
        return known
    today = days.of_moment(clock.now(), entity.time_zone)
    tax_class = taxes.classify(entity.country, customer.kind, customer.country, customer.vat_number)
    contract, _ = Contract.objects.get_or_create(
        customer=customer,
        entity=entity,
        currency=currency,
        defaults={
            "tax_class": tax_class,
            "anchor": customer.anchor,
            "next_day": days.period(today, customer.anchor)[1],
        },
    )
    return contract


def record_payment(
    contract: Contract,
    *,
    amount: int,
    purpose: str,
    method: str,
    reference: str,
    day: int | None = None,
    acting: Caller,
) -> Payment:
    """Write down money that came from a customer, or (below 0) that was paid back, and post it.

    `reference` is the bank's or the provider's, used once for a method. Raise Conflict when it was used with another
    amount; the same again changes nothing.
    """
    entity = find_entity(contract.entity.code, acting, Scope.ACCOUNT)
    check_payment(amount, purpose, method, reference)
    existing = Payment.objects.filter(contract=contract, method=method, reference=reference, purpose=purpose).first()
    if existing is not None:
        if existing.amount != amount:
            raise Conflict(f"{method} {reference} was written down already, with another amount.")
        return existing
    today = days.of_moment(clock.now(), entity.time_zone)
    day = today if day is None else day
    if not entity.open_from <= day <= today:
        words = f"from {days.iso(entity.open_from)} to {days.iso(today)}: when it came"
        raise Invalid("This payment cannot be.", errors=[FieldError("day", words, days.iso(day))])
    with writing():
        overdue.hold(contract)
        _refuse_too_much_back(contract, purpose, amount)
        payment = write_payment(entity, contract, purpose, amount, day, method, reference)
        overdue.enforce(contract)
        audit(
            acting.actor, "payment.record", str(payment.id), project=entity.project_id, amount=amount, purpose=purpose
        )
    return payment


def use_deposit(contract: Contract, amount: int, *, reference: str, acting: Caller) -> None:
    """Pay invoices with a deposit, as far as services that are still had do not need it."""
    entity = find_entity(contract.entity.code, acting, Scope.ACCOUNT)
    if amount <= 0:
        raise Invalid("How much of the deposit?", errors=[FieldError("amount", "more than 0", amount)])
    day = days.of_moment(clock.now(), entity.time_zone)
    with writing():
        overdue.hold(contract)
        now = balance(contract.id)
        if amount > now.deposit - now.held or amount > now.owed:
            raise Conflict(
                f"The deposit is {now.deposit}, what is owed {now.owed} (in the smallest unit of {contract.currency}); "
                f"{now.held} is held for services.",
                remedy="Use no more than is owed, and leave what services need.",
            )
        write_payment(entity, contract, "deposit", -amount, day, "deposit", reference)
        write_payment(entity, contract, "account", amount, day, "deposit", reference)
        overdue.enforce(contract)
        audit(acting.actor, "deposit.use", str(contract.id), project=entity.project_id, amount=amount)


def write_payment(
    entity: LegalEntity, contract: Contract, purpose: str, amount: int, day: int, method: str, reference: str
) -> Payment:
    """Write a payment and its entry, within a transaction: bank, or the deposit used, against what it is for."""
    functional = exchange.convert(entity, contract.currency, amount, day)
    now = balance(contract.id)
    if purpose == "deposit":
        against = account_for(entity.id, Purpose.DEPOSIT)
        carried = functional if amount > 0 else -now.cleared("deposit", -amount, -functional)
    else:
        against = account_for(entity.id, Purpose.RECEIVABLE)
        carried = now.cleared("owed", amount, functional) if amount > 0 else functional
    if amount > 0:
        paid_for = Payer.objects.filter(customer=contract.customer_id).values_list("project_id", flat=True)
        quotas.end_newcomer(list(paid_for), "freehold")
    payment = Payment.objects.create(
        contract=contract,
        purpose=purpose,
        amount=amount,
        carried=carried,
        day=day,
        method=method,
        reference=reference,
        created_at=clock.now(),
    )
    # A deposit that is used passes through the account that both of its payments share.
    money = account_for(entity.id, Purpose.ADVANCE if method == "deposit" else Purpose.BANK)
    party = contract.customer_id
    lines = [
        EntryLine(money, amount, functional, party if method == "deposit" else ""),
        EntryLine(against, -amount, -carried, party),
    ]
    if carried != functional:
        difference = carried - functional
        purpose_of_it = Purpose.FX_LOSS if difference > 0 else Purpose.FX_GAIN
        lines.append(EntryLine(account_for(entity.id, purpose_of_it), 0, difference))
    label = f"{method} {reference}"
    draft = Draft(day, "bank", label, f"payment:{payment.id}", "receive", contract.currency, lines)
    ledger.post(entity, "payment", [draft])
    return payment


def _refuse_too_much_back(contract: Contract, purpose: str, amount: int) -> None:
    """Raise Conflict when more would be paid back than there is, or than services that are still had need."""
    if amount >= 0:
        return
    now = balance(contract.id)
    most = now.deposit - now.held if purpose == "deposit" else now.credit
    if -amount > most:
        raise Conflict(
            f"At most {max(0, most)} (in the smallest unit of {contract.currency}) can be paid back.",
            remedy="A deposit is free when the services that it is for have ended.",
        )


def check_payment(amount: int, purpose: str, method: str, reference: str) -> None:
    """Raise Invalid naming what no payment can say."""
    wrong = []
    if not amount or abs(amount) > LARGEST:
        wrong.append(FieldError("amount", "not 0, and an amount that can be", amount))
    if purpose not in ("deposit", "account"):
        wrong.append(FieldError("purpose", "deposit or account", purpose))
    for name, value in (("method", method), ("reference", reference)):
        if not re.fullmatch(r"[^|\x00-\x1f]{1,100}", value):
            wrong.append(FieldError(name, "a line of at most 100 characters, without bars", value))
    if method == "deposit":
        wrong.append(FieldError("method", "how the money came: transfer, card", method))
    if wrong:
        raise Invalid("This payment cannot be.", errors=wrong)


def _check(spec: CustomerIdentity) -> str:
    """Return the compact tax number; raise Invalid naming what is wrong with a customer."""
    currencies.check(spec.currency)
    wrong = []
    number = ""
    if not spec.name.strip() or not spec.address.strip():
        wrong.append(FieldError("name", "a name and an address, as on a letter"))
    if spec.kind not in ("person", "company"):
        wrong.append(FieldError("kind", "person or company", spec.kind))
    if spec.language and spec.language not in dict(settings.LANGUAGES):
        wrong.append(FieldError("language", " or ".join(dict(settings.LANGUAGES)), spec.language))
    if why := countries.wrong(spec.country):
        wrong.append(FieldError("country", why, spec.country))
    elif spec.vat_number:
        try:
            number = taxes.vat_number(spec.country, spec.vat_number)
        except ValueError as error:
            wrong.append(FieldError("vat_number", f"a tax number of {spec.country}: {error}", spec.vat_number))
    if wrong:
        raise Invalid("This cannot be a customer.", errors=wrong)
    return number


def _zone(project: str) -> str:
    zone = (
        LegalEntity.objects.filter(project=project).order_by("created_at").values_list("time_zone", flat=True).first()
    )
    return zone or "UTC"

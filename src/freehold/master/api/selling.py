"""For sales: offers, price lists, costs, customers, who pays for what."""

from typing import Any

from django.http import HttpRequest
from ninja import Field, Router, Schema

from freehold.master.accounting.models import LegalEntity
from freehold.master.api.auth import caller, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.api.money import Amount, Day
from freehold.master.api.paging import USUAL, After, Limit, listed
from freehold.master.billing import public_prices
from freehold.master.billing.customers import actions as customers
from freehold.master.billing.models import Contract, Customer
from freehold.master.billing.subscriptions import actions as subscriptions
from freehold.master.catalog import actions as releases
from freehold.master.catalog import queries as catalog
from freehold.master.foundation import currencies, days
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.people.identity import Scope
from freehold.master.sales import actions as sales
from freehold.master.sales.rating import Model

router = Router()


class OfferIn(StrictBody):
    name: str
    product: str
    type: str = "default"
    titles: dict[str, str] = Field(description="By language: en, fr, zh-hans.")
    size: dict[str, int | float] = Field(
        {},
        description="What every service of it may use, and its node keeps for it: cpus, memory_mb, disk_mb, processes, "
        "open_files.",
    )
    parameters: dict[str, Any] = Field({}, description="What every order of it has.")
    availability: float = Field(0, description="Promised percent of a month, such as 99.9; 0 promises nothing.")
    credits: list[tuple[float, int]] | None = Field(
        None, description="Below a percent of availability, the percent of the month's price that is given back."
    )
    grace: int | None = Field(
        None,
        description="Seconds for which what is destroyed is stopped and can be had back, unbilled; left out: as usual "
        "with this Master.",
    )
    tax_category: str = Field("services", description="services, telecom or lease")
    account: str = Field("", description="Revenue account; empty: the seller's own.")


class GrantIn(StrictBody):
    product: str
    project: str = Field(description="Who may offer it, too.")


class GrantOut(GrantIn):
    """A grant that is in force."""

    id: str


class TierIn(StrictBody):
    above: int
    amount: Amount


class PriceIn(StrictBody):
    offer: str
    kind: str = Field(description="setup, recurring, usage or deposit")
    amount: Amount = "0"
    meter: str = ""
    model: Model = Model.FLAT
    unit: int = 1
    tiers: list[TierIn] = []


class ListIn(StrictBody):
    seller: str = Field(description="Code of the legal entity.")
    title: str
    currency: str
    region: str = ""
    tax_included: bool
    from_day: Day = Field(alias="from")
    until_day: Day | None = Field(None, alias="until")
    prices: list[PriceIn]


class CustomerIn(StrictBody):
    name: str
    kind: str = Field(description="person or company")
    address: str
    country: str
    currency: str
    email: str = ""
    vat_number: str = ""
    language: str = Field("", description="Of their documents: en, fr or zh-hans; empty: that of their country.")


class CustomerOut(Schema):
    id: str
    name: str
    kind: str
    country: str
    vat_number: str
    currency: str
    language: str = Field(description="Of their documents; empty: that of their country.")
    anchor: int = Field(description="Day of the month of their invoices.")


class PayerIn(StrictBody):
    project: str
    customer: str | None = Field(None, description="Id; null: the project has all for free.")


class CostIn(StrictBody):
    site: str
    offer: str
    kind: str = Field(description=", ".join(public_prices.KINDS))
    currency: str
    amount: Amount
    from_day: Day = Field(alias="from")
    evidence: str = Field(description="SHA-256 of the paper that shows it.")
    note: str = ""


class ChangeIn(StrictBody):
    project: str
    title: str
    customer: str | None = Field(None, description="Who pays from today on.")
    offer: str | None = Field(None, description="At which offer's price it is from today on.")


class ChargeIn(StrictBody):
    customer: str
    seller: str
    currency: str
    label: str
    amount: Amount = Field(description="Below 0: given back.")


@router.post(
    "/projects/{project}/offers", response={201: dict[str, str]}, auth=in_project(Scope.SELL), summary="Make an offer"
)
def add_offer(request: HttpRequest, project: str, body: OfferIn) -> tuple[int, dict[str, str]]:
    spec = body.dict()
    spec["availability"] = round(body.availability * 10_000)
    if body.credits is not None:
        spec["credits"] = [(round(below * 10_000), percent) for below, percent in body.credits]
    offer = sales.add_offer(sales.Proposal(**spec), project, acting=caller(request))
    return 201, {"name": offer.name}


@router.delete(
    "/projects/{project}/offers/{name}", response={204: None}, auth=in_project(Scope.SELL), summary="Retire an offer"
)
def retire_offer(request: HttpRequest, project: str, name: str) -> tuple[int, None]:
    sales.retire_offer(project, name, acting=caller(request))
    return 204, None


@router.get(
    "/projects/{project}/grants",
    response=list[GrantOut],
    auth=in_project(Scope.SELL),
    summary="Which projects may offer your products to others",
    openapi_extra=listed("id"),
)
def list_grants(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[dict[str, str]]:
    return catalog.grants(caller(request).project(project, Scope.SELL), ListPart(after, limit))


@router.put(
    "/projects/{project}/grants",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Let another project offer a product of yours to others: at its prices, and on its nodes",
)
def grant(request: HttpRequest, project: str, body: GrantIn) -> tuple[int, None]:
    releases.grant_selling(project, body.product, body.project, acting=caller(request))
    return 204, None


@router.delete(
    "/projects/{project}/grants/{product}/{to}",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Take such a grant back, effective at once",
)
def end_grant(request: HttpRequest, project: str, product: str, to: str) -> tuple[int, None]:
    releases.end_selling(project, product, to, acting=caller(request))
    return 204, None


@router.post(
    "/projects/{project}/price-lists",
    response={201: dict[str, str]},
    auth=in_project(Scope.SELL),
    summary="Publish prices, for good",
)
def publish_prices(request: HttpRequest, project: str, body: ListIn) -> tuple[int, dict[str, str]]:
    currency = currencies.check(body.currency)
    spec = sales.Listing(
        body.seller,
        body.title,
        currency,
        body.tax_included,
        days.read(body.from_day, "from"),
        [_asked(price, number, currency) for number, price in enumerate(body.prices)],
        body.region,
        days.read(body.until_day, "until") if body.until_day else days.NEVER,
    )
    return 201, {"id": sales.publish_list(spec, project, acting=caller(request)).id}


@router.get(
    "/projects/{project}/customers",
    response=list[CustomerOut],
    auth=in_project(Scope.SELL, Scope.AUDIT),
    summary="The customers of a seller",
    openapi_extra=listed("id"),
)
def list_customers(request: HttpRequest, project: str, after: After = "", limit: Limit = USUAL) -> list[Customer]:
    who = caller(request)
    owner = who.project(project, Scope.SELL if who.may(project, Scope.SELL) else Scope.AUDIT)
    return list(part_of(Customer.objects.filter(project=owner), ("name", "id"), "id", ListPart(after, limit)))


@router.post(
    "/projects/{project}/customers", response={201: CustomerOut}, auth=in_project(Scope.SELL), summary="Note a customer"
)
def add_customer(request: HttpRequest, project: str, body: CustomerIn) -> tuple[int, Customer]:
    return 201, customers.add_customer(customers.CustomerIdentity(**body.dict()), project, acting=caller(request))


@router.put(
    "/projects/{project}/customers/{identity}",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Note what a customer is now",
)
def change_customer(request: HttpRequest, project: str, identity: str, body: CustomerIn) -> tuple[int, None]:
    who = caller(request)
    customer = customers.find_customer(who.project(project, Scope.SELL), identity)
    customers.change_customer(customer, customers.CustomerIdentity(**body.dict()), acting=who)
    return 204, None


@router.put(
    "/projects/{project}/payers",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Say who pays for a project",
)
def set_payer(request: HttpRequest, project: str, body: PayerIn) -> tuple[int, None]:
    who = caller(request)
    owner = who.project(project, Scope.SELL)
    payer = customers.find_customer(owner, body.customer) if body.customer else None
    customers.set_payer(project, body.project, payer, acting=who)
    return 204, None


@router.post(
    "/projects/{project}/costs-of-sites",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Say what an offer costs at a site",
)
def add_cost(request: HttpRequest, project: str, body: CostIn) -> tuple[int, None]:
    spec = body.dict()
    spec["amount"] = currencies.minor(body.amount, currencies.check(body.currency))
    spec["from_day"] = days.read(body.from_day, "from")
    public_prices.add_cost(project, **spec, acting=caller(request))
    return 204, None


@router.post(
    "/projects/{project}/subscriptions",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Change who pays, or the price",
)
def change(request: HttpRequest, project: str, body: ChangeIn) -> tuple[int, None]:
    who = caller(request)
    owner = who.project(project, Scope.SELL)
    instance = subscriptions.find_service(owner, body.project, body.title)
    payer = customers.find_customer(owner, body.customer) if body.customer else None
    subscriptions.change(instance, customer=payer, offer=body.offer or "", acting=who)
    return 204, None


@router.post(
    "/projects/{project}/charges",
    response={204: None},
    auth=in_project(Scope.SELL),
    summary="Ask once for what was agreed",
)
def agree(request: HttpRequest, project: str, body: ChargeIn) -> tuple[int, None]:
    who = caller(request)
    owner = who.project(project, Scope.SELL)
    amount = currencies.minor(body.amount, currencies.check(body.currency))
    subscriptions.agree(contract_of(owner, body.customer, body.seller, body.currency), body.label, amount, acting=who)
    return 204, None


def contract_of(project: str, customer: str, seller: str, currency: str) -> Contract:
    """Return the contract of a customer of a project with one of its legal entities; raise NotFound."""
    entity = LegalEntity.objects.filter(project=project, code=seller).first()
    if entity is None:
        raise NotFound(f"There is no legal entity '{seller}' here.")
    return customers.contract_of(customers.find_customer(project, customer), entity, currencies.check(currency))


def _asked(price: PriceIn, number: int, currency: str) -> sales.Asked:
    field = f"prices.{number}.amount"
    return sales.Asked(
        price.offer,
        price.kind,
        currencies.minor(price.amount, currency, field),
        price.meter,
        price.model,
        price.unit,
        [(tier.above, currencies.minor(tier.amount, currency, field)) for tier in price.tiers],
    )

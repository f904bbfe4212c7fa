"""For accountants: money that came, news of payment providers, deposits that pay invoices."""

from django.http import HttpRequest
from ninja import Field, Router

from freehold.master.accounting import queries
from freehold.master.api.auth import caller, of_seller
from freehold.master.api.bodies import StrictBody
from freehold.master.api.money import Amount, Day
from freehold.master.api.selling import contract_of
from freehold.master.billing.customers import actions as customers
from freehold.master.foundation import currencies, days
from freehold.master.payments import actions as payments
from freehold.master.people.identity import Scope

router = Router()
_ENTITY = "/entities/{code}"


class PaymentIn(StrictBody):
    customer: str
    currency: str
    amount: Amount
    purpose: str = Field("account", description="account pays invoices, the oldest first; deposit stays.")
    method: str = Field(description="transfer, card …")
    reference: str = Field(description="The bank's or the provider's, once for a method.")
    day: Day | None = None


class EventIn(StrictBody):
    provider: str = Field(description="Its name, such as stripe.")
    event: str = Field(description="Its id of this news: told again, it changes nothing.")
    payment: str = Field(description="Its id of the payment.")
    kind: str = Field(description="captured: the largest such amount is what came. refunded: so much went back.")
    customer: str
    currency: str
    amount: Amount
    purpose: str = "account"


class EventsIn(StrictBody):
    events: list[EventIn]


class DepositIn(StrictBody):
    customer: str
    currency: str
    amount: Amount
    reference: str


@router.post(
    _ENTITY + "/payments",
    response={201: dict[str, int]},
    auth=of_seller(Scope.ACCOUNT),
    summary="Write down money that came",
)
def record_payment(request: HttpRequest, code: str, body: PaymentIn) -> tuple[int, dict[str, int]]:
    who = caller(request)
    entity = queries.find_entity(code, who, Scope.ACCOUNT)
    contract = contract_of(entity.project_id, body.customer, code, body.currency)
    payment = customers.record_payment(
        contract,
        amount=currencies.minor(body.amount, body.currency),
        purpose=body.purpose,
        method=body.method,
        reference=body.reference,
        day=days.read(body.day, "day") if body.day else None,
        acting=who,
    )
    return 201, {"payment": payment.id}


@router.post(
    _ENTITY + "/payment-events",
    response={201: dict[str, int]},
    auth=of_seller(Scope.ACCOUNT),
    summary="Pass on what a provider tells",
)
def hear(request: HttpRequest, code: str, body: EventsIn) -> tuple[int, dict[str, int]]:
    """News of payments, in any order and as often as it comes; all of it is taken in, or nothing."""
    events = [
        payments.ProviderAnswer(
            **{**event.dict(), "amount": currencies.minor(event.amount, currencies.check(event.currency))}
        )
        for event in body.events
    ]
    return 201, {"new": payments.hear(code, events, acting=caller(request))}


@router.post(
    _ENTITY + "/deposits-used",
    response={204: None},
    auth=of_seller(Scope.ACCOUNT),
    summary="Pay invoices with a deposit",
)
def use_deposit(request: HttpRequest, code: str, body: DepositIn) -> tuple[int, None]:
    who = caller(request)
    entity = queries.find_entity(code, who, Scope.ACCOUNT)
    contract = contract_of(entity.project_id, body.customer, code, body.currency)
    amount = currencies.minor(body.amount, body.currency)
    customers.use_deposit(contract, amount, reference=body.reference, acting=who)
    return 204, None

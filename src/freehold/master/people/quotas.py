"""How many of everything that can be counted a project may have: one table, and one check that every room calls."""

from collections.abc import Callable, Collection
from enum import StrEnum

from freehold.master.foundation.errors import Invalid, NotFound, QuotaExceeded
from freehold.master.foundation.transactions import audit, writing
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.models import Newcomer, Person, Project, QuotaLimit
from freehold.protocol.problem import FieldError

MOST = 10_000_000
"""The highest quota."""


class Quota(StrEnum):
    """What is counted for a project; `docs/operators.md` explains each."""

    INSTANCES = "instances"
    TOKENS = "tokens"
    MEMBERS = "members"
    TICKETS = "tickets"
    MESSAGES = "messages"
    QUOTES = "quotes"
    HISTORY = "history"
    SITES = "sites"
    NODES = "nodes"
    ENROL_TOKENS = "enrol-tokens"
    SUPPLIES = "supplies"
    RELEASES = "releases"
    GRANTS = "grants"
    OFFERS = "offers"
    PRICE_LISTS = "price-lists"
    COSTS = "costs-of-sites"
    CUSTOMERS = "customers"
    PAYERS = "payers"
    ENTITIES = "entities"
    ACCOUNTS = "accounts"
    WEBHOOKS = "webhooks"


USUAL: dict[Quota, int] = {
    Quota.INSTANCES: 1_000,
    Quota.TOKENS: 500,
    Quota.MEMBERS: 500,
    Quota.TICKETS: 100,
    Quota.MESSAGES: 1_000,
    Quota.QUOTES: 1_000,
    Quota.HISTORY: 64,
    Quota.SITES: 1_000,
    Quota.NODES: 1_000,
    Quota.ENROL_TOKENS: 1_000,
    Quota.SUPPLIES: 20_000,
    Quota.RELEASES: 1_000,
    Quota.GRANTS: 1_000,
    Quota.OFFERS: 1_000,
    Quota.PRICE_LISTS: 1_000,
    Quota.COSTS: 20_000,
    Quota.CUSTOMERS: 100_000,
    Quota.PAYERS: 100_000,
    Quota.ENTITIES: 20,
    Quota.ACCOUNTS: 2_000,
    Quota.WEBHOOKS: 20,
}
"""What a project may have of each unless the Master's staff says otherwise."""


NEWCOMER: dict[Quota, int] = {
    Quota.INSTANCES: 5,
    Quota.TOKENS: 20,
    Quota.MEMBERS: 5,
    Quota.TICKETS: 5,
    Quota.MESSAGES: 100,
    Quota.QUOTES: 20,
    Quota.HISTORY: 4,
    Quota.SITES: 1,
    Quota.NODES: 3,
    Quota.ENROL_TOKENS: 10,
    Quota.SUPPLIES: 30,
    Quota.RELEASES: 10,
    Quota.GRANTS: 10,
    Quota.OFFERS: 0,
    Quota.PRICE_LISTS: 0,
    Quota.COSTS: 0,
    Quota.CUSTOMERS: 0,
    Quota.PAYERS: 0,
    Quota.ENTITIES: 0,
    Quota.ACCOUNTS: 0,
    Quota.WEBHOOKS: 2,
}
"""What a project of who signed up may have of each until something is paid for it, or staff says otherwise."""


def limit(project: str, quota: Quota) -> int:
    """Return how many a project (its id) may have."""
    most = QuotaLimit.objects.filter(project=project, name=quota.value).values_list("most", flat=True).first()
    return _usual(project)[quota] if most is None else most


def end_newcomer(projects: Collection[str], actor: str) -> None:
    """Have projects (ids) whose people signed up have the usual quotas, in the caller's transaction."""
    grown = list(Newcomer.objects.filter(project__in=projects).values_list("project_id", flat=True))
    Newcomer.objects.filter(project__in=grown).delete()
    for project in grown:
        audit(actor, "quota.usual", project, project=project)


def _usual(project: str) -> dict[Quota, int]:
    return NEWCOMER if Newcomer.objects.filter(project=project).exists() else USUAL


def check(project: str, quota: Quota, count: Callable[[], int], more: int = 1) -> None:
    """Raise QuotaExceeded when a project would have more than it may; call it in the transaction that adds to them."""
    # Without the lock two transactions on PostgreSQL would each count before the other's row is there.
    Project.objects.select_for_update().get(id=project)
    most, present = limit(project, quota), count()
    if present + more > most:
        raise exceeded(project, quota, most, present)


def check_person(person: Caller, quota: Quota, count: Callable[[], int]) -> None:
    """Raise QuotaExceeded when a person would have more than any of their projects allows its members."""
    Person.objects.select_for_update().get(id=person.person)
    own = QuotaLimit.objects.filter(project__in=person.projects.values(), name=quota.value)
    most, present = max(own.values_list("most", flat=True), default=None), count()
    if most is None:
        most = max((_usual(project)[quota] for project in person.projects.values()), default=USUAL[quota])
    if present + 1 > most:
        raise QuotaExceeded(
            f"The quota '{quota}' of {person.actor} is {most}; {present} are there.",
            errors=[FieldError(f"quota.{quota}", f"at most {most}", present)],
        )


def exceeded(project: str, quota: Quota, most: int, present: int) -> QuotaExceeded:
    """Return the refusal of more than a quota."""
    name = Project.objects.values_list("name", flat=True).get(id=project)
    return QuotaExceeded(
        f"The quota '{quota}' of project '{name}' is {most}; {present} are there.",
        errors=[FieldError(f"quota.{quota}", f"at most {most}", present)],
    )


def set_limit(project: str, quota: str, most: int | None, *, acting: Caller) -> None:
    """Set how many a project (its name) may have of something; None: as many as is usual. For the Master's staff."""
    acting.require(Scope.OPERATE)
    acting.require_staff()
    if quota not in list(Quota):
        raise Invalid(
            f"There is no quota '{quota}'.", errors=[FieldError("quota", f"one of {', '.join(Quota)}", quota)]
        )
    if most is not None and not 0 <= most <= MOST:
        raise Invalid(f"A quota is 0 to {MOST}.", errors=[FieldError("most", f"0 to {MOST}", most)])
    target = Project.objects.filter(name=project).first()
    if target is None:
        raise NotFound(f"There is no project '{project}'.")
    with writing():
        if most is None and _usual(target.id) is USUAL:
            QuotaLimit.objects.filter(project=target, name=quota).delete()
        else:
            limit = USUAL[Quota(quota)] if most is None else most
            QuotaLimit.objects.update_or_create(project=target, name=quota, defaults={"most": limit})
        audit(acting.actor, "quota.set", target.id, project=target.id, quota=quota, most=most)


def of_project(project: str) -> dict[str, int]:
    """Return every quota of a project (its id)."""
    own = dict(QuotaLimit.objects.filter(project=project).values_list("name", "most"))
    return {quota.value: own.get(quota.value, usual) for quota, usual in _usual(project).items()}

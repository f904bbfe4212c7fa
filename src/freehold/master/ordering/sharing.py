"""Writes that concern shared instances: the places that hosts offer, who takes them."""

import json
from typing import Any

from freehold.master.allocation.actions import Place
from freehold.master.allocation.choice import Constraints
from freehold.master.catalog import queries as catalog
from freehold.master.catalog import schemas
from freehold.master.catalog.events import SellingEnded
from freehold.master.catalog.queries import ResolvedType
from freehold.master.fleet import revisions
from freehold.master.foundation import events
from freehold.master.foundation.errors import Conflict, Forbidden, InvalidParameters, NoPlace
from freehold.master.foundation.transactions import run
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.problem import Reason

PLACES = 10_000
"""Shared instances that one host takes in."""
MOST_HOSTS = 100
"""Hosts that are looked at for one shared instance: those where it is to be come first."""


def offer(host: str, choice: ResolvedType, project: str) -> None:
    """Have a new host offer its places to its own project."""
    run(QUERIES["add_share"], host=host, release=choice.release, type=choice.type, beneficiary=project, free=PLACES)


def listen() -> None:
    """Hear of what the catalogue decides."""
    events.listen(SellingEnded, _close_hosts)


def _close_hosts(event: SellingEnded) -> None:
    """Have hosts of who may offer a product to others no more take in new ones of their own project only."""
    run(QUERIES["close_hosts"], product=event.product, project=event.project)


def offer_to(host: str, project: str, product: str, *, everyone: bool) -> bool:
    """Offer a host's places to everyone, or to its own project alone; return whether that is new.

    Raise Conflict for an instance that takes in no others, Forbidden when its project may not offer the product to
    everyone: strangers' data would be on a host that is not of who they order from.
    """
    if everyone and not catalog.may_offer(project, product):
        raise Forbidden(
            f"'{product}' is another project's product, which this project may not offer to everyone.",
            remedy="Ask its owner for a grant: freehold billing grant.",
        )
    if not run(QUERIES["offered"], host=host):
        raise Conflict(
            "This instance takes in no shared instances.", remedy="Leave `offered_to` out for this type of instance."
        )
    return bool(run(QUERIES["offer"], host=host, beneficiary="" if everyone else project))


def place(
    choice: ResolvedType, project: str, constraints: Constraints, sibling: str, kin: set[str]
) -> tuple[str, Place]:
    """Take a place for a shared instance; return its host and where that is.

    `sibling` is the title that `constraints.instance` has below the same parent, `kin` are its ancestors, which
    cannot serve it. Raise NoPlace with every reason when no host takes it in.
    """
    # As for partitions: its lock makes placements take turns.
    revision = revisions.next_revision()
    reasons: dict[str, int] = {}
    for row in _hosts(choice, project, constraints, sibling):
        reason = _misfit(row, constraints, kin)
        if reason is None and run(QUERIES["take_share"], host=row["id"]):
            revisions.give(row["node"], revision)
            return row["id"], Place(row["node"], row["partition"], "", revision)
        words = reason or "has no place left"
        reasons[words] = reasons.get(words, 0) + 1
    refusals = _reasons(reasons, choice, constraints)
    raise NoPlace(
        f"{'; '.join(refusal.reason for refusal in refusals)}.",
        reasons=refusals,
        remedy="Request such an instance first, or ask the provider to offer one.",
    )


def lacking(choice: ResolvedType, project: str, constraints: Constraints) -> list[Reason]:
    """Return why no host takes in another shared instance of a project; empty when one does."""
    reasons: dict[str, int] = {}
    for row in _hosts(choice, project, constraints, ""):
        reason = _misfit(row, constraints, set())
        if reason is None:
            return []
        reasons[reason] = reasons.get(reason, 0) + 1
    return _reasons(reasons, choice, constraints)


def release_share(host: str) -> None:
    """Free the place of a shared instance that is gone."""
    run(QUERIES["release_share"], host=host)


def end(host: str) -> None:
    """Take back what a host that is gone offered."""
    run(QUERIES["end_share"], host=host)


def follow(host: str, release: str) -> None:
    """Have the shared instances of a host follow it to another release; raise Conflict when one does not fit."""
    for row in run(QUERIES["served"], host=host):
        try:
            schemas.validate(release, row["type"], json.loads(row["parameters"]))
        except InvalidParameters as error:
            raise Conflict(
                f"A shared instance that it serves does not fit the other release: {error.detail}",
                remedy="Have that instance changed or destroyed first.",
            ) from None
    run(QUERIES["move_share"], host=host, release=release)
    run(QUERIES["move_served"], host=host, release=release)


def _hosts(choice: ResolvedType, project: str, constraints: Constraints, sibling: str) -> list[dict[str, Any]]:
    return run(
        QUERIES["hosts"],
        release=choice.release,
        type=choice.host,
        project=project,
        instance=constraints.instance,
        sibling=sibling,
        place=constraints.node,
        site=constraints.site,
        region=constraints.region,
        most=MOST_HOSTS,
    )


def _reasons(counted: dict[str, int], choice: ResolvedType, constraints: Constraints) -> list[Reason]:
    nobody = f"no instance of {choice.product} {choice.version} ({choice.host}) offers places to this project"
    if constraints.instance:
        nobody = f"'{constraints.instance}' offers no place for {choice.product} {choice.version} ({choice.type})"
    return [Reason(words, count) for words, count in counted.items()] or [Reason(nobody)]


def _misfit(row: dict[str, Any], constraints: Constraints, kin: set[str]) -> str | None:
    if row["id"] in kin:
        return "is an ancestor of it"
    if constraints.node and constraints.node not in (row["node"], row["node_title"]):
        return f"is not on node '{constraints.node}'"
    if constraints.site and constraints.site != row["site"]:
        return f"is not on site '{constraints.site}'"
    if constraints.region and constraints.region != row["region"]:
        return f"is not in region '{constraints.region}'"
    if row["free"] < 1:
        return "has no place left"
    return None

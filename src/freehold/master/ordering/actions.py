"""All writes of ordering: the request."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from django.db import IntegrityError

from freehold.master.allocation import actions as allocation
from freehold.master.allocation.choice import Constraints
from freehold.master.catalog import queries as catalog
from freehold.master.catalog import schemas
from freehold.master.fleet import revisions
from freehold.master.fleet.actions import revoke_instance_certificates
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock, ids, sql
from freehold.master.foundation.errors import Conflict, Invalid, NoPlace, NotFound
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering.states import INSTANCE
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError, Reason
from freehold.protocol.states import Wanted

QUERIES = sql.load(Path(__file__).parent / "sql" / "instances.sql")

_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


@dataclass(frozen=True)
class Request:
    """ "An instance with this title, product, parameters and state should exist."

    What is None stays as it is, or takes its default for a new instance: the newest release that some node
    offers, type `default`, no parameters, no constraints, started.
    """

    project: str
    title: str
    product: str | None = None
    release: str | None = None
    """Version of the product. A new version is taken only when it is named here: never silently."""
    type: str | None = None
    parameters: dict[str, Any] | None = None
    constraints: dict[str, Any] | None = None
    state: Wanted | None = None


@dataclass(frozen=True)
class Answer:
    """What a request did."""

    instance: str
    created: bool
    changed: bool
    node: str
    partition: str


class _Rehearsed(Exception):
    """Rolls back the transaction of a dry run."""


def request(wish: Request, *, dry_run: bool = False, acting: Caller) -> Answer:
    """Make an instance exist as wished, in one transaction, and say which one it is.

    Idempotent by project and title: asking again with the same values changes nothing. With `dry_run`
    everything is checked and placed, and nothing is kept. Raise InvalidParameters, NoPlace (with every
    reason), Conflict (another product or type under this title), NotFound or Forbidden.
    """
    project = acting.project(wish.project, Scope.ORDER)
    if not _TITLE.fullmatch(wish.title):
        raise Invalid(
            f"'{wish.title}' cannot be a title.",
            errors=[FieldError("title", "1 to 100 letters, digits, spaces, dots, dashes, underscores", wish.title)],
        )
    for _ in range(3):
        answer: Answer | None = None
        try:
            with writing():
                answer = _apply(wish, project, acting)
                if dry_run:
                    raise _Rehearsed
        except _Rehearsed:
            pass
        except IntegrityError:
            # Somebody made the same title at the same moment; theirs is there now, so look again.
            continue
        assert answer is not None
        return answer
    raise Conflict(f"'{wish.title}' is being changed by others.", remedy="Try again.")


def bury() -> int:
    """Free what destroyed instances held, once their node said they are gone; return how many."""
    count = 0
    for row in run(QUERIES["gone"]):
        with writing():
            if not run(QUERIES["bury"], id=row["id"], now=clock.now()):
                continue
            allocation.give_back(row["id"], row["node_id"], row["partition"], row["weight"])
            revoke_instance_certificates(row["id"])
            audit("freehold", "instance.gone", row["id"], project=row["project_id"])
        count += 1
    return count


def _apply(wish: Request, project: str, acting: Caller) -> Answer:
    rows = run(locking(QUERIES["live"], "i"), project=project, title=wish.title)
    if rows:
        return _change(wish, project, rows[0], acting)
    if wish.state is Wanted.DESTROYED:
        return _destroyed_already(wish, project)
    return _create(wish, project, acting)


def _destroyed_already(wish: Request, project: str) -> Answer:
    """Asked again, the end of an instance is no mistake; of one that never was, it is."""
    rows = run(QUERIES["destroyed_last"], project=project, title=wish.title)
    if not rows:
        raise NotFound(f"There is no '{wish.title}' in '{wish.project}' to destroy.")
    return Answer(rows[0]["id"], False, False, rows[0]["node_id"], rows[0]["partition"])


def _create(wish: Request, project: str, acting: Caller) -> Answer:
    if wish.product is None:
        raise NotFound(
            f"There is no '{wish.title}' in '{wish.project}'.",
            remedy="To create it, name a product; `freehold list` shows what there is.",
        )
    choice = catalog.choose(wish.product, wish.release or _newest(wish.product, project), wish.type or "default")
    parameters = wish.parameters or {}
    schemas.validate(choice.release, choice.type, parameters)
    constraints = _constraints(wish.constraints or {})
    instance = ids.new("inst")
    place = allocation.place(instance, choice.release, project, constraints, choice.weight)
    wanted = wish.state or Wanted.STARTED
    run(
        QUERIES["insert"],
        id=instance,
        project=project,
        tree=instance,
        parent=None,
        title=wish.title,
        product=choice.product,
        release=choice.release,
        type=choice.type,
        parameters=json.dumps(parameters, separators=(",", ":")),
        constraints=msgspec.json.encode(constraints).decode(),
        wanted=wanted.value,
        node=place.node,
        partition=place.partition,
        weight=choice.weight,
        revision=place.revision,
        now=clock.now(),
    )
    audit(
        acting.actor,
        "instance.request",
        instance,
        project=project,
        title=wish.title,
        product=choice.product,
        version=choice.version,
        type=choice.type,
        state=wanted.value,
        node=place.node,
        partition=place.partition,
    )
    return Answer(instance, True, True, place.node, place.partition)


def _change(wish: Request, project: str, row: dict[str, Any], acting: Caller) -> Answer:
    for field, present in (("product", row["product"]), ("type", row["type"])):
        asked = getattr(wish, field)
        if asked is not None and asked != present:
            raise Conflict(
                f"'{wish.title}' is {field} '{present}', not '{asked}'.",
                remedy="Destroy it first, or use another title.",
            )
    constraints = row["constraints"]
    if wish.constraints is not None:
        asked_constraints = _constraints(wish.constraints)
        if msgspec.json.encode(asked_constraints).decode() != constraints:
            raise Conflict(
                f"'{wish.title}' is placed already; its constraints cannot change.",
                remedy="Leave the constraints out, or destroy it and request it again.",
            )
    release, weight = row["release_id"], row["weight"]
    if wish.release is not None and wish.release != row["version"]:
        choice = catalog.choose(row["product"], wish.release, row["type"])
        release, weight = choice.release, choice.weight
        _check_release_change(wish, project, row, release, weight)
    parameters = row["parameters"] if wish.parameters is None else json.dumps(wish.parameters, separators=(",", ":"))
    schemas.validate(release, row["type"], json.loads(parameters))
    old = Wanted(row["wanted"])
    wanted = wish.state or old
    INSTANCE.check(old, wanted)
    answer = Answer(row["id"], False, False, row["node_id"], row["partition"])
    if (release, parameters, wanted) == (row["release_id"], row["parameters"], old):
        return answer
    revision = revisions.bump(row["node_id"])
    run(
        QUERIES["change"],
        id=row["id"],
        release=release,
        parameters=parameters,
        wanted=wanted.value,
        weight=row["weight"],
        revision=revision,
        now=clock.now(),
    )
    audit(
        acting.actor,
        "instance.change",
        row["id"],
        project=project,
        title=wish.title,
        release=release,
        state=wanted.value,
        parameters_changed=parameters != row["parameters"],
    )
    return Answer(row["id"], False, True, row["node_id"], row["partition"])


def _check_release_change(wish: Request, project: str, row: dict[str, Any], release: str, weight: int) -> None:
    """Raise NoPlace when the instance's node may not run the other release: an instance never moves silently."""
    if weight != row["weight"]:
        raise Conflict(
            f"Release {wish.release} has another size than {row['version']}.",
            remedy="Request a new instance of it and destroy this one.",
        )
    if not run(QUERIES["supplied"], release=release, node=row["node_id"], project=project):
        title = Node.objects.values_list("title", flat=True).get(id=row["node_id"])
        raise NoPlace(
            f"Node '{title}', where '{wish.title}' lives, has no supply of {row['product']} {wish.release}.",
            reasons=[Reason("no supply of this release on the instance's node", 1)],
            remedy="Ask the provider to supply the release on this node.",
        )


def _newest(product: str, project: str) -> str | None:
    """Return the newest version that some node offers: one that was only published cannot be ordered yet."""
    rows = run(QUERIES["newest_supplied"], product=product, project=project)
    return rows[0]["version"] if rows else None


def _constraints(values: dict[str, Any]) -> Constraints:
    if any("\0" in value for value in (values.get(name) for name in ("node", "site")) if isinstance(value, str)):
        raise Invalid("Constraints: no name has a zero character.", errors=[FieldError("constraints", "a name")])
    try:
        return msgspec.convert(values, Constraints)
    except msgspec.ValidationError as error:
        known = ", ".join(Constraints.__struct_fields__)
        raise Invalid(
            f"Constraints: {error}",
            remedy=f"Known constraints: {known}.",
            errors=[FieldError("constraints", str(error), values)],
        ) from None

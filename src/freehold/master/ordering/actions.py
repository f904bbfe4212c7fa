"""Writes of ordering: the request of a customer, and of an instance for others."""

import json
import re
import secrets
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from django.db import IntegrityError

from freehold.master.allocation import actions as allocation
from freehold.master.allocation.actions import Place
from freehold.master.allocation.choice import Constraints
from freehold.master.catalog import queries as catalog
from freehold.master.catalog import schemas
from freehold.master.catalog.queries import ResolvedType
from freehold.master.fleet import partitions, revisions
from freehold.master.fleet.actions import revoke_instance_certificates
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock, events, ids
from freehold.master.foundation.errors import Conflict, Invalid, NoPlace, NotFound, Undeclared
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering import (
    apart,
    endings,
    free_text,
    history,
    peers,
    plans,
    project_suspension,
    reservations,
    resolving,
    sharing,
    sizing,
    trees,
)
from freehold.master.ordering.events import Changed, Ordered
from freehold.master.ordering.queries import QUERIES
from freehold.master.ordering.reservations import Declaring, Kind
from freehold.master.ordering.states import INSTANCE
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota
from freehold.master.sales import queries as sales
from freehold.protocol import size as sizes
from freehold.protocol.order import FREE_TEXT, OfferedTo, OrderSpec
from freehold.protocol.problem import FieldError, Reason
from freehold.protocol.states import Wanted

LARGE_PARAMETERS, HISTORY_OF_LARGE = 4 * 1024, 1024 * 1024
"""Bytes of JSON from which on a change of parameters makes room in their history, and what is kept of that."""
_TITLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}")


class Request(OrderSpec, frozen=True):
    """ "An instance with this title, and what its order says, should exist." """

    project: str
    title: str


@dataclass(frozen=True)
class Answer:
    """What a request did."""

    instance: str
    created: bool
    changed: bool
    node: str
    partition: str
    ends_at: int | None = None
    """When it is destroyed, if that was asked for and it can be had back (milliseconds)."""


@dataclass(frozen=True)
class Order:
    """A request as it is applied: by whom, and below which instance."""

    spec: Request
    project: str
    """Id."""
    actor: str
    title: str
    """Whole: a child's begins with its parent's."""
    parent: dict[str, Any] | None = None
    """The row of the instance that requests, if one does."""
    shared: bool | None = None
    """For one that another requests: what its release declares, whether it is a shared one."""
    now: bool = False
    """An end that is asked for has no time of grace."""
    partial: bool = False
    """It is taken though there is no room for all that it will request."""
    awaits_ready: bool = False
    """The parent is given what it publishes only when it is ready."""


def request(
    spec: Request, *, dry_run: bool = False, now: bool = False, partial: bool = False, acting: Caller
) -> Answer:
    """Make an instance exist as wished, in one transaction, and say which one it is.

    Idempotent by project and title: asking again with the same values changes nothing. With `dry_run`
    everything is checked and placed, and nothing is kept. What the release declares to request has a place, too
    (`reservations`), or all is refused, unless it may be there in part. Stopping, starting and destroying go through
    the whole tree. What is destroyed stops, and can be had back for a time (`endings`), unless it is to be so `now`.
    Raise InvalidParameters, NoPlace (with every reason), Conflict (another product or type under
    this title), NotFound or Forbidden.
    """
    project = acting.project(spec.project, Scope.ORDER)
    if now and spec.state is not Wanted.DESTROYED:
        raise Invalid("Only an end can be asked for at once.", errors=[FieldError("now", "with the state destroyed")])
    parent = spec.title.rpartition("/")[0]
    if parent and run(QUERIES["live"], project=project, title=spec.title):
        raise Conflict(
            f"'{spec.title}' is requested by '{parent}', not by you.", remedy=f"Change, stop or destroy '{parent}'."
        )
    check_title(spec.title)
    if spec.offered_to is OfferedTo.EVERYONE:
        # Whoever serves strangers does what a provider does.
        acting.project(spec.project, Scope.OPERATE)
    return transact(Order(spec, project, acting.actor, spec.title, now=now, partial=partial), dry_run=dry_run)


def count_instances(project: str) -> int:
    """Return how many instances a project (its id) has, those that are being destroyed included."""
    rows = run(QUERIES["count_instances"], project=project)
    return int(rows[0]["instances"]) if rows else 0


def release_partitions() -> int:
    """Free what destroyed instances held, once their node said they are gone; return how many."""
    count = 0
    for row in run(QUERIES["gone"]):
        with writing():
            # The order of locks of an order: the instance's, the clock's, the node's, then the count of the project's.
            run(locking(QUERIES["lock_instance"], "i"), id=row["id"])
            peers.lock(row["tree"], row["id"])
            revisions.take_turn()
            if not run(QUERIES["note_gone"], id=row["id"], now=clock.now()):
                continue
            history.forget_secrets(row["id"])
            if row["host"] is not None:
                sharing.release_share(row["host"])
            else:
                partitions.free(row["node_id"], row["partition"], row["id"], row["weight"])
                revoke_instance_certificates(row["id"])
                sharing.end(row["id"])
                if row["parent"] is not None:
                    peers.tell(row["tree"], row["id"])
            audit("freehold", "instance.gone", row["id"], project=row["project_id"])
        count += 1
    return count


def transact(order: Order, *, dry_run: bool = False) -> Answer:
    for _ in range(3):
        try:
            with writing(dry_run=dry_run):
                if order.parent is not None:
                    trees.lock(order.parent["tree"])
                return apply(order)
        except IntegrityError:
            # Somebody made the same title at the same moment; theirs is there now, so look again.
            continue
    raise Conflict(f"'{order.title}' is being changed by others.", remedy="Try again.")


def apply(order: Order) -> Answer:
    """Make an instance exist as ordered, in a transaction of the caller, with the tree locked if it is a part."""
    free_text.check(order.spec)
    if order.spec.state is not Wanted.DESTROYED:
        project_suspension.refuse(order.project)
    rows = run(locking(QUERIES["live"], "i"), project=order.project, title=order.title)
    if rows:
        return _change(order, rows[0])
    if order.spec.state is Wanted.DESTROYED:
        return _destroyed_already(order)
    return _create(order)


def _destroyed_already(order: Order) -> Answer:
    """Asked again, the end of an instance is no mistake; of one that never was, it is."""
    rows = run(QUERIES["destroyed_last"], project=order.project, title=order.title)
    if not rows:
        raise NotFound(f"There is no '{order.title}' in '{order.spec.project}' to destroy.")
    return Answer(rows[0]["id"], False, False, rows[0]["node_id"], rows[0]["partition"])


def _create(order: Order) -> Answer:
    spec, offer = _of_offer(order.spec)
    order = replace(order, spec=spec)
    spec, parent = order.spec, order.parent
    if spec.product is None:
        raise NotFound(
            f"There is no '{spec.title}' in '{spec.project}'.",
            remedy="To create it, name a product; `freehold list` shows what there is.",
        )
    choice = resolving.choose(spec, order.project)
    if parent is None:
        catalog.refuse_part(choice)
    else:
        trees.refuse_circle(parent, choice.product, choice.type)
    if order.shared is not None and order.shared != bool(choice.host):
        kind = "shared" if choice.host else "not shared"
        raise Undeclared(f"{choice.product} ({choice.type}) is {kind}; the release declares otherwise.")
    parameters = schemas.restore_secrets(choice.release, choice.type, spec.parameters or {}, {})
    parameters = resolving.fitting(choice.release, choice.type, parameters)
    constraints = resolving.constraints_of(spec.constraints or {})
    size = sizing.of_order(order.title, spec.size, choice.size, is_shared=bool(choice.host))
    instance = ids.new("inst")
    if parent is not None:
        peers.lock(parent["tree"], instance)
    host, place = _place(order, instance, replace(choice, size=size), constraints)
    wanted = spec.state or Wanted.STARTED
    inserted = run(
        QUERIES["insert"],
        id=instance,
        project=order.project,
        tree=parent["tree"] if parent else instance,
        parent=parent["id"] if parent else None,
        host=host,
        title=order.title,
        product=choice.product,
        release=choice.release,
        type=choice.type,
        parameters=resolving.as_text(parameters),
        constraints=msgspec.json.encode(constraints).decode(),
        requested_state=wanted.value,
        wanted=wanted.value,
        protected=bool(spec.protected),
        awaits_ready=order.awaits_ready,
        seed=secrets.token_hex(32),
        node=place.node,
        partition=place.partition,
        weight=0 if host else choice.weight,
        size=size.text(),
        revision=place.revision,
        now=clock.now(),
        usual=quotas.USUAL[Quota.INSTANCES],
        **{name: getattr(spec, name) or None for name in FREE_TEXT},
    )
    if not inserted:
        quotas.check(order.project, Quota.INSTANCES, lambda: count_instances(order.project))
        raise Conflict(f"'{order.title}' is being changed by others.", remedy="Try again.")
    if choice.requests and parent is None and not order.partial:
        declaring = Declaring(Kind(choice.product, choice.type), choice.release, resolving.as_text(parameters))
        reservations.reserve(instance, order.project, spec.title, declaring, Counter())
    if choice.hosts:
        sharing.offer(instance, choice, order.project)
    if spec.offered_to is not None:
        sharing.offer_to(instance, order.project, choice.product, everyone=spec.offered_to is OfferedTo.EVERYONE)
    if parent is not None:
        _forget_given(parent["id"], order.title)
        if not host:
            peers.tell(parent["tree"], instance)
    history.remember(instance, order.actor, choice.release, resolving.as_text(parameters), wanted)
    events.send(
        Ordered(
            instance,
            order.project,
            choice.product,
            choice.type,
            place.node,
            parent["tree"] if parent else None,
            offer,
            spec.quote,
        )
    )
    audit(
        order.actor,
        "instance.request",
        instance,
        project=order.project,
        title=order.title,
        product=choice.product,
        version=choice.version,
        type=choice.type,
        state=wanted.value,
        node=place.node,
        partition=place.partition,
    )
    return Answer(instance, True, True, place.node, place.partition)


def _of_offer(spec: Request) -> tuple[Request, str | None]:
    """Return a request with all that its offer says of it, and the offer's id; raise Conflict when both differ."""
    if spec.offer is None:
        return spec, None
    offer = sales.offer(spec.offer, spec.product)
    fixed = {"product": offer.product, "type": offer.type}
    wrong = [name for name, value in fixed.items() if getattr(spec, name) not in (None, value)]
    wrong += plans.differing(offer, spec)
    if wrong:
        raise Conflict(
            f"The offer '{spec.offer}' has another {', '.join(wrong)}.", remedy="Leave it out, or take another offer."
        )
    whole = msgspec.structs.replace(
        spec,
        product=offer.product,
        type=offer.type,
        parameters={**(spec.parameters or {}), **offer.parameters},
        size=msgspec.to_builtins(offer.size),
    )
    return whole, offer.offer


def _place(order: Order, instance: str, choice: ResolvedType, constraints: Constraints) -> tuple[str | None, Place]:
    if not choice.host:
        if order.parent is None:
            return None, allocation.place(instance, choice.release, order.project, constraints, resolving.needs(choice))
        return None, _place_part(order.parent, instance, choice, order.project, constraints)
    parent = order.parent
    kin = {parent["id"], *(row["id"] for row in trees.ancestors(parent["parent"]))} if parent else set()
    sibling = f"{parent['title']}/{constraints.instance}" if parent else ""
    return sharing.place(choice, order.project, constraints, sibling, kin)


def _place_part(
    parent: dict[str, Any], instance: str, choice: ResolvedType, project: str, constraints: Constraints
) -> Place:
    """Place an instance that another requests, apart from others of its kind if that is declared."""
    siblings = apart.occupied(parent["id"], choice.product, choice.type)
    kept = reservations.make_room(parent["tree"], choice, siblings.avoided)

    def place(constraints: Constraints) -> Place:
        return allocation.place(
            instance, choice.release, project, constraints, resolving.needs(choice), avoid=siblings.avoided
        )

    if siblings.apart and kept and not constraints.node:
        try:
            # A better one may be where another of them has its place kept.
            return place(msgspec.structs.replace(constraints, node=kept))
        except NoPlace:
            pass
    try:
        return place(constraints)
    except NoPlace as error:
        if siblings.places and siblings.apart:
            raise siblings.refusal(len(siblings.places) + 1, error) from None
        raise


def _change(order: Order, row: dict[str, Any]) -> Answer:
    spec = order.spec
    _refuse_another_kind(order, row)
    noted = endings.protect(row, spec.protected, order.actor)
    if order.awaits_ready != bool(row["awaits_ready"]):
        trees.await_ready(row["id"], order.awaits_ready)
    if spec.state is Wanted.DESTROYED:
        endings.refuse_protected(row["title"], row["protected"] if spec.protected is None else spec.protected)
    if spec.state is Wanted.DESTROYED and not order.now and row["parent"] is None:
        ends_at = row["ends_at"] or endings.grace_ends_at(row["id"])
        if ends_at is not None:
            return _end_later(order, row, ends_at)
    if spec.state is None:
        endings.refuse_ending(row)
    parameters_asked = present = json.loads(row["parameters"])
    size_asked = spec.size
    if spec.parameters is not None:
        parameters_asked = schemas.restore_secrets(row["release_id"], row["type"], spec.parameters, present)
    if spec.offer is not None:
        plan = plans.take(row, spec, parameters_asked, order.actor)
        parameters_asked, size_asked, noted = plan.parameters, plan.size, plan.is_changed or noted
    release = row["release_id"]
    if spec.release is not None and spec.release != row["version"]:
        release = _other_release(order, row)
    parameters = resolving.as_text(resolving.fitting(release, row["type"], parameters_asked))
    old = Wanted(row["requested_state"])
    state_asked = spec.state or old
    INSTANCE.check(old, state_asked)
    offered = spec.offered_to is not None and sharing.offer_to(
        row["id"], row["project_id"], row["product"], everyone=spec.offered_to is OfferedTo.EVERYONE
    )
    noted = free_text.note(order.spec, row, order.actor) or noted
    size = sizes.read(row["size"])
    if size_asked is not None:
        usual = catalog.usual_size(release, row["type"])
        size = sizing.of_order(order.title, size_asked, usual, is_shared=row["host"] is not None)
    is_kept_on = row["orphaned_at"] is None and row["ends_at"] is None
    before = (row["release_id"], row["parameters"], row["size"], old, is_kept_on)
    if (release, parameters, size.text(), state_asked, True) == before:
        return Answer(row["id"], False, offered or noted, row["node_id"], row["partition"])
    if row["parent"] is None and not order.partial and (release, parameters) != (row["release_id"], row["parameters"]):
        _reserve_more(row, release, parameters)
    if row["ends_at"] is not None and state_asked is not Wanted.DESTROYED:
        endings.keep_on(row, order.actor)
    named = None if size_asked is None else resolving.size_of(size_asked)
    events.send(Changed(row["id"], json.loads(parameters), state_asked, named))
    if size.text() != row["size"]:
        sizing.resize(row, size)
    run(
        QUERIES["change"],
        id=row["id"],
        release=release,
        parameters=parameters,
        size=size.text(),
        requested_state=state_asked.value,
        revision=revisions.bump(row["node_id"]),
        now=clock.now(),
    )
    if release != row["release_id"]:
        sharing.follow(row["id"], release)
    if state_asked != old or row["orphaned_at"] is not None or row["ends_at"] is not None:
        trees.settle(row["tree"])
    history.remember(row["id"], order.actor, release, parameters, state_asked)
    if len(parameters) > LARGE_PARAMETERS:
        run(QUERIES["thin_requests"], instance=row["id"], most=HISTORY_OF_LARGE)
    audit(
        order.actor,
        "instance.change",
        row["id"],
        project=order.project,
        title=order.title,
        release=release,
        state=state_asked.value,
        parameters_changed=parameters != row["parameters"],
        **({} if size.text() == row["size"] else {"size": size.text()}),
    )
    return Answer(row["id"], False, True, row["node_id"], row["partition"])


def _reserve_more(row: dict[str, Any], release: str, parameters: str) -> None:
    """Keep places for what an instance requests beyond what it did, with another release or other parameters."""
    kind = Kind(row["product"], row["type"])
    there = Counter(Kind(child["product"], child["type"]) for child in run(QUERIES["children"], parent=row["id"]))
    there |= reservations.numbers(Declaring(kind, row["release_id"], row["parameters"]))
    declaring = Declaring(kind, release, parameters)
    reservations.reserve(row["id"], row["project_id"], row["title"], declaring, there)


def _end_later(order: Order, row: dict[str, Any], ends_at: int) -> Answer:
    is_news = row["ends_at"] is None
    if is_news:
        endings.begin(row, ends_at, order.actor)
    return Answer(row["id"], False, is_news, row["node_id"], row["partition"], ends_at)


def _refuse_another_kind(order: Order, row: dict[str, Any]) -> None:
    """Raise Conflict when what is asked cannot become of this instance: product, type and place stay."""
    spec = order.spec
    for field, present in (("product", row["product"]), ("type", row["type"])):
        value = getattr(spec, field)
        if value is not None and value != present:
            raise Conflict(
                f"'{order.title}' is {field} '{present}', not '{value}'.",
                remedy="Destroy it first, or use another title.",
            )
    if spec.constraints is None:
        return
    if msgspec.json.encode(resolving.constraints_of(spec.constraints)).decode() != row["constraints"]:
        raise Conflict(
            f"'{order.title}' is placed already; its constraints cannot change.",
            remedy="Leave the constraints out, or destroy it and request it again.",
        )


def _other_release(order: Order, row: dict[str, Any]) -> str:
    """Return the release that an instance changes to.

    Raise NoPlace when its node may not run it: an instance never moves silently.
    """
    spec = order.spec
    if row["host"] is not None:
        raise Conflict(
            f"'{order.title}' is served by another instance and has its release.",
            remedy="Change the release of the instance that serves it.",
        )
    choice = catalog.choose(row["product"], spec.release, row["type"])
    catalog.refuse_going_back(row["release_id"], choice.release)
    if choice.weight != row["weight"]:
        raise Conflict(
            f"Release {spec.release} has another weight than {row['version']}.",
            remedy="Request a new instance of it and destroy this one.",
        )
    if not run(QUERIES["supplied"], release=choice.release, node=row["node_id"], project=order.project):
        title = Node.objects.values_list("title", flat=True).get(id=row["node_id"])
        raise NoPlace(
            f"Node '{title}', where '{order.title}' lives, has no supply of {row['product']} {spec.release}.",
            reasons=[Reason("no supply of this release on the instance's node", 1)],
            remedy="Ask the provider to supply the release on this node.",
        )
    return choice.release


def _forget_given(parent: str, title: str) -> None:
    """What a former child of this title published is not the new one's."""
    (row,) = run(QUERIES["parent"], id=parent)
    publications = json.loads(row["child_publications"])
    if publications.pop(trees.name_in_parent(title), None) is not None:
        run(QUERIES["forget_child_publication"], id=parent, child_publications=resolving.as_text(publications))


def check_title(title: str) -> None:
    if not _TITLE.fullmatch(title):
        raise Invalid(
            f"'{title}' cannot be a title.",
            errors=[FieldError("title", "1 to 100 letters, digits, spaces, dots, dashes, underscores", title)],
        )

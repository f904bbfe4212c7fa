"""Places that are kept for what a service will request, so that an order is taken whole or refused in one sentence.

What its release declares of its type, and the releases of those in turn, is known when somebody orders; what it really
requests is known when it is configured. Until then each declared instance has a place. What was not requested when all
of the tree is as wanted was not needed, and is given back.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from freehold.master.allocation import actions as allocation
from freehold.master.allocation.actions import NOWHERE
from freehold.master.allocation.choice import Avoided, Constraints
from freehold.master.catalog import queries as catalog
from freehold.master.catalog.queries import ResolvedType
from freehold.master.fleet import partitions, revisions
from freehold.master.foundation import clock, ids
from freehold.master.foundation.errors import NoPlace, NotFound, NotWhole
from freehold.master.foundation.transactions import run, writing
from freehold.master.ordering import apart, declared, resolving, trees
from freehold.master.ordering.apart import Occupied
from freehold.master.ordering.queries import QUERIES

LONGEST = clock.HOUR
"""Milliseconds for which a place is kept at most: a tree that is not ready by then asks for its places anew."""
MOST_PLACES = 1000
"""Places that are kept for one order: what would request more is placed as it requests it."""


@dataclass(frozen=True)
class Kind:
    """Of what kind an instance is."""

    product: str
    type: str

    def __str__(self) -> str:
        return self.product if self.type == "default" else f"{self.product} ({self.type})"


@dataclass(frozen=True)
class Declaring:
    """An instance whose release says what it may request."""

    kind: Kind
    release: str
    parameters: str
    """JSON."""


def reserve(tree: str, project: str, title: str, order: Declaring, there: Counter[Kind]) -> None:
    """Keep a place for each instance that a root will request, but for those that it has, or asked for, already.

    `tree` and `project` are ids. In the transaction that orders or changes it, with its tree locked. Raise NotWhole,
    which says what there is room for and what not, when they do not all have one.
    """
    kept: Counter[Kind] = Counter()
    for part in _requested(order, project, (order.kind,), there, tree):
        if kept.total() >= MOST_PLACES:
            return
        kind, wanted, siblings = part.kind, part.wanted, part.others
        if wanted.host:
            # It lives on an instance of the tree, or of somebody else: it takes no partition.
            continue
        reservation = ids.new("rsrv")
        try:
            place = allocation.place(
                reservation, wanted.release, project, Constraints(), resolving.needs(wanted), avoid=siblings.avoided
            )
        except NoPlace as error:
            raise _refused(title, part, kept, error) from None
        siblings.add(place)
        run(
            QUERIES["reserve"],
            id=reservation,
            tree=tree,
            product=kind.product,
            type=kind.type,
            release=wanted.release,
            node=place.node,
            partition=place.partition,
            weight=wanted.weight,
            now=clock.now(),
        )
        kept[kind] += 1


def numbers(order: Declaring) -> Counter[Kind]:
    """Return how many instances of each kind an instance declares to request."""
    may = declared.read(*catalog.requests(order.release, order.kind.type), order.parameters)
    return Counter({Kind(product, type_name): number for (product, type_name), (_, number) in may.items()})


def make_room(tree: str, choice: ResolvedType, avoid: Avoided) -> str | None:
    """Give back a place that was kept for an instance of this kind, which takes it, or a better one, next; return its
    node. One that is where the instance may be goes before one that is not.

    In the transaction that places the instance, with its tree locked. Nobody else takes the place: whoever wants one
    waits for the turn that is taken here.
    """
    most = MOST_PLACES if avoid != NOWHERE else 1
    rows = run(QUERIES["reserved"], tree=tree, product=choice.product, type=choice.type, most=most)
    if not rows:
        return None
    row = min(rows, key=lambda candidate: avoid.holds(candidate["node"], candidate["site"]))
    revisions.take_turn()
    _release(row["id"])
    return str(row["node"])


def release_unneeded() -> int:
    """Give back the places of trees that are as wanted, ended, or took too long; return how many."""
    count = 0
    for row in _unneeded():
        with writing():
            trees.lock(row["tree"])
            if _unneeded(row["tree"]):
                count += _give_back_all(row["tree"])
    return count


def _unneeded(tree: str = "") -> list[dict[str, Any]]:
    now = clock.now()
    return run(QUERIES["unneeded"], before=now - LONGEST, latest=clock.latest(), tree=tree)


@dataclass(frozen=True)
class _Part:
    """An instance that another will request."""

    kind: Kind
    wanted: ResolvedType
    others: Occupied
    """Where the others of its kind are."""
    number: int
    """How many of its kind there will be."""


def _requested(
    order: Declaring, project: str, chain: tuple[Kind, ...], there: Counter[Kind], parent: str | None
) -> Iterator[_Part]:
    """Yield each instance that one will request, and what that will itself; `parent` is its id, if it has one."""
    may = declared.read(*catalog.requests(order.release, order.kind.type), order.parameters)
    for (product, type_name), (request, number) in may.items():
        kind = Kind(product, type_name)
        if kind in chain or len(chain) >= trees.DEEPEST:
            # It is refused when it is requested, and says why.
            continue
        if number <= there[kind]:
            continue
        below = _choose(kind, order, project)
        siblings = apart.of_kind(parent, request)
        for _ in range(number - there[kind]):
            yield _Part(kind, below, siblings, number)
            if below.requests:
                # What it is asked for is not known before it is requested: as many as by default.
                declaring = Declaring(kind, below.release, "{}")
                yield from _requested(declaring, project, (*chain, kind), Counter(), None)


def _choose(kind: Kind, order: Declaring, project: str) -> ResolvedType:
    """Return what a part will be: of the release of what requests it, if that is the same product; or of the newest."""
    if kind.product == order.kind.product:
        version: str | None = catalog.version(order.release)
    else:
        rows = run(QUERIES["newest_supplied"], product=kind.product, project=project)
        version = rows[0]["version"] if rows else None
    try:
        return catalog.choose(kind.product, version, kind.type)
    except NotFound as error:
        raise NotWhole(f"It requests {kind}, which is not to be had here: {error.detail}", reasons=[]) from None


def _refused(title: str, part: _Part, kept: Counter[Kind], error: NoPlace) -> NotWhole:
    kind = part.kind
    if part.others.apart and part.others.places:
        error = part.others.refusal(part.number, error)
        return NotWhole(f"'{title}' is made of several instances: {error.detail}", reasons=error.reasons)
    room = ", ".join(f"{number} {name}" for name, number in kept.items())
    another = "another" if kept[kind] else "any"
    message = f"there is room for {room}, not for {another} {kind}" if room else f"there is no room for any {kind}"
    return NotWhole(f"'{title}' is made of several instances: {message}.", reasons=error.reasons)


def _give_back_all(tree: str) -> int:
    rows = run(QUERIES["reservations"], tree=tree)
    if rows:
        revisions.take_turn()
    for row in rows:
        _release(row["id"])
    return len(rows)


def _release(reservation: str) -> None:
    for row in run(QUERIES["unreserve"], id=reservation):
        partitions.free(row["node"], row["partition"], reservation, row["weight"])

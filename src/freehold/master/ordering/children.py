"""What an instance requests of others: granted one by one, as far as its release declares it."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, MasterError
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.ordering import clusters, declared, trees
from freehold.master.ordering.actions import Answer, Order, Request, check_title, transact
from freehold.master.ordering.clusters import ClusterRequest
from freehold.master.ordering.queries import QUERIES
from freehold.master.people.identity import ITSELF, Caller
from freehold.protocol.descriptor import MOST_REQUESTS, RequestDescriptor
from freehold.protocol.order import OF_PEOPLE
from freehold.protocol.states import Wanted


def request_children(
    specs: Mapping[str, Request],
    *,
    groups: Mapping[str, ClusterRequest] = MappingProxyType({}),
    await_ready: Collection[str] = (),
    acting: Caller,
) -> dict[str, Answer | MasterError | None]:
    """Make the instances that the calling instance requests exist as it wishes: all of them, by their titles in it.
    Those of `groups` are made and changed together (`clusters`), by their names; nothing is answered of one that is
    granted.

    Each is granted or refused on its own, in a transaction of its own; what the release of the instance does not
    declare is refused. What those in `await_ready` publish it gets only when they are ready. What was requested before
    and is not any more is stopped, and destroyed after a time of grace unless it is requested again. Raise Conflict
    when the instance is not started, Invalid for a title that cannot be one.
    """
    acting.check(ITSELF)
    parent = acting.subject
    members = {f"{name}-{ordinal}": group.member for name, group in groups.items() for ordinal in range(group.size)}
    if len(specs) + len(members) > MOST_REQUESTS:
        raise Invalid(f"{len(specs) + len(members)} requests; an instance may make {MOST_REQUESTS}.")
    if twice := sorted(specs.keys() & (members.keys() | groups.keys())):
        raise Invalid(f"'{twice[0]}' is requested twice.", remedy="Give a cluster another name.")
    for title in (*specs, *members):
        check_title(title)
    rows = run(QUERIES["parent"], id=parent)
    if not rows or rows[0]["wanted"] != Wanted.STARTED:
        raise Conflict("Only an instance that is wanted started may request others.")
    row = rows[0]
    for title, spec in specs.items():
        if spec.state is Wanted.DESTROYED:
            raise Invalid(f"'{title}' cannot be requested destroyed.", remedy="Request it no more.")
    may, undeclared = _undeclared(parent, {**specs, **members})
    answers: dict[str, Answer | MasterError | None] = {}
    for title, spec in specs.items():
        if title in undeclared:
            answers[title] = undeclared[title]
            continue
        of_kind = may.get((spec.product or "", spec.type or "default"))
        shared = of_kind[0].shared if of_kind is not None else None
        try:
            _refuse_of_people(spec)
            answers[title] = transact(
                Order(
                    spec,
                    row["project_id"],
                    acting.actor,
                    f"{row['title']}/{title}",
                    row,
                    shared,
                    awaits_ready=title in await_ready,
                )
            )
        except MasterError as error:
            answers[title] = error
    for name, group in groups.items():
        answers[name] = _put(row, name, group, undeclared, acting.actor)
    # Also of one that is not granted now: nobody's data ends for a change that is refused.
    clusters.keep_only(row, set(groups))
    kept = {title for of_one in clusters.titles(parent).values() for title in of_one}
    _unask_others(row, (set(specs) - set(undeclared)) | kept)
    return answers


def _put(
    parent: dict[str, Any], name: str, group: ClusterRequest, undeclared: Mapping[str, MasterError], actor: str
) -> MasterError | None:
    for ordinal in range(group.size):
        if (refused := undeclared.get(f"{name}-{ordinal}")) is not None:
            return refused
    try:
        _refuse_of_people(group.member)
        clusters.put(parent, name, group, actor=actor)
    except MasterError as error:
        return error
    return None


def _undeclared(
    parent: str, specs: Mapping[str, Request]
) -> tuple[dict[tuple[str, str], tuple[RequestDescriptor, int]], dict[str, MasterError]]:
    """Return what an instance may request, and which of its requests are outside of that."""
    (row,) = run(QUERIES["declared"], id=parent)
    may = declared.read(row["requests"], row["request_schema"], row["parameters"])
    children = [
        declared.Child(trees.name_in_parent(child["title"]), child["product"], child["type"])
        for child in run(QUERIES["children"], parent=parent)
    ]
    kinds = {title: declared.RequestedKind(spec.product, spec.type) for title, spec in specs.items()}
    return may, declared.refused(may, kinds, children)


def _refuse_of_people(spec: Request) -> None:
    """Raise Forbidden for what only people may ask: an instance orders nothing at a price, and serves no strangers."""
    for name in OF_PEOPLE:
        if getattr(spec, name) is not None:
            raise Forbidden(
                f"An instance requests parts of itself, without `{name}`.",
                remedy="The offer of the whole tree covers what its release declares; people order everything else.",
            )


def _unask_others(parent: dict[str, Any], titles: set[str]) -> None:
    """Stop the children that their parent does not request any more."""

    def siblings() -> list[dict[str, Any]]:
        return [
            row
            for row in run(QUERIES["tree"], tree=parent["tree"])
            if row["parent"] == parent["id"]
            and row["wanted"] != Wanted.DESTROYED
            and row["orphaned_at"] is None
            and trees.name_in_parent(row["title"]) not in titles
        ]

    if not siblings():
        return
    with writing():
        trees.lock(parent["tree"])
        for row in siblings():
            run(QUERIES["unask"], id=row["id"], now=clock.now())
            audit(f"instance:{parent['id']}", "instance.unask", row["id"], project=parent["project_id"])
        trees.settle(parent["tree"])

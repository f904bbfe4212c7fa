"""Instances move to another node: away from one that is lost, or drained. Only those that hold no data do so by
themselves; of the others the owner decides.

A node is lost when it was silent for longer than its lease, which it obeys: by then it has ended what can move, by
itself, and it will not start it again before it has heard that it may. What is left there is destroyed when it returns.
"""

import logging
from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Q

from freehold.master.allocation import actions as allocation
from freehold.master.allocation.choice import Constraints
from freehold.master.fleet import revisions
from freehold.master.fleet.actions import revoke_instance_certificates, sync_supplies
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, NoPlace, NotFound
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering.queries import QUERIES
from freehold.master.people.identity import Caller, Scope

AHEAD = 60_000
"""Milliseconds by which a moment that was noted may be later than now."""
_log = logging.getLogger(__name__)


_steadiness = clock.Steadiness()
"""Of this process."""


def find_lost() -> None:
    """Fence nodes whose lease is over: nothing is placed there; take back those that report again.

    By a clock that went evenly for as long as the lease while this process looked: one that jumped, or a Master that
    was away, says nothing of how long a node was silent.
    """
    steady_for = _steadiness.look()
    with writing():
        run(QUERIES["unlearn"], now=clock.now(), latest=clock.now() + AHEAD)
    for row in run(QUERIES["silent"], now=clock.now(), margin=round(settings.LEASE_MARGIN * 1000)):
        if steady_for > row["lease"] + settings.LEASE_MARGIN:
            _mark(row["id"], row["project_id"], "node.lost", clock.now())
    for row in run(QUERIES["returned"]):
        _mark(row["id"], row["project_id"], "node.returned", None)


def _mark(node: str, project: str, verb: str, lost_at: int | None) -> None:
    with writing():
        Node.objects.filter(id=node).update(lost_at=lost_at)
        sync_supplies(node)
        audit("freehold", verb, node, project=project)


def move_from_lost() -> None:
    """Move what can be moved away from lost nodes; what finds no place is tried again."""
    for node in Node.objects.filter(lost_at__isnull=False).values_list("id", flat=True):
        for row in run(QUERIES["movable"], node=node):
            try:
                _move(row, actor="freehold")
            except NoPlace as error:
                _log.warning("%s cannot be moved away from a lost node: %s", row["title"], error)


def drain(node_id: str, project: str, *, dry_run: bool, acting: Caller) -> dict[str, Any]:
    """Close a node, and move what holds no data to others.

    Return the titles that moved, those that found no place with the reason, and those that stay for their owners to
    decide. With `dry_run` nothing is kept.
    """
    owner = acting.project(project, Scope.OPERATE)
    node = _named(node_id, owner)
    if node is None:
        raise NotFound(f"There is no node '{node_id}' in '{project}'.", remedy="See `freehold node list`.")
    moved, stuck = [], {}
    with writing(rehearse=dry_run):
        run(locking(QUERIES["lock_movable"], "i"), node=node.id)
        revisions.lock_clock()
        Node.objects.filter(id=node.id).update(open=False)
        sync_supplies(node.id)
        audit(acting.actor, "node.drain", node.id, project=owner)
        for row in run(QUERIES["movable"], node=node.id):
            try:
                _move_within(row, actor=acting.actor)
                moved.append(row["title"])
            except NoPlace as error:
                stuck[row["title"]] = str(error)
    stays = [row["title"] for row in run(QUERIES["staying"], node=node.id)]
    return {"moved": moved, "stuck": stuck, "stays": stays}


def _named(name: str, project: str) -> Node | None:
    # PostgreSQL refuses to be asked for a zero character, so no node has one.
    rows = Node.objects.none() if "\0" in name else Node.objects.filter(Q(id=name) | Q(title=name), project=project)
    return rows.order_by("title").first()


def move(project: str, title: str, *, abandon_data: bool, dry_run: bool, acting: Caller) -> dict[str, Any]:
    """Place a service on another node, as its owner wishes; return where it was and is, and whether data stays behind.

    It begins there as when it was new, with its parameters and secrets: what it had written stays on the former node,
    which destroys it, if it lives or when it returns. Raise NotFound, Conflict for what cannot move or holds data that
    nobody gave up, NoPlace. With `dry_run` nothing is kept.
    """
    owner = acting.project(project, Scope.ORDER)
    with writing(rehearse=dry_run):
        rows = run(locking(QUERIES["moving"], "i"), project=owner, title=title)
        if not rows:
            raise NotFound(f"There is no '{title}' in '{project}'.")
        row = rows[0]
        _refuse_move(row, abandon_data=abandon_data)
        _move_within(row, actor=acting.actor)
        (now,) = run(QUERIES["moving"], project=owner, title=title)
    return {"former": row["node"], "node": now["node"], "abandoned": bool(row["holds_data"])}


def _refuse_move(row: dict[str, Any], *, abandon_data: bool) -> None:
    title = row["title"]
    if row["host"] is not None:
        raise Conflict(f"'{title}' is where its host is.", remedy="Move its host, or request another.")
    if row["guests"]:
        raise Conflict(
            f"'{title}' serves {row['guests']} shared instances, which would lose their data.",
            remedy="They must be destroyed first.",
        )
    if row["holds_data"] and not abandon_data:
        raise Conflict(
            f"'{title}' holds data, which stays on node '{row['node']}' and is destroyed there.",
            remedy="Take a backup away first, if you can, and say that its data is given up (`--abandon-data`).",
        )


def see_off() -> None:
    """Free the partitions of which their node said that nothing is left."""
    for row in run(QUERIES["seen_off"]):
        with writing():
            if run(QUERIES["forget_departure"], id=row["id"]):
                run(QUERIES["forget_departed"], instance=row["instance_id"], node=row["node_id"])
                allocation.give_back(
                    _left(row["instance_id"], row["node_id"]), row["node_id"], row["partition"], row["weight"]
                )


def _move(row: dict[str, Any], *, actor: str) -> None:
    with writing():
        run(locking(QUERIES["lock_instance"], "i"), id=row["id"])
        _move_within(row, actor=actor)


def _move_within(row: dict[str, Any], *, actor: str) -> None:
    """Place an instance elsewhere; raise NoPlace, having changed nothing, when there is no other node for it."""
    constraints = msgspec.json.decode(row["constraints"], type=Constraints)
    revisions.take_turn()
    with transaction.atomic():
        # Its own partition is no other place, and what it leaves there has a name of its own.
        left = {"node": row["node_id"], "partition": row["partition"], "instance": row["id"]}
        run(QUERIES["release_partition"], **left, left=_left(row["id"], row["node_id"]))
        # Where it is, and where something of it may be left.
        avoid = {row["node_id"], *(left["node_id"] for left in run(QUERIES["departing"], instance=row["id"]))}
        place = allocation.place(
            row["id"], row["release_id"], row["project_id"], constraints, row["weight"], avoid=avoid
        )
        moved = run(
            QUERIES["move"],
            id=row["id"],
            former=row["node_id"],
            node=place.node,
            partition=place.partition,
            revision=place.revision,
            now=clock.now(),
        )
        if not moved:
            raise NoPlace("it was moved or destroyed meanwhile.", reasons=[])
        revision = revisions.bump(row["node_id"])
        run(
            QUERIES["leave"],
            instance=row["id"],
            node=row["node_id"],
            partition=row["partition"],
            weight=row["weight"],
            revision=revision,
            now=clock.now(),
        )
        run(QUERIES["count_move"])
        revoke_instance_certificates(row["id"])
        audit(
            actor,
            "instance.move",
            row["id"],
            project=row["project_id"],
            title=row["title"],
            former=row["node_id"],
            node=place.node,
        )


def _left(instance: str, node: str) -> str:
    # Of each node: it may have left the second one before the first has said that nothing is left.
    return f"left:{instance}:{node}"

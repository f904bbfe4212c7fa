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
from freehold.master.allocation.choice import Avoided, Constraints, Needs
from freehold.master.fleet import fencing, partitions, revisions
from freehold.master.fleet.actions import revoke_instance_certificates
from freehold.master.fleet.models import Node
from freehold.master.foundation import clock, hints
from freehold.master.foundation.errors import Conflict, NoPlace, NotFound
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.generation.clocks import contradiction
from freehold.master.ordering import apart, endings, peers
from freehold.master.ordering.queries import QUERIES
from freehold.master.people.identity import Caller, Scope
from freehold.protocol import size

_log = logging.getLogger(__name__)


def find_lost() -> int:
    """Fence nodes whose lease is over: nothing is placed there; take back those that report again; return how many.

    By a clock that went evenly for as long as the lease while this process looked: one that jumped, or a Master that
    was away, says nothing of how long a node was silent; nor does one that nodes contradict.
    """
    steady_for, count = clock.steadiness.look(), 0
    with writing():
        revisions.unlearn_future(clock.latest())
    silent = run(QUERIES["silent"], now=clock.now(), margin=round(settings.LEASE_MARGIN * 1000))
    for row in [] if contradiction() else silent:
        if steady_for > row["lease"] + settings.LEASE_MARGIN:
            _mark(row["id"], row["project_id"], "node.lost", clock.now())
            count += 1
    for row in run(QUERIES["returned"]):
        _mark(row["id"], row["project_id"], "node.returned", None)
        count += 1
    return count


def _mark(node: str, project: str, verb: str, lost_at: int | None) -> None:
    with writing():
        fencing.set_lost(node, lost_at)
        audit("freehold", verb, node, project=project)


def move_from_lost() -> int:
    """Move what can be moved away from lost nodes; what finds no place is tried again. Return how many moved."""
    count = 0
    for node in Node.objects.filter(lost_at__isnull=False).values_list("id", flat=True):
        for row in run(QUERIES["movable"], node=node):
            try:
                _move(row, actor="freehold")
                count += 1
            except NoPlace as error:
                _log.warning("%s cannot be moved away from a lost node: %s", row["title"], error)
    return count


def drain(node_id: str, project: str, *, dry_run: bool, acting: Caller) -> dict[str, Any]:
    """Close a node, and move what holds no data to others.

    Return the titles that moved, those of members of clusters, which move one after another (`clusters`), those that
    found no place with the reason, and those that stay for their owners to decide. With `dry_run` nothing is kept.
    """
    owner = acting.project(project, Scope.OPERATE)
    node = _named(node_id, owner)
    if node is None:
        raise NotFound(f"There is no node '{node_id}' in '{project}'.", remedy="See `freehold node list`.")
    moved, later, stuck = [], [], {}
    with writing(dry_run=dry_run):
        run(locking(QUERIES["lock_movable"], "i"), node=node.id)
        for row in run(QUERIES["movable"], node=node.id):
            peers.lock(row["tree"], row["id"])
        revisions.lock_clock()
        fencing.close(node.id)
        audit(acting.actor, "node.drain", node.id, project=owner)
        for row in run(QUERIES["movable"], node=node.id):
            if row["cluster"] is not None:
                # What belongs together does not move at once.
                run(QUERIES["drain_member"], instance=row["id"], node=node.id)
                later.append(row["title"])
                continue
            try:
                move_within(row, actor=acting.actor)
                moved.append(row["title"])
            except NoPlace as error:
                stuck[row["title"]] = str(error)
    stays = [row["title"] for row in run(QUERIES["staying"], node=node.id)]
    hints.after_commit(hints.REPORTED)
    return {"moved": moved, "later": later, "stuck": stuck, "stays": stays}


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
    with writing(dry_run=dry_run):
        rows = run(locking(QUERIES["moving"], "i"), project=owner, title=title)
        if not rows:
            raise NotFound(f"There is no '{title}' in '{project}'.")
        row = rows[0]
        _refuse_move(row, abandon_data=abandon_data)
        move_within(row, actor=acting.actor)
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
    if row["holds_data"]:
        endings.refuse_protected(title, row["protected"])
    if row["holds_data"] and not abandon_data:
        raise Conflict(
            f"'{title}' holds data, which stays on node '{row['node']}' and is destroyed there.",
            remedy="Take a backup away first, if you can, and say that its data is given up (`--abandon-data`).",
        )


def finish_departures() -> int:
    """Free the partitions of which their node said that nothing is left; return how many."""
    count = 0
    for row in run(QUERIES["departed"]):
        with writing():
            if run(QUERIES["forget_departure"], id=row["id"]):
                run(QUERIES["forget_departed"], instance=row["instance_id"], node=row["node_id"])
                left = _left(row["instance_id"], row["node_id"])
                partitions.free(row["node_id"], row["partition"], left, row["weight"])
                count += 1
    return count


def _move(row: dict[str, Any], *, actor: str) -> None:
    with writing():
        run(locking(QUERIES["lock_instance"], "i"), id=row["id"])
        move_within(row, actor=actor)


def move_within(row: dict[str, Any], *, actor: str) -> None:
    """Place an instance elsewhere; raise NoPlace, having changed nothing, when there is no other node for it."""
    constraints = msgspec.json.decode(row["constraints"], type=Constraints)
    peers.lock(row["tree"], row["id"])
    revisions.take_turn()
    with transaction.atomic():
        # Its own partition is no other place, and what it leaves there has a name of its own.
        partitions.keep(row["node_id"], row["partition"], row["id"], _left(row["id"], row["node_id"]))
        # Where it is, and where something of it may be left.
        left = {departure["node_id"] for departure in run(QUERIES["departing"], instance=row["id"])}
        kin = apart.occupied(row["parent"], row["product"], row["type"], besides=row["id"])
        needs = Needs(row["weight"], size.read(row["size"]))
        avoid = Avoided(kin.avoided.nodes | left | {row["node_id"]}, kin.avoided.sites)
        place = allocation.place(row["id"], row["release_id"], row["project_id"], constraints, needs, avoid=avoid)
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
        revisions.count_move()
        peers.tell(row["tree"], row["id"])
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

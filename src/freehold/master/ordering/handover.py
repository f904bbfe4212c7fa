"""A tree changes hands: from one project to another, where it is and as it is."""

from django.db import IntegrityError

from freehold.master.fleet import revisions
from freehold.master.foundation import events
from freehold.master.foundation.errors import Conflict, NotFound
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering import endings, project_suspension, trees
from freehold.master.ordering.actions import count_instances
from freehold.master.ordering.events import HandedOver
from freehold.master.ordering.queries import QUERIES
from freehold.master.people import quotas
from freehold.master.people.identity import Caller, Scope
from freehold.master.people.quotas import Quota


def hand_over(project: str, title: str, to: str, *, acting: Caller) -> str:
    """Make a service, with all that it requested, another project's; return its id.

    For somebody who may order in both. Raise NotFound, or Conflict when it is a part of another, is served by another,
    is ending, may not run for that project where it is, or when its title is taken there.
    """
    old, new = acting.project(project, Scope.ORDER), acting.project(to, Scope.ORDER)
    for owner in (old, new):
        project_suspension.refuse(owner)
    try:
        with writing():
            rows = run(locking(QUERIES["live"], "i"), project=old, title=title)
            if not rows:
                raise NotFound(f"There is no '{title}' in '{project}'.")
            row = rows[0]
            if row["parent"] is not None or row["host"] is not None:
                raise Conflict(
                    f"'{title}' belongs to another service.", remedy="Hand over the whole tree, by its root."
                )
            endings.refuse_ending(row)
            if not run(QUERIES["supplied"], release=row["release_id"], node=row["node_id"], project=new):
                raise Conflict(f"'{to}' may not run {row['product']} where '{title}' is.")
            trees.lock(row["tree"])
            # Two trees that change places would each wait for the count of the other's project.
            revisions.take_turn()
            (tree,) = run(QUERIES["count_tree"], tree=row["tree"])
            quotas.check(new, Quota.INSTANCES, lambda: count_instances(new), more=tree["instances"])
            run(QUERIES["hand_over"], tree=row["tree"], project=new)
            run(QUERIES["hand_over_hosts"], tree=row["tree"], project=new)
            events.send(HandedOver(row["id"], new, row["product"], row["type"]))
            audit(acting.actor, "instance.hand-over", row["id"], project=old, to=new)
    except IntegrityError:
        raise Conflict(f"'{to}' has a '{title}' already.", remedy="Destroy that one first.") from None
    return str(row["id"])

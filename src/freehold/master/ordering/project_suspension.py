"""A project that its provider suspends: what it has is stopped, with its data, and it orders nothing meanwhile.

For what cannot go on: abuse of others, a project that somebody else uses. That nobody pays is another matter
(`suspension`). What is asked of its services is not touched, so that lifting it restores them as they were.
"""

from freehold.master.foundation import clock, hints
from freehold.master.foundation.errors import Conflict, Invalid, NotFound, ProjectSuspended
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.ordering import history, trees
from freehold.master.ordering.models import Instance, ProjectSuspension
from freehold.master.ordering.queries import QUERIES
from freehold.master.people.identity import STAFF, Caller
from freehold.master.people.models import Project
from freehold.protocol.problem import FieldError
from freehold.protocol.states import Wanted

ACTOR = "provider"
"""Who stops and starts it, in the history of a service."""
LONGEST_REASON = 500


def suspend(project: str, reason: str, *, acting: Caller) -> None:
    """Suspend a project, by its name, for a reason that its people read. For the Master's staff.

    Its services are stopped within seconds (`settle`). Raise Invalid without a reason, NotFound, or Conflict when it is
    suspended already.
    """
    acting.check(STAFF)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        rule = f"1 to {LONGEST_REASON} characters in one line, which its people read"
        raise Invalid("Say why.", errors=[FieldError("reason", rule)])
    suspended = _find(project)
    with writing():
        row = ProjectSuspension.objects.select_for_update().filter(project=suspended).first()
        if row is not None and row.lifted_at is None:
            raise Conflict(f"'{project}' is suspended already: {row.reason}", remedy="Lift it first.")
        values = {"reason": reason, "actor": acting.actor, "at": clock.now(), "lifted_at": None, "settled_at": None}
        ProjectSuspension.objects.update_or_create(project=suspended, defaults=values)
        audit(acting.actor, "project.suspend", suspended.id, project=suspended.id, reason=reason)
        hints.after_commit(hints.FLEET_CHANGED)


def lift(project: str, *, acting: Caller) -> None:
    """Have a project go on as it was. For the Master's staff; raise NotFound when it is not suspended."""
    acting.check(STAFF)
    suspended = _find(project)
    with writing():
        changed = ProjectSuspension.objects.filter(project=suspended, lifted_at=None).update(
            lifted_at=clock.now(), settled_at=None
        )
        if not changed:
            raise NotFound(f"'{project}' is not suspended.", remedy="")
        audit(acting.actor, "project.resume", suspended.id, project=suspended.id)
        hints.after_commit(hints.FLEET_CHANGED)


def part(wanted: ListPart) -> list[ProjectSuspension]:
    """Return a part of the suspensions that hold, by the name of their project, after one."""
    rows = ProjectSuspension.objects.filter(lifted_at=None).select_related("project")
    return list(part_of(rows, ("project__name",), "project__name", wanted))


def count() -> int:
    """Return how many projects are suspended."""
    return ProjectSuspension.objects.filter(lifted_at=None).count()


def refuse(project: str) -> None:
    """Raise ProjectSuspended when a project (its id) is suspended."""
    # Each order asks this: the statement costs a tenth of what the ORM would.
    for row in run(QUERIES["barred"], project=project):
        raise ProjectSuspended(f"'{row['name']}' is suspended by its provider: {row['reason']}")


def settle() -> int:
    """Stop the services of projects that are suspended, and have those go on where that was lifted; return how many."""
    changed = 0
    for row in ProjectSuspension.objects.filter(settled_at=None).order_by("project_id"):
        roots = Instance.objects.filter(project=row.project_id, parent=None, gone_at=None)
        # All ids first: on SQLite nothing is written while rows are being read.
        for root in list(roots.order_by("id").values_list("id", flat=True)):
            changed += _settle_tree(root)
        with writing():
            # Changed meanwhile, it is looked at again.
            same = ProjectSuspension.objects.filter(project=row.project_id, at=row.at, lifted_at=row.lifted_at)
            if row.lifted_at is None:
                same.update(settled_at=clock.now())
            else:
                same.delete()
    return changed


def _settle_tree(tree: str) -> bool:
    with writing():
        trees.lock(tree)
        (before,) = run(QUERIES["parent"], id=tree)
        if not trees.settle(tree):
            return False
        root = Instance.objects.get(id=tree)
        if root.wanted != before["wanted"]:
            # The time in which it is stopped so is not time in which a promise could be broken.
            history.remember(tree, ACTOR, root.release_id, root.parameters, Wanted(root.wanted))
    return True


def _find(name: str) -> Project:
    row = None if "\0" in name else Project.objects.filter(name=name).first()
    if row is None:
        raise NotFound(f"There is no project '{name}'.", remedy="Check its name.")
    return row

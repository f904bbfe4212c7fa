"""All writes of monitoring."""

from freehold.master.fleet.models import Site
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Invalid, NotFound
from freehold.master.foundation.transactions import audit, writing
from freehold.master.monitoring.models import Maintenance
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

NOTICE = 2 * clock.DAY
"""How long before it begins a maintenance must be announced."""
LONGEST = clock.DAY


def announce(project: str, site: str, begins_at: int, ends_at: int, what: str, *, acting: Caller) -> Maintenance:
    """Announce that a site may be down for a time, two days before or earlier, for a day at most."""
    owner = acting.project(project, Scope.OPERATE)
    found = Site.objects.filter(project=owner, name=site).first()
    if found is None:
        raise NotFound(f"There is no site '{site}' in '{project}'.")
    wrong = []
    if begins_at < clock.now() + NOTICE:
        wrong.append(FieldError("begins_at", "two days from now or later", clock.iso(begins_at)))
    if not begins_at < ends_at <= begins_at + LONGEST:
        wrong.append(FieldError("ends_at", "after its beginning, by a day at most", clock.iso(ends_at)))
    if not what.strip():
        wrong.append(FieldError("what", "what is done"))
    if wrong:
        raise Invalid("This maintenance cannot be announced.", errors=wrong)
    with writing():
        made = Maintenance.objects.create(
            site=found, begins_at=begins_at, ends_at=ends_at, what=what.strip(), announced_at=clock.now()
        )
        audit(acting.actor, "maintenance.announce", found.id, project=owner, begins_at=begins_at, ends_at=ends_at)
    return made

"""All writes of monitoring."""

from freehold.master.fleet.models import Site
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Invalid, NotFound
from freehold.master.foundation.transactions import audit, writing
from freehold.master.monitoring.models import Maintenance
from freehold.master.people.identity import Caller, Scope
from freehold.protocol.problem import FieldError

NOTICE = 2 * clock.DAY
"""How long before it begins a maintenance must be announced."""
LONGEST = clock.DAY
MOST_COMING = 50
"""Maintenances of a site that are announced and not over: each of them stands on pages of its customers."""
MOST_TEXT = 500


def announce(project: str, site: str, begins_at: int, ends_at: int, description: str, *, acting: Caller) -> Maintenance:
    """Announce that a site may be down for a time, two days before or earlier, for a day at most.

    Raise NotFound, Invalid, or Conflict when as many are announced as customers can be shown.
    """
    owner = acting.project(project, Scope.OPERATE)
    # PostgreSQL refuses to be asked for a zero character, so no site has one.
    owned = None if "\0" in site else Site.objects.filter(project=owner, name=site).first()
    if owned is None:
        raise NotFound(f"There is no site '{site}' in '{project}'.", remedy="See `freehold site list`.")
    wrong = []
    if begins_at < clock.now() + NOTICE:
        wrong.append(FieldError("begins_at", "two days from now or later", clock.iso(begins_at)))
    if not begins_at < ends_at <= begins_at + LONGEST:
        wrong.append(FieldError("ends_at", "after its beginning, by a day at most", clock.iso(ends_at)))
    if not description.strip() or "\0" in description or len(description.strip()) > MOST_TEXT:
        wrong.append(FieldError("what", f"what is done, in at most {MOST_TEXT} characters"))
    if wrong:
        raise Invalid("This maintenance cannot be announced.", errors=wrong)
    with writing():
        # First of all, so that of two who announce at once the second counts the first.
        Site.objects.select_for_update().get(id=owned.id)
        if Maintenance.objects.filter(site=owned, ends_at__gt=clock.now()).count() >= MOST_COMING:
            raise Conflict(
                f"{MOST_COMING} maintenances of '{site}' are announced already.", remedy="Withdraw one, or wait."
            )
        maintenance = Maintenance.objects.create(
            site=owned, begins_at=begins_at, ends_at=ends_at, what=description.strip(), announced_at=clock.now()
        )
        audit(acting.actor, "maintenance.announce", owned.id, project=owner, begins_at=begins_at, ends_at=ends_at)
    return maintenance


def withdraw(project: str, identity: str, *, acting: Caller) -> Maintenance:
    """Take back what was announced, before it begins; return it as it was. Raise NotFound, or Conflict once it began.

    What has begun counts: whoever was told may have been without his service.
    """
    owner = acting.project(project, Scope.OPERATE)
    is_number = identity.isascii() and identity.isdecimal() and len(identity) < 19
    with writing():
        maintenances = Maintenance.objects.select_related("site").filter(site__project=owner)
        row = maintenances.filter(id=int(identity)).first() if is_number else None
        if row is None:
            raise NotFound(f"No maintenance '{identity}' is announced.", remedy="See `freehold site maintenance list`.")
        if row.begins_at <= clock.now():
            raise Conflict("It has begun: what was announced counts.", remedy="Let it end.")
        Maintenance.objects.filter(id=row.id).delete()
        detail = {"begins_at": row.begins_at, "ends_at": row.ends_at, "what": row.what}
        audit(acting.actor, "maintenance.withdraw", row.site_id, project=owner, **detail)
    return row

"""All writes about sites, nodes, supplies and certificates."""

import json
import secrets
from pathlib import Path

from django.conf import settings
from django.db import IntegrityError, connection

from freehold.master.catalog import queries as catalog
from freehold.master.catalog.events import SellingEnded
from freehold.master.catalog.models import Release
from freehold.master.fleet import authority, revisions
from freehold.master.fleet.models import Certificate, EnrolToken, Node, Site, Supply
from freehold.master.foundation import clock, events, ids
from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.people import quotas
from freehold.master.people.actions import NAME
from freehold.master.people.identity import Caller, Scope, digest
from freehold.master.people.quotas import Quota
from freehold.protocol.enrol import EnrolAnswer, Token
from freehold.protocol.problem import FieldError
from freehold.protocol.states import SoftwareWanted

TOKEN_HOURS = 24
MOST_CAPACITY = 2**31 - 1
MOST_SILENCE = 366 * 86400
"""Seconds that a site may expect its nodes to be silent."""
LEAST_LEASE, MOST_LEASE = 10, 30 * 86400
"""Seconds. A lease is worth having when it outlasts some heartbeats."""


def the_authority() -> authority.Authority:
    """Return this Master's certificate authority."""
    return authority.Authority(Path(settings.ROOT) / "authority")


def add_site(project: str, name: str, region: str = "", *, acting: Caller) -> Site:
    """Create a site; raise Conflict when the project has one of that name."""
    owner = acting.project(project, Scope.OPERATE)
    _check_name("name", name)
    site = Site(id=ids.new("site"), project_id=owner, name=name, region=region, created_at=clock.now())
    try:
        with writing():
            quotas.check(owner, Quota.SITES, Site.objects.filter(project=owner).count)
            site.save(force_insert=True)
            audit(acting.actor, "site.add", site.id, project=owner, name=name, region=region)
    except IntegrityError:
        raise Conflict(f"There is a site '{name}' already.") from None
    return site


def change_site(project: str, name: str, *, expected_silence: int, acting: Caller) -> Site:
    """Declare for how many seconds the nodes of a site may be silent without anybody being told: a flight, a ship."""
    owner = acting.project(project, Scope.OPERATE)
    if not 0 <= expected_silence <= MOST_SILENCE:
        rule = f"0 to {MOST_SILENCE} seconds"
        raise Invalid(
            f"An expected silence is {rule}.", errors=[FieldError("expected_silence", rule, expected_silence)]
        )
    # PostgreSQL refuses to be asked for a zero character, so no site has one.
    site = None if "\0" in name else Site.objects.filter(project=owner, name=name).first()
    if site is None:
        raise NotFound(f"There is no site '{name}'.", remedy="See `freehold site list`.")
    with writing():
        Site.objects.filter(id=site.id).update(expected_silence=expected_silence)
        audit(acting.actor, "site.change", site.id, project=owner, expected_silence=expected_silence)
    site.expected_silence = expected_silence
    return site


def make_enrol_token(project: str, site_name: str, *, acting: Caller) -> Token:
    """Return a one-time token with which one machine becomes a node of a site, valid for a day."""
    owner = acting.project(project, Scope.OPERATE)
    site = Site.objects.filter(project=owner, name=site_name).first()
    if site is None:
        raise NotFound(f"There is no site '{site_name}'.", remedy="Create it: freehold site add NAME.")
    secret = secrets.token_urlsafe(24)
    with writing():
        quotas.check(owner, Quota.ENROL_TOKENS, EnrolToken.objects.filter(project=owner, used_by=None).count)
        token = EnrolToken.objects.create(
            id=ids.new("enrol"),
            digest=digest(secret),
            project_id=owner,
            site=site,
            created_by_id=acting.person,
            expires_at=clock.now() + TOKEN_HOURS * 3600 * clock.SECOND,
        )
        audit(acting.actor, "node.token", token.id, project=owner, site=site.name)
    return Token(secret, the_authority().fingerprint())


def enrol(secret: str, title: str, signing_request: str) -> EnrolAnswer:
    """Use up a token: return the identity of the node that this machine becomes.

    A node of the same title in the same project is enrolled anew (a reinstalled machine): it keeps its
    instances, its former certificates are revoked, its reports start from 1 in a new epoch. Who asks again with the
    same token, title and key did not hear the answer, and is answered again.
    Raise Unauthenticated for a token that is unknown, used or expired.
    """
    _check_name("title", title)
    issuer = the_authority()
    with writing():
        revisions.take_turn()
        token = EnrolToken.objects.select_related("site").filter(digest=digest(secret)).first()
        if token is not None and token.used_by is not None and token.expires_at > clock.now():
            answer = _answer_again(token, issuer, title, signing_request)
            if answer is not None:
                return answer
        if token is None or token.used_by is not None or token.expires_at <= clock.now():
            reason = "unknown" if token is None else "already used" if token.used_by else "expired"
            raise Unauthenticated(
                f"This enrolment token is {reason}.",
                remedy="Ask the operator for a new one: freehold node token.",
            )
        node = Node.objects.filter(project=token.project_id, title=title).first()
        if node is None:
            quotas.check(token.project_id, Quota.NODES, Node.objects.filter(project=token.project_id).count)
            node = Node.objects.create(
                id=ids.new("node"),
                project_id=token.project_id,
                site=token.site,
                title=title,
                revision=revisions.next_revision(),
                created_at=clock.now(),
            )
        else:
            _revoke(kind="node", subject=node.id)
            node.epoch += 1
            # Whether this machine obeys a lease it has not said yet; and it is here: what was not moved away from the
            # one before, it begins.
            node.acknowledged_lease, node.lost_at, node.silent_since, node.stopped = 0, None, None, ""
            node.save(update_fields=["epoch", "acknowledged_lease", "lost_at", "silent_since", "stopped"])
            revisions.bump(node.id)
            sync_supplies(node.id)
        issued = issuer.sign_client(signing_request, kind="node", subject=node.id)
        _record("node", node.id, issued)
        # Guarded: of two machines with one token, one wins.
        if not EnrolToken.objects.filter(id=token.id, used_by=None).update(
            used_by=node.id, key=issued.key, epoch=node.epoch
        ):
            raise Unauthenticated("This enrolment token is already used.")
        audit(f"node:{node.id}", "node.enrol", node.id, project=token.project_id, title=title, epoch=node.epoch)
    return EnrolAnswer(node.id, node.epoch, issued.pem, issuer.pem)


def begin_epoch(node_id: str) -> int:
    """Give a node, whose store was lost or damaged, a new epoch for its reports; it keeps its certificate."""
    with writing():
        revisions.take_turn()
        node = Node.objects.select_for_update().get(id=node_id)
        node.epoch += 1
        node.save(update_fields=["epoch"])
        revisions.bump(node.id)
        audit(f"node:{node.id}", "node.epoch", node.id, project=node.project_id, epoch=node.epoch)
    return node.epoch


def _answer_again(
    token: EnrolToken, issuer: authority.Authority, title: str, signing_request: str
) -> EnrolAnswer | None:
    """Return the identity that a token gave, to the key that it was given to; None to anybody else.

    Nor to that one once the node was revoked, or enrolled anew by another token.
    """
    node = Node.objects.filter(id=token.used_by, title=title, epoch=token.epoch).first()
    if node is None or not Certificate.objects.filter(kind="node", subject=node.id, revoked_at=None).exists():
        return None
    issued = issuer.sign_client(signing_request, kind="node", subject=node.id)
    if issued.key != token.key:
        return None
    _record("node", node.id, issued)
    detail = {"kind": "node", "fingerprint": issued.fingerprint}
    audit(f"node:{node.id}", "certificate.issue", node.id, project=token.project_id, **detail)
    return EnrolAnswer(node.id, node.epoch, issued.pem, issuer.pem)


def renew(kind: str, subject: str, signing_request: str, *, actor: str) -> authority.Issued:
    """Return a new certificate for a node or an instance; the former ones stay valid until they end."""
    issued = the_authority().sign_client(signing_request, kind=kind, subject=subject)
    with writing():
        _record(kind, subject, issued)
        audit(actor, "certificate.issue", subject, kind=kind, fingerprint=issued.fingerprint)
    return issued


def revoke_node(node_id: str, project: str, *, acting: Caller) -> None:
    """Revoke every certificate of a node, effective at once; its services go on, but it is nobody here."""
    node = _own_node(node_id, project, acting)
    with writing():
        revisions.take_turn()
        _revoke(kind="node", subject=node.id)
        # What it built is not repeated either.
        Node.objects.filter(id=node.id).update(builder=False)
        revisions.bump(node.id)
        audit(acting.actor, "node.revoke", node.id, project=node.project_id)


def revoke_instance_certificates(instance: str) -> None:
    """Revoke the certificates of an instance that is gone; call it in the transaction that ends it."""
    _revoke(kind="instance", subject=instance)


def change_node(
    node_id: str,
    project: str,
    *,
    open: bool | None = None,
    builder: bool | None = None,
    labels: dict[str, str] | None = None,
    capacity: int | None = None,
    lease: int | None = None,
    acting: Caller,
) -> Node:
    """Open or close a node for new instances, trust its builds or not, set its labels, its capacity or its lease."""
    node = _own_node(node_id, project, acting)
    if lease is not None and lease and not LEAST_LEASE <= lease <= MOST_LEASE:
        rule = f"0, or {LEAST_LEASE} to {MOST_LEASE} seconds"
        raise Invalid(f"A lease is {rule}.", errors=[FieldError("lease", rule, lease)])
    if capacity is not None and not 0 <= capacity <= MOST_CAPACITY:
        raise Invalid(
            f"A capacity is 0 to {MOST_CAPACITY}.",
            errors=[FieldError("capacity", f"0 to {MOST_CAPACITY}", capacity)],
        )
    with writing():
        revisions.lock_clock()
        node = Node.objects.select_for_update().get(id=node.id)
        node.open = node.open if open is None else open
        node.builder = node.builder if builder is None else builder
        node.labels = node.labels if labels is None else json.dumps(labels, sort_keys=True)
        node.capacity = node.capacity if capacity is None else capacity
        if lease is not None and lease != node.lease:
            node.lease = lease
            node.revision = revisions.bump(node.id)
        node.save(update_fields=["open", "builder", "labels", "capacity", "lease"])
        sync_supplies(node.id)
        audit(
            acting.actor,
            "node.change",
            node.id,
            project=node.project_id,
            open=node.open,
            builder=node.builder,
            labels=node.labels,
            capacity=node.capacity,
        )
    return node


def supply(
    release: Release,
    node_ids: list[str],
    project: str,
    *,
    everyone: bool = True,
    wanted: SoftwareWanted = SoftwareWanted.AVAILABLE,
    acting: Caller,
) -> list[Supply]:
    """Say that a release may run on these nodes (they build it), or no longer may (they remove it).

    `everyone` opens it to all projects, for which the product must be this project's, or granted to it (Forbidden);
    otherwise it is open only to the one that owns the nodes. Raise Conflict when a release is to be removed from a
    node where an instance still uses it.
    """
    owner = acting.project(project, Scope.OPERATE)
    if everyone and wanted is SoftwareWanted.AVAILABLE and not catalog.may_offer(owner, release.product.name):
        raise Forbidden(
            f"'{release.product.name}' is another project's product, which '{project}' may not offer to everyone.",
            remedy="Supply it to your own project only, or ask its owner for a grant: freehold billing grant.",
        )
    nodes = {node.id: node for node in Node.objects.filter(project=owner, id__in=node_ids)}
    missing = [node for node in node_ids if node not in nodes]
    if missing:
        raise NotFound(f"No such node in '{project}': {', '.join(missing)}.", remedy="See `freehold node list`.")
    supplies = []
    with writing():
        revisions.take_turn()
        for node in nodes.values():
            if wanted is SoftwareWanted.REMOVED:
                _refuse_while_used(release, node)
            row = Supply.objects.filter(release=release, node=node).first()
            if row is None and wanted is SoftwareWanted.REMOVED:
                continue
            if row is None:
                quotas.check(owner, Quota.SUPPLIES, Supply.objects.filter(node__project=owner).count)
            row = row or Supply(id=ids.new("sup"), release=release, node=node, site_id=node.site_id)
            if row.revision is not None and row.wanted == wanted and row.beneficiary == ("" if everyone else owner):
                supplies.append(row)
                continue
            row.wanted = wanted.value
            row.beneficiary = "" if everyone else owner
            row.revision = revisions.bump(node.id)
            row.save()
            sync_supplies(node.id)
            supplies.append(row)
            audit(acting.actor, f"supply.{wanted}", row.id, project=owner, release=release.id, node=node.id)
    return supplies


def listen() -> None:
    """Hear of what the catalogue decides."""
    events.listen(SellingEnded, _close_supplies)


def _close_supplies(event: SellingEnded) -> None:
    """Have the nodes of who may offer a product to others no more run it for their own project only."""
    supplies = Supply.objects.filter(release__product=event.product, node__project=event.project, beneficiary="")
    supplies.update(beneficiary=event.project)


def sync_supplies(node: str) -> None:
    """Copy a node's free partitions and openness to its supplies; call it in the transaction that changed them."""
    run(revisions.SQL["sync_supplies"], node=node)


def _refuse_while_used(release: Release, node: Node) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM ordering_instance WHERE node_id = %s AND release_id = %s AND gone_at IS NULL)"
            # What moved away is still to be ended there, by hooks of its release.
            " + (SELECT count(*) FROM ordering_departure d JOIN ordering_instance i ON i.id = d.instance_id"
            " WHERE d.node_id = %s AND i.release_id = %s)",
            [node.id, release.id] * 2,
        )
        (count,) = cursor.fetchone()
    if count:
        raise Conflict(
            f"{count} instances on node '{node.title}' use this release.",
            remedy="Destroy them or change their release first.",
        )


def _own_node(node_id: str, project: str, acting: Caller) -> Node:
    owner = acting.project(project, Scope.OPERATE)
    node = (
        Node.objects.filter(id=node_id, project=owner).first()
        or Node.objects.filter(title=node_id, project=owner).first()
    )
    if node is None:
        raise NotFound(f"There is no node '{node_id}' in '{project}'.", remedy="See `freehold node list`.")
    return node


def _record(kind: str, subject: str, issued: authority.Issued) -> None:
    Certificate.objects.create(
        fingerprint=issued.fingerprint,
        kind=kind,
        subject=subject,
        not_after=issued.not_after,
        issued_at=clock.now(),
    )


def _revoke(*, kind: str, subject: str) -> None:
    Certificate.objects.filter(kind=kind, subject=subject, revoked_at=None).update(revoked_at=clock.now())


def _check_name(field: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            f"'{name}' cannot be a {field}.",
            errors=[FieldError(field, "1 to 63 lower-case letters, digits and dashes", name)],
        )

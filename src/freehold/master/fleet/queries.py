"""All reads of the fleet."""

import json
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Value, When

from freehold.master.fleet.models import Certificate, Node, Partition, Site, Supply
from freehold.master.foundation import certificates, clock
from freehold.master.foundation.errors import NotFound, Unauthenticated
from freehold.master.foundation.paging import ListPart, part_of

_FACTS = (
    "id", "title", "open", "builder", "cpus", "memory_mb", "disk_mb", "architecture", "system", "agent", "capacity",
    "used", "free", "labels", "protections", "promises", "lease", "lost_at", "silent_since", "stopped",
)  # fmt: skip

_OF_SITE = ("name", "region", "nodes", "expected_silence")


def sites(project: str, part: ListPart) -> list[dict[str, Any]]:
    """Return a part of the sites of a project, after a name, with their number of nodes, by name."""
    rows = Site.objects.filter(project=project).annotate(nodes=Count("node")).values(*_OF_SITE)
    return [dict(row) for row in part_of(rows, ("name",), "name", part)]


def count_sites(project: str) -> int:
    """Return how many sites a project has."""
    return Site.objects.filter(project=project).count()


def site(project: str, name: str) -> dict[str, Any]:
    """Return one site of a project, as `sites` does."""
    return dict(Site.objects.filter(project=project, name=name).annotate(nodes=Count("node")).values(*_OF_SITE).get())


def find_site(project: str, name: str) -> dict[str, Any]:
    """Return one site of a project, as `sites` does; raise NotFound."""
    # PostgreSQL refuses to be asked for a zero character, so no site has one.
    if "\0" in name or not Site.objects.filter(project=project, name=name).exists():
        raise NotFound(f"There is no site '{name}'.", remedy="See `freehold site list`.")
    return site(project, name)


def count_nodes(project: str) -> int:
    """Return how many nodes a project has."""
    return Node.objects.filter(project=project).count()


def node_titles(project: str, part: ListPart) -> list[dict[str, Any]]:
    """Return id and title of a part of the nodes of a project, by title."""
    rows = Node.objects.filter(project=project).values("id", "title")
    return [dict(row) for row in part_of(rows, ("title", "id"), "id", part)]


def node(project: str, **named: str) -> dict[str, Any]:
    """Return the node of a project with this `id` or `title`, as `nodes` does; raise NotFound."""
    (name,) = named.values()
    # PostgreSQL refuses to be asked for a zero character, so no node has one.
    nodes = [] if "\0" in name else _told(Node.objects.filter(project=project, **named))
    if not nodes:
        raise NotFound(f"There is no node '{name}'.", remedy="See `freehold node list`.")
    return nodes[0]


def nodes(project: str, part: ListPart) -> list[dict[str, Any]]:
    """Return a part, after the one with an id, of the nodes of a project with what they offer, by title."""
    return _told(part_of(Node.objects.filter(project=project), ("title", "id"), "id", part))


def _told(wanted: "QuerySet[Node, Node]") -> list[dict[str, Any]]:
    """Return nodes with what they offer and when they last reported."""
    rows = wanted.annotate(
        partitions=Count("partition", filter=Q(partition__present=True)), last_contact=F("chain__received_at")
    ).values(*_FACTS, "partitions", "last_contact", "site__name", "site__region", "site__expected_silence")
    return [
        {
            **row,
            "state": node_state(row),
            "site": row["site__name"],
            "region": row["site__region"],
            "labels": json.loads(row["labels"]),
            "protections": json.loads(row["protections"]),
            "promises": [
                {**promise, "since": clock.iso(promise.get("since"))} for promise in json.loads(row["promises"])
            ],
            "lost_at": clock.iso(row["lost_at"]),
            "silent_since": clock.iso(row["silent_since"]),
            "stopped": row["stopped"] or None,
            "expected_silence": row["site__expected_silence"],
            "last_contact": clock.iso(row["last_contact"]),
        }
        for row in rows
    ]


def node_state(row: dict[str, Any]) -> str:
    """Return what a node is now: new (never heard), lost, stopped (it said so), silent, closed or open."""
    if row["last_contact"] is None:
        return "new"
    if row["lost_at"] is not None:
        return "lost"
    if row["silent_since"] is not None:
        return "stopped" if row["stopped"] else "silent"
    return "open" if row["open"] else "closed"


def count_by_state() -> dict[str, int]:
    """Return how many nodes of this Master are in each state; one that was never heard counts as open or closed."""
    state = Case(
        When(lost_at__isnull=False, then=Value("lost")),
        When(silent_since__isnull=False, stopped="", then=Value("silent")),
        When(silent_since__isnull=False, then=Value("stopped")),
        When(open=True, then=Value("open")),
        default=Value("closed"),
    )
    return dict(Node.objects.annotate(state=state).values_list("state").annotate(number=Count("id")))


def protections(release: str, projects: list[str]) -> dict[str, dict[str, bool]]:
    """Return how customers are protected from each other where a release may be placed, by site.

    A protection holds on a site when it holds on every node of it that offers the release to one of the projects.
    """
    offered = Supply.objects.filter(release=release, wanted="available", open=True, beneficiary__in=["", *projects])
    supplied: dict[str, dict[str, bool]] = {}
    for site, text in offered.values_list("site__name", "node__protections").order_by("site__name").distinct():
        here = json.loads(text)
        known = supplied.setdefault(site, here)
        supplied[site] = {name: known.get(name, False) and here.get(name, False) for name in {**known, **here}}
    return supplied


def partitions(node: str) -> list[dict[str, Any]]:
    """Return the partitions of a node, in the order in which they are taken."""
    rows = Partition.objects.filter(node=node).order_by("number", "name")
    return [dict(row) for row in rows.values("name", "address", "present", "instance")]


def supply(project: str, identity: str) -> dict[str, Any]:
    """Return one of the supplies of a project's nodes; raise NotFound."""
    rows = supplies(project, [identity])
    if not rows:
        raise NotFound("There is no such supply.", remedy="See `freehold supply`.")
    return rows[0]


def node_ids(project: str, names: list[str], site: str | None) -> list[str]:
    """Return the ids of nodes given by id or title, or of all on a site, or of all; raise NotFound."""
    rows = Node.objects.filter(project=project)
    if site is not None:
        if not Site.objects.filter(project=project, name=site).exists():
            raise NotFound(f"There is no site '{site}'.", remedy="See `freehold site list`.")
        rows = rows.filter(site__name=site)
    if not names:
        return list(rows.values_list("id", flat=True))
    named = list(rows.filter(Q(id__in=names) | Q(title__in=names)).only("id", "title"))
    known = {**{node.title: node.id for node in named}, **{node.id: node.id for node in named}}
    missing = [name for name in names if name not in known]
    if missing:
        raise NotFound(f"There is no node '{missing[0]}'.", remedy="See `freehold node list`.")
    return [known[name] for name in names]


def supplies(project: str, ids: list[str] | None = None, *, part: ListPart | None = None) -> list[dict[str, Any]]:
    """Return what the nodes of a project are supplied with, and what they made of it.

    All of it, or those with these ids, or a part after the one with an id.
    """
    wanted = Supply.objects.filter(node__project=project)
    rows = (wanted if ids is None else wanted.filter(id__in=ids)).select_related("release__product", "node")
    order = ("release__product__name", "release__version", "node__title", "id")
    return [
        {
            "id": row.id,
            "product": row.release.product.name,
            "release": row.release.version,
            "node": row.node.title,
            "wanted": row.wanted,
            "observed": row.observed,
            "message": row.message,
            "observed_at": row.observed_at,
            "everyone": not row.beneficiary,
        }
        for row in (part_of(rows, order, "id", part) if part else rows.order_by(*order))
    ]


def identify(fingerprint: str | None, kind: str, *, renewing: bool = False) -> str:
    """Return the node or instance that a client certificate speaks for; with `renewing` also one that is over.

    Raise Unauthenticated when there is none, or it is unknown, revoked or over; Forbidden when it is of the
    other kind.
    """
    if fingerprint is None:
        raise Unauthenticated(f"This needs the client certificate of a {kind}.")
    row = Certificate.objects.filter(fingerprint=fingerprint).first()
    if row is None:
        raise Unauthenticated("This certificate was not issued here.", remedy="Enrol the node: freehold node enrol.")
    certificates.check(row.kind, kind, row.not_after, row.revoked_at, renewing=renewing)
    return row.subject

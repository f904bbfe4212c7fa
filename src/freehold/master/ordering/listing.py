"""Reads for lists that people look through: a page of instances, what can be ordered, who lives on a node."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Count

from freehold.master.foundation import clock, sql
from freehold.master.foundation.transactions import run
from freehold.master.ordering import queries
from freehold.master.ordering.models import Instance
from freehold.master.ordering.status import STARTING_MS, TROUBLE

PAGE = 50
"""Rows on a page."""
MOST_RELEASES = 200
"""Releases of a product from which one is chosen."""
LISTING = sql.load(Path(__file__).parent / "sql" / "listing.sql")


@dataclass(frozen=True)
class ListPage:
    """Some of the rows that were looked for."""

    rows: list[dict[str, Any]]
    number: int
    pages: int
    total: int


def page(projects: list[str], *, text: str = "", state: str = "", number: int = 1, broken: str = "FALSE") -> ListPage:
    """Return a page of the instances of projects that are not gone, by title.

    `text` is a part of a title or product. Without it only roots of trees are listed; with it, or of what is in
    trouble, what is below them is found too. `state` may be `trouble`: failed, unreachable, or started for more than
    a minute and `broken`, which is a condition on `i` of the room that knows promises. Two queries, however many
    there are.
    """
    conditions, values = _in("i.project_id", projects)
    conditions += " AND i.gone_at IS NULL"
    if text:
        conditions += " AND (lower(i.title) LIKE :text ESCAPE '!' OR lower(i.product) LIKE :text ESCAPE '!')"
        escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        values["text"] = f"%{escaped}%"
    elif state != TROUBLE:
        conditions += " AND i.parent IS NULL"
    if state == TROUBLE:
        conditions += (
            " AND (i.state IN ('failed', 'unreachable')"
            f" OR (i.state = 'started' AND i.observed_at < :settled AND {broken}))"
        )
        values["settled"] = clock.now() - STARTING_MS
    elif state:
        conditions += " AND i.state = :state"
        values["state"] = state
    query = LISTING["in_state" if state else "all"].where(
        f"{conditions} ORDER BY i.title, i.id LIMIT :most OFFSET :start"
    )
    rows = run(query, **values, most=PAGE, start=(number - 1) * PAGE) if projects else []
    total = rows[0]["total"] if rows else 0
    return ListPage(queries.by_ids([row["id"] for row in rows]), number, max(1, -(-total // PAGE)), total)


def unfinished(provider: str, before: int, most: int) -> tuple[list[tuple[str, dict[str, Any]]], int]:
    """Return the instances on the nodes of a project that are not as wanted since before a moment (milliseconds).

    Each with its state, the longest first, so many at most; and how many there are in all. Those that failed at once;
    without those whose node is not heard. Two queries.
    """
    condition = (
        "i.node_id IN (SELECT n.id FROM fleet_node n WHERE n.project_id = :provider) AND i.gone_at IS NULL"
        " AND i.state NOT IN ('started', 'stopped', 'unreachable', 'destroyed')"
        " AND (i.state = 'failed' OR i.changed_at < :before) AND NOT EXISTS"
        " (SELECT 1 FROM fleet_node n WHERE n.id = i.node_id AND n.silent_since IS NOT NULL)"
        " ORDER BY i.changed_at, i.id LIMIT :most"
    )
    in_state = run(LISTING["in_state"].where(condition), provider=provider, before=before, most=most)
    states = {row["id"]: row["state"] for row in in_state}
    rows = queries.by_ids(list(states))
    return [(states[row["id"]], row) for row in rows], in_state[0]["total"] if in_state else 0


def states_on(node: str) -> dict[str, str]:
    """Return the state of each instance that lives on a node, by id."""
    rows = run(LISTING["in_state"].where("i.node_id = :node AND i.gone_at IS NULL"), node=node)
    return {row["id"]: row["state"] for row in rows}


def on_node(node: str) -> dict[str, list[dict[str, Any]]]:
    """Return who lives on a node, by partition."""
    by_node: dict[str, list[dict[str, Any]]] = {}
    for row in run(LISTING["on_node"], node=node):
        by_node.setdefault(row["partition"], []).append(row)
    return by_node


def products(projects: list[str], *, number: int = 1) -> ListPage:
    """Return a page of the products that some node offers to one of these projects, by name, each with its newest
    release that is offered.
    """
    beneficiaries, values = _in("s.beneficiary", ["", *projects])
    rows = run(
        LISTING["offered"].where(
            "r.id = (SELECT o.id FROM catalog_release o WHERE o.product_id = p.id AND EXISTS"
            " (SELECT 1 FROM fleet_supply s WHERE s.release_id = o.id AND s.wanted = 'available' AND"
            f" {beneficiaries}) ORDER BY o.published_at DESC, o.version DESC LIMIT 1)"
            " ORDER BY p.name LIMIT :most OFFSET :start"
        ),
        most=PAGE,
        start=(number - 1) * PAGE,
        **values,
    )
    total = rows[0]["total"] if rows else 0
    return ListPage(rows, number, max(1, -(-total // PAGE)), total)


def releases(projects: list[str], product: str) -> list[dict[str, Any]]:
    """Return the releases of a product that some node offers to one of these projects, the newest first.

    At most `MOST_RELEASES`: who wants an older one names it.
    """
    beneficiaries, values = _in("s.beneficiary", ["", *projects])
    return run(
        LISTING["offered"].where(
            "p.name = :product AND EXISTS (SELECT 1 FROM fleet_supply s WHERE s.release_id = r.id"
            f" AND s.wanted = 'available' AND {beneficiaries})"
            " ORDER BY r.published_at DESC, r.version DESC LIMIT :most"
        ),
        product=product,
        most=MOST_RELEASES,
        **values,
    )


def count_by_wanted() -> dict[str, int]:
    """Return how many living instances of this Master are wanted started, stopped or destroyed."""
    return dict(Instance.objects.filter(gone_at=None).values_list("wanted").annotate(number=Count("id")))


def _in(column: str, values: list[str]) -> tuple[str, dict[str, Any]]:
    names = {f"one_{number}": value for number, value in enumerate(values)}
    return f"{column} IN ({', '.join(f':{name}' for name in names)})", dict(names)

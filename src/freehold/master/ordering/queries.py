"""All reads of orders: what there is, without its promises (monitoring adds those)."""

import json
from pathlib import Path
from typing import Any

from freehold.master.foundation import sql
from freehold.master.foundation.errors import NotFound
from freehold.master.foundation.paging import ListPart
from freehold.master.foundation.transactions import run
from freehold.master.ordering.models import Instance
from freehold.protocol.order import FREE_TEXT

QUERIES = sql.load(Path(__file__).parent / "sql" / "instances.sql", prepared=True)
_SHOW = QUERIES["show"]


def by_title(project: str, title: str) -> dict[str, Any]:
    """Return the live instance of a title, or the one destroyed last; raise NotFound when there never was one."""
    rows = _where(
        "i.project_id = :project AND i.title = :title"
        " ORDER BY CASE WHEN i.wanted = 'destroyed' THEN 1 ELSE 0 END, i.created_at DESC LIMIT 1",
        project=project,
        title=title,
    )
    if not rows:
        raise NotFound(f"There is no '{title}' in this project.")
    return rows[0]


def by_id(instance: str) -> dict[str, Any]:
    """Return one instance; raise NotFound."""
    rows = _where("i.id = :instance", instance=instance)
    if not rows:
        raise NotFound(f"There is no instance '{instance}'.")
    return rows[0]


def seed(instance: str) -> str:
    """Return that from which an instance's secrets derive; it is told to nobody but its node."""
    return str(Instance.objects.values_list("seed", flat=True).get(id=instance))


MOST_ASKED = 50
"""Requests of one instance that are shown."""
MOST_BELOW = 2000
"""Instances that `below` returns."""


def in_projects(projects: list[str], part: ListPart) -> list[dict[str, Any]]:
    """Return a part of the instances of projects that are not gone, by id, after an id."""
    if not projects:
        return []
    names = {f"project_{number}": project for number, project in enumerate(projects)}
    places = ", ".join(f":{name}" for name in names)
    return _where(
        f"i.project_id IN ({places}) AND i.gone_at IS NULL AND i.id > :after ORDER BY i.id LIMIT :limit",
        after=part.after,
        limit=part.most,
        **names,
    )


def by_ids(ids: list[str]) -> list[dict[str, Any]]:
    """Return these instances, in this order; without those that are not there."""
    if not ids:
        return []
    names = {f"id_{number}": identity for number, identity in enumerate(ids)}
    rows = {row["id"]: row for row in _where(f"i.id IN ({', '.join(f':{name}' for name in names)})", **names)}
    return [rows[identity] for identity in ids if identity in rows]


def is_there(project: str, title: str) -> bool:
    """Whether a project has a living instance of this title."""
    return bool(run(QUERIES["live"], project=project, title=title))


def below(row: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """Return the first living instances below one, at every depth, by title, and how many more there are."""
    values = {"tree": row["tree"], "prefix": f"{row['title']}/", "length": len(row["title"]) + 1}
    rows = _where(f"{_BELOW} ORDER BY i.title, i.id LIMIT :most", **values, most=MOST_BELOW)
    if len(rows) < MOST_BELOW:
        return rows, 0
    return rows, run(QUERIES["count_below"].where(_BELOW), **values)[0]["number"] - len(rows)


def part_below(row: dict[str, Any], part: ListPart) -> list[dict[str, Any]]:
    """Return a part of the living instances below one, at every depth, by id, after an id."""
    values = {"tree": row["tree"], "prefix": f"{row['title']}/", "length": len(row["title"]) + 1}
    return _where(f"{_BELOW} AND i.id > :after ORDER BY i.id LIMIT :most", **values, after=part.after, most=part.most)


def all_below(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the living instances below each of some, at every depth, by the id of what they are below.

    Without those that nobody requests any more and that are not to be destroyed yet. One query for 500 trees.
    """
    trees = sorted({row["tree"] for row in rows})
    instances = []
    for start in range(0, len(trees), 500):
        names = {f"tree_{number}": tree for number, tree in enumerate(trees[start : start + 500])}
        instances += _where(
            f"i.tree IN ({', '.join(f':{name}' for name in names)}) AND i.parent IS NOT NULL AND i.gone_at IS NULL"
            " AND (i.orphaned_at IS NULL OR i.wanted = 'destroyed')",
            **names,
        )
    ids = {(row["tree"], row["title"]): row["id"] for row in rows}
    parts: dict[str, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
    for part in instances:
        title = part["title"]
        while title := title.rpartition("/")[0]:
            if (above := ids.get((part["tree"], title))) is not None:
                parts[above].append(part)
    return parts


_BELOW = (
    "i.tree = :tree AND i.gone_at IS NULL AND i.wanted <> 'destroyed' "
    "AND substr(i.title, 1, CAST(:length AS integer)) = :prefix"
)


def offer(instance: str) -> dict[str, Any] | None:
    """Return to whom a host offers its places and how many are left; None for an instance that is none."""
    rows = run(QUERIES["offered"], host=instance)
    if not rows:
        return None
    return {"offered_to": "project" if rows[0]["beneficiary"] else "everyone", "free": rows[0]["free"]}


def history(instance: str, most: int = MOST_ASKED) -> tuple[list[dict[str, Any]], bool]:
    """Return what was asked of an instance, the newest first, and whether there is more, which is older."""
    rows = run(QUERIES["history"], instance=instance, most=most + 1)
    shown = [{**row, "parameters": json.loads(row["parameters"])} for row in rows[:most]]
    return shown, len(rows) > most


def _where(condition: str, **values: object) -> list[dict[str, Any]]:
    rows = run(_SHOW.where(condition), **values)
    for row in rows:
        row["parameters"] = json.loads(row["parameters"])
        row["constraints"] = json.loads(row["constraints"])
        row["size"] = json.loads(row["size"])
        row["promises"] = json.loads(row["promises"] or "[]")
        row["processes"] = json.loads(row["processes"] or "[]")
        row["published"] = json.loads(row["published"] or "{}")
        row["free_text"] = {name: row.pop(name) or "" for name in FREE_TEXT}
    return rows

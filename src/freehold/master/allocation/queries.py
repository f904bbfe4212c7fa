"""Finding a place for an instance, without looking at all nodes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from freehold.master.allocation.choice import Candidate, Constraints, Needs, Placement, explain, rank
from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run
from freehold.protocol.problem import Reason

QUERIES = sql.load(Path(__file__).parent / "sql" / "candidates.sql", prepared=True)

_SUPPLIED = "s.release_id = :release AND s.beneficiary = :beneficiary AND s.open AND s.free > 0"
_AFTER = {
    # The next of the index after a (free, node) seen before.
    Placement.SPREAD: "(s.free, s.node_id) < (:free, :node) ORDER BY s.free DESC, s.node_id DESC LIMIT :limit",
    Placement.PACK: "(s.free, s.node_id) > (:free, :node) ORDER BY s.free, s.node_id LIMIT :limit",
}
ANYWHERE = {placement: QUERIES["candidates"].where(f"{_SUPPLIED} AND {after}") for placement, after in _AFTER.items()}
ON_SITE = {
    placement: QUERIES["candidates"].where(f"{_SUPPLIED} AND s.site_id = :site AND {after}")
    for placement, after in _AFTER.items()
}
ON_NODE = QUERIES["candidates"].where(f"{_SUPPLIED} AND n.id = :node")

_PAGES = (4, 64, 512)
"""How many candidates are read at a time: the first of them nearly always fits."""
_MOST_EXPLAINED = 5000
MOST_PUT_OFF = 512


def places(release: str, project: str, constraints: Constraints, needs: Needs) -> Iterator[Candidate]:
    """Yield nodes for an instance, best first, reading the index only as far as the caller goes.

    Where the release could not be built is looked at last; after `MOST_PUT_OFF` of those, as they come.
    """
    if constraints.node:
        rows = [
            row
            for node in _meant("nodes", constraints.node, release, project)
            for beneficiary in ("", project)
            for row in run(ON_NODE, release=release, beneficiary=beneficiary, node=node)
        ]
        yield from rank(map(_candidate, rows), constraints, needs)
        return
    put_off: list[Candidate] = []
    for candidates in _pages(release, project, constraints):
        for candidate in rank(candidates, constraints, needs):
            if candidate.failed and len(put_off) < MOST_PUT_OFF:
                put_off.append(candidate)
            else:
                yield candidate
    yield from put_off


def why_not(release: str, project: str, constraints: Constraints, needs: Needs) -> list[Reason]:
    """Return every reason why no node takes the instance."""
    (row,) = run(QUERIES["overview"], release=release, beneficiary=project)
    if not row["supplies"]:
        return [Reason("no node offers this release to this project: there is no supply for it")]
    reasons = [
        Reason(words, row[column])
        for column, words in (
            ("leaving", "the release is being removed there"),
            ("closed", "closed for new instances"),
            ("silent", "is not heard at the moment"),
            ("no_capacity", "has no capacity left"),
            ("no_partition", "has no free partition"),
        )
        if row[column]
    ]
    anywhere = Constraints(placement=constraints.placement)
    seen: list[Candidate] = []
    for candidates in _pages(release, project, anywhere):
        seen.extend(candidates)
        if len(seen) >= _MOST_EXPLAINED:
            break
    return explain(seen, constraints, needs) + reasons


def _pages(release: str, project: str, constraints: Constraints) -> Iterator[list[Candidate]]:
    """Yield pages of candidates in the order of the placement, public and private supplies merged."""
    spread = constraints.placement is Placement.SPREAD
    query = (ON_SITE if constraints.site else ANYWHERE)[constraints.placement]
    start = (2**31 - 1, "~") if spread else (0, "")
    sites = _meant("sites", constraints.site, release, project) if constraints.site else [""]
    # One walk along the index for each kind of supply, and site of that name.
    after: dict[tuple[str, str], tuple[int, str] | None] = {
        (beneficiary, site): start for beneficiary in ("", project) for site in sites
    }
    for limit in _growing():
        page: list[Candidate] = []
        for (beneficiary, site), position in after.items():
            if position is None:
                continue
            values: dict[str, object] = {"site": site} if site else {}
            rows = run(
                query,
                release=release,
                beneficiary=beneficiary,
                free=position[0],
                node=position[1],
                limit=limit,
                **values,
            )
            page.extend(map(_candidate, rows))
            last = (rows[-1]["free"], rows[-1]["node"]) if len(rows) == limit else None
            after[beneficiary, site] = last
        if page:
            yield page
        if not any(after.values()):
            return


def _meant(query: str, name: str, release: str, project: str) -> list[str]:
    """Return the ids that a name of a node or site means to a project: nobody takes a name by having it, too."""
    rows = run(QUERIES[query], name=name, release=release, project=project)
    return [row["id"] for row in rows if row["distance"] == rows[0]["distance"]]


def _growing() -> Iterator[int]:
    yield from _PAGES
    while True:
        yield _PAGES[-1]


def _candidate(row: dict[str, Any]) -> Candidate:
    labels = row.pop("labels")
    observed = row.pop("observed")
    return Candidate(
        labels=json.loads(labels) if labels != "{}" else {},
        built=observed == "available",
        failed=observed == "failed",
        **row,
    )

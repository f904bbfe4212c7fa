"""All reads of promises, and the whole picture of an instance."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from freehold.master.foundation import clock, sql
from freehold.master.foundation.paging import ListPart, part_of
from freehold.master.foundation.transactions import run
from freehold.master.monitoring.availability import SPEAKS, Availability, Span, each_of
from freehold.master.monitoring.models import Maintenance
from freehold.master.ordering import cluster_reports
from freehold.master.ordering import queries as ordering
from freehold.master.ordering.rollout import Sight
from freehold.master.ordering.status import ReportedState, Status, clustered, hosted, status, whole
from freehold.protocol.states import Wanted

SQL = sql.load(Path(__file__).parent / "sql" / "assessments.sql")
_RESULTS = SQL["results"]
LOOK_BACK = 200
"""Results of each promise in which changes are looked for."""
MOST_PROMISES, MOST_CHANGES = 50, 20
BROKEN = (
    "EXISTS (SELECT 1 FROM monitoring_assessment a"
    " WHERE a.instance_id = i.id AND NOT a.kept AND a.revision >= i.revision"
    " AND a.id = (SELECT max(b.id) FROM monitoring_assessment b WHERE b.instance_id = i.id AND b.promise = a.promise))"
)
"""The condition that a promise of the instance `i` was not kept when it was checked last."""


@dataclass(frozen=True)
class Picture:
    """An instance's row (as `ordering.queries` gives it), its promises and its status."""

    row: dict[str, Any]
    results: list[ReportedState]
    status: Status
    maintenances: list[Maintenance]
    """Announced for its site and not over, what begins first first."""


def pictures(rows: Iterable[dict[str, Any]]) -> list[Picture]:
    """Complete rows of `ordering.queries` with bounded queries, however many rows there are."""
    rows = list(rows)
    below = ordering.all_below(rows)
    shown = {row["id"]: row for row in [*rows, *(part for parts in below.values() for part in parts)]}
    hosts = {row["host"] for row in shown.values() if row["host"] is not None} - shown.keys()
    known = shown | {row["id"]: row for row in ordering.by_ids(sorted(hosts))}
    results, now = latest(list(known)), clock.now()
    own = {row["id"]: _status(row, results[row["id"]], now) for row in known.values()}
    for row in shown.values():
        if row["host"] is not None:
            own[row["id"]] = hosted(own[row["id"]], own[row["host"]])
    for instance, reports in cluster_reports.reports(list(shown)).items():
        own[instance] = clustered(own[instance], reports.is_settled, reports.is_stuck, reports.message)
    announced = coming({row["site_id"] for row in rows if row["gone_at"] is None})
    return [
        Picture(
            row,
            results[row["id"]],
            whole(own[row["id"]], {part["title"]: own[part["id"]] for part in below[row["id"]]}),
            announced.get(row["site_id"], []),
        )
        for row in rows
    ]


def ready_among(instances: list[str]) -> set[str]:
    """Return those of some instances (ids) that are started and ready, with all below them."""
    shown_now = pictures(ordering.by_ids(instances))
    return {picture.row["id"] for picture in shown_now if picture.status.state == "started" and picture.status.ready}


def sights(instances: list[str]) -> dict[str, Sight]:
    """Return what is known of instances (ids) with all below them, as far as changing them one at a time goes."""
    return {picture.row["id"]: _sight(picture) for picture in pictures(ordering.by_ids(instances))}


def _sight(picture: Picture) -> Sight:
    row, status = picture.row, picture.status
    # A failure of before the last change says nothing of that.
    is_of_now = (row["observed_revision"] or 0) >= row["revision"] or row["software"] == "failed"
    return Sight(
        is_ready=status.ready and status.state in ("started", "stopped"),
        is_failed=status.state == "failed" and is_of_now,
        is_heard=status.state != "unreachable",
        message=status.message,
    )


def coming(sites: set[str]) -> dict[str, list[Maintenance]]:
    """Return what is announced for sites (ids) and not over, by site, what begins first first."""
    maintenances: dict[str, list[Maintenance]] = {}
    if sites:
        rows = Maintenance.objects.filter(site__in=sites, ends_at__gt=clock.now())
        for row in rows.order_by("begins_at", "id"):
            maintenances.setdefault(row.site_id, []).append(row)
    return maintenances


def maintenances(project: str, part: ListPart) -> list[Maintenance]:
    """Return a part of what was announced for the sites of a project (id), what begins last first."""
    rows = Maintenance.objects.filter(site__project=project).select_related("site")
    return list(part_of(rows, ("-begins_at", "-id"), "id", part))


def maintenances_of(project: str, site: str) -> list[Maintenance]:
    """Return what is announced for a site of a project (its id), and not over."""
    rows = Maintenance.objects.filter(site__project=project, site__name=site, ends_at__gt=clock.now())
    return list(rows.order_by("begins_at", "id"))


def latest(instances: list[str]) -> dict[str, list[ReportedState]]:
    """Return the last result of each promise, by instance."""
    states: dict[str, list[ReportedState]] = defaultdict(list)
    for start in range(0, len(instances), 500):
        part = instances[start : start + 500]
        names = {f"instance_{number}": instance for number, instance in enumerate(part)}
        places = ", ".join(f":{name}" for name in names)
        query = _RESULTS.where(
            f"id IN (SELECT max(id) FROM monitoring_assessment WHERE instance_id IN ({places})"
            " GROUP BY instance_id, promise) ORDER BY instance_id, promise"
        )
        for row in run(query, **names):
            instance = row.pop("instance_id")
            states[instance].append(ReportedState(**{**row, "kept": bool(row["kept"])}))
    return states


def _status(row: dict[str, Any], results: list[ReportedState], now: int) -> Status:
    known = status(
        Wanted(row["wanted"]),
        row["revision"],
        gone=row["gone_at"] is not None,
        observed=row["observed"],
        observed_revision=row["observed_revision"],
        observed_at=row["observed_at"],
        message=row["message"],
        promises=row["promises"],
        results=results,
        software=row["software"],
        software_message=row["software_message"],
        now=now,
        suspended=row["suspended_at"] is not None,
        barred=row["barred"] or "",
        last_heard=row["silent_since"],
        stopped=row["stopped"],
    )
    return replace(known, ends_at=row["ends_at"])


def changes(instance: str, promises: list[str]) -> tuple[list[ReportedState], bool]:
    """Return when promises of an instance began to be kept or broken, the newest first, as far as one looks back.

    And whether there may be more than that.
    """
    if not promises:
        return [], False
    names = {f"promise_{number}": promise for number, promise in enumerate(promises[:MOST_PROMISES])}
    ids = " UNION ALL ".join(
        f"SELECT id FROM (SELECT id FROM monitoring_assessment WHERE instance_id = :instance AND promise = :{name}"
        f" ORDER BY id DESC LIMIT {LOOK_BACK}) of_{name}"
        for name in names
    )
    rows = run(_RESULTS.where(f"id IN ({ids}) ORDER BY promise, id"), instance=instance, **names)
    results = [
        ReportedState(row["promise"], row["revision"], bool(row["kept"]), row["message"], row["at"]) for row in rows
    ]
    earlier = zip([None, *results], results, strict=False)
    begun = [
        result
        for before, result in earlier
        if (before and (before.promise, before.kept)) != (result.promise, result.kept)
    ]
    most = max(Counter(result.promise for result in results).values(), default=0)
    is_cut = len(promises) > MOST_PROMISES or most >= LOOK_BACK or len(begun) > MOST_CHANGES
    return sorted(begun, key=lambda result: result.at, reverse=True)[:MOST_CHANGES], is_cut


def available(instance: str, span: Span) -> Availability:
    """Return how long an instance kept its promises in a time (milliseconds)."""
    return available_in(instance, [span])[0]


def available_in(instance: str, spans: list[Span]) -> list[Availability]:
    """Return how long an instance kept its promises in each of some spans (milliseconds), which follow each other."""
    begin, end = spans[0][0], spans[-1][1]
    results: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for row in run(SQL["told"], instance=instance, since=begin - SPEAKS, end=end):
        results[row["promise"]].append((row["at"], bool(row["kept"])))
    left_out = [
        (row["begins_at"], row["ends_at"]) for row in run(SQL["maintenances"], instance=instance, begin=begin, end=end)
    ]
    silent = run(SQL["silent_since"], instance=instance)
    heard_until = silent[0]["since"] if silent else None
    return each_of(spans, results, [*left_out, *_not_wanted(instance, end)], heard_until=heard_until)


def _not_wanted(instance: str, end: int) -> list[Span]:
    """Return the times in which an instance was asked to be stopped, or not asked for at all."""
    spans, since = [], 0
    wanted = False
    for row in run(SQL["asked"], instance=instance, end=end):
        starts = row["requested_state"] == Wanted.STARTED
        if starts and not wanted:
            spans.append((since, row["at"]))
        elif wanted and not starts:
            since = row["at"]
        wanted = starts
    return spans if wanted else [*spans, (since, end)]

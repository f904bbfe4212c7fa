"""What is to be said of clusters, of which nobody but their members' parents is told."""

from dataclasses import dataclass

from freehold.master.foundation.transactions import run
from freehold.master.ordering.clusters import SQL


@dataclass(frozen=True)
class ClusterReport:
    """What is to be said of the clusters of an instance."""

    is_settled: bool
    is_stuck: bool
    message: str


def reports(parents: list[str]) -> dict[str, ClusterReport]:
    """Return what is to be said of the clusters of instances, by id; nothing of those that have none."""
    reports: dict[str, ClusterReport] = {}
    for start in range(0, len(parents), 500):
        names = {f"parent_{number}": parent for number, parent in enumerate(parents[start : start + 500])}
        places = ", ".join(f":{name}" for name in names)
        for row in run(SQL["said"].where(f"c.parent_id IN ({places}) ORDER BY c.name"), **names):
            before = reports.get(row["parent"], ClusterReport(True, False, ""))
            words = [before.message, row["trouble"], row["message"], row["notice"]]
            reports[row["parent"]] = ClusterReport(
                before.is_settled and bool(row["is_settled"]),
                before.is_stuck or bool(row["trouble"]),
                "\n".join(filter(None, words)),
            )
    return reports

"""All reads of consumption."""

from pathlib import Path

from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run

COUNTERS = ("cpu_ms", "memory_mb_s", "disk_mb_s", "network_in", "network_out")
_SQL = sql.load(Path(__file__).parent / "sql" / "usage.sql")


def so_far(instance: str) -> dict[str, int | None]:
    """Return what an instance used since it was placed; None for what its node cannot measure."""
    rows = run(_SQL["so_far"], instance=instance)
    return rows[0] if rows else dict.fromkeys(COUNTERS)

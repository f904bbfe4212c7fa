"""All reads of consumption."""

from pathlib import Path

from freehold.master.foundation import sql
from freehold.master.foundation.transactions import run

_SQL = sql.load(Path(__file__).parent / "sql" / "usage.sql")


def so_far(instance: str) -> dict[str, int | None]:
    """Return what an instance used since it was placed; None for what its node cannot measure."""
    return run(_SQL["so_far"], instance=instance)[0]

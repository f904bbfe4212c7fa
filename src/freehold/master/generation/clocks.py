"""Whether this Master's clock is contradicted by those of its nodes, and what it does not do while it is."""

from pathlib import Path

from freehold.master.foundation import sql
from freehold.master.foundation.errors import WrongClock
from freehold.master.foundation.transactions import run

_SQL = sql.load(Path(__file__).parent / "sql" / "generation.sql", prepared=True)
_UNITS = ((24 * 3600 * 1000, "days"), (3600 * 1000, "hours"))
WAY_ON = "Set the clock of its machine right, and keep it right by NTP; it goes on by itself then."


def contradiction() -> str:
    """Return what the clocks of most nodes say against this Master's, as last seen; an empty text: nothing."""
    rows = run(_SQL["comparison"])
    if not rows or not rows[0]["ahead"]:
        return ""
    ahead, nodes = rows[0]["ahead"], rows[0]["nodes"]
    size, unit = next((scale for scale in _UNITS if abs(ahead) >= 2 * scale[0]), _UNITS[-1])
    direction = "ahead of" if ahead > 0 else "behind"
    clocks = f"the clocks of most of the {nodes} nodes that keep theirs right"
    return f"The clock of this Master is {abs(ahead) / size:.1f} {unit} {direction} {clocks}"


def is_agreed() -> bool:
    """Return whether the clocks of most nodes, as heard since this Master started, agree with its own."""
    return any(row["is_agreed"] for row in run(_SQL["comparison"]))


def refuse_wrong_clock() -> None:
    """Raise WrongClock while the clock is contradicted: what is dated by it cannot be undone."""
    if message := contradiction():
        raise WrongClock(f"{message}.")

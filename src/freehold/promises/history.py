"""What a promise remembers between its checks: numbers by time, in a small file."""

import json
import os
from pathlib import Path

DAY = 86400.0
MOST = 300


class Samples:
    """Numbers of the last day. What cannot be read or written is as if it were not there."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        try:
            self._rows: list[tuple[float, float]] = [
                (float(at), float(value)) for at, value in json.loads(self._path.read_text())
            ]
        except (OSError, ValueError, TypeError):
            self._rows = []

    def add(self, at: float, value: float) -> None:
        """Remember a number; those older than a day are forgotten."""
        self._rows = [*[row for row in self._rows if at - DAY <= row[0] < at][-MOST:], (at, value)]
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            new.write_text(json.dumps(self._rows))
            os.replace(new, self._path)
        except OSError:
            pass

    def predicted(self, seconds: float) -> float | None:
        """Return the number in so many seconds if it goes on as on a straight line (least squares).

        None: not known yet. At least an hour of at least five numbers is needed.
        """
        if len(self._rows) < 5 or self._rows[-1][0] - self._rows[0][0] < 3600:
            return None
        count = len(self._rows)
        mean_at, mean = (sum(row[place] for row in self._rows) / count for place in (0, 1))
        spread = sum((at - mean_at) ** 2 for at, _ in self._rows)
        slope = sum((at - mean_at) * (value - mean) for at, value in self._rows) / spread
        return self._rows[-1][1] + slope * seconds

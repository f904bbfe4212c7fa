"""`./dev test`: every check and every test, on SQLite and on a real PostgreSQL.

./dev test             everything
./dev test --fast      style, types, and the tests on SQLite without the journeys
./dev test PATH …      only pytest, with these options, on SQLite
"""

import os
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
ON_POSTGRESQL = ["tests/unit/master", "tests/contract", "tests/journeys", "tests/browser"]
"""Whatever has a Master in it; the rest does not know of databases."""
SLOW_WITHOUT_NEWS = ["cache", "failpoints", "harsh", "walk", "weather", "wrong_profiles"]
"""Journeys that are long, and tell nothing of the database."""
CHECKS = {
    "style": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "walls": [BIN / "lint-imports"],
    "types": [BIN / "mypy"],
}


def main(arguments: list[str]) -> int:
    """Run what was asked for; return the first exit status that is not 0."""
    os.chdir(REPOSITORY)
    fast = "--fast" in arguments
    rest = [one for one in arguments if one != "--fast"]
    if rest:
        return pytest(*rest)
    steps = {name: lambda command=command: run(command) for name, command in CHECKS.items()}
    if fast:
        steps["tests"] = lambda: pytest("--ignore=tests/journeys", "--ignore=tests/browser", "--ignore=tests/chaos")
    else:
        steps["tests on SQLite"] = pytest
        steps["tests on PostgreSQL"] = lambda: postgresql(
            *ON_POSTGRESQL, *(f"--ignore=tests/journeys/test_{name}.py" for name in SLOW_WITHOUT_NEWS)
        )
    failed = []
    for name, step in steps.items():
        print(f"── {name}", flush=True)
        began = time.monotonic()
        if step():
            failed.append(name)
        print(
            f"── {name}: {'FAILED' if name in failed else 'fine'}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def run(command: list[object], **environment: str) -> int:
    return subprocess.run([str(part) for part in command], env={**os.environ, **environment}, check=False).returncode


def pytest(*arguments: str, **environment: str) -> int:
    return run([BIN / "python", "-m", "pytest", "-q", "--durations=8", *arguments], **environment)


def postgresql(*paths: str) -> int:
    """Run tests on a throw-away PostgreSQL server, started for them."""
    script = (
        'export DATABASE_URL="postgresql://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/postgres"; '
        f'exec "{BIN}/python" -m pytest -q --durations=8 "$@"'
    )
    return run(["pg_virtualenv", "-o", "fsync=off", "bash", "-c", script, "tests", *paths])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

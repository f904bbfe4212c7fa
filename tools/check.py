"""`./dev test`: every check and every test, on SQLite, and on a real PostgreSQL what tells of the database.

./dev test             everything; two at a time, and what needs a browser after them
./dev test --whole     also on PostgreSQL what tells nothing of the database: hours
./dev test --fast      style, types, and the tests on SQLite without the journeys
./dev test --changed   style, types, and the tests that the last commit and what is not committed yet can break,
                       the nearest first, for a minute and a half; `--changed=COMMIT` counts from another commit
./dev test PATH …      only pytest, with these options, on SQLite
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from changed import changed_files, tests_of

REPOSITORY = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PATIENCE = 75
"""Seconds after which no further test of a change is begun."""
PYTEST: list[str | Path] = [BIN / "python", "-m", "pytest", "-q", "--durations=8"]
SLOW = ["journeys", "browser", "chaos"]
ON_POSTGRESQL = ["tests/unit/master", "tests/contract", "tests/journeys"]
"""Whatever has a Master in it; the rest does not know of databases."""
JOURNEYS_WITH_NEWS = ["order", "power", "trees", "unpaid"]
"""Journeys that tell something of the database."""
WITHOUT_NEWS = [
    "account_commands", "account_doors", "accounts", "clocks", "deadlines", "doors", "document_pdf",
    "invitations", "node_share", "panel_languages", "panel_roles", "password_resets", "paying_by_command",
    "protections", "roles", "second_factor", "sessions", "sign_up", "silence", "streams", "unknown_names", "whose",
]  # fmt: skip
"""Tests of a Master that are long, and tell nothing of the database: who may do what, what is said, and how fast."""
CHECKS: dict[str, list[str | Path]] = {
    "style": [BIN / "ruff", "check", "."],
    "format": [BIN / "ruff", "format", "--check", "."],
    "imports": [BIN / "lint-imports"],
    "types": [BIN / "mypy"],
}


def main(arguments: list[str]) -> int:
    """Run what was asked for; return the first exit status that is not 0."""
    os.chdir(REPOSITORY)
    is_whole = "--whole" in arguments
    rest = [argument for argument in arguments if argument not in ("--fast", "--whole")]
    if rest and rest[0].startswith("--changed"):
        return after_change(rest[0].partition("=")[2] or "HEAD~1")
    if rest:
        return pytest(*rest)
    checks = [Step(name, command) for name, command in CHECKS.items()]
    if "--fast" in arguments:
        failed = run_steps([*checks, Step("tests", PYTEST + [f"--ignore=tests/{path}" for path in SLOW])])
    else:
        elsewhere = [f"--ignore={path}" for path in ("tests/chaos", "tests/browser", *ON_POSTGRESQL)]
        # The longest first, so that none is left alone at the end.
        failed = run_steps(
            [
                Step("journeys on SQLite", [*PYTEST, "tests/journeys"]),
                Step("Masters on SQLite", [*PYTEST, "tests/unit/master", "tests/contract"]),
                Step("Masters on PostgreSQL", postgresql(*(ON_POSTGRESQL if is_whole else with_news()))),
                Step("tests without a database", [*PYTEST, *elsewhere]),
                Step("histories", [*PYTEST, "tests/chaos"]),
                *checks,
            ]
        )
        # A browser gives up what it loads when the machine gets an address; nodes of other tests bring many.
        browsers = [Step("a browser on SQLite", [*PYTEST, "tests/browser"])]
        if is_whole:
            browsers.append(Step("a browser on PostgreSQL", postgresql("tests/browser")))
        failed += run_steps(browsers, at_once=1)
    if failed:
        print(f"Failed: {', '.join(failed)}.")
    return 1 if failed else 0


def with_news() -> list[str]:
    """Return the tests that tell something of the database."""
    ignored = [f"--ignore=tests/unit/master/test_{name}.py" for name in WITHOUT_NEWS]
    journeys = [f"tests/journeys/test_{name}.py" for name in JOURNEYS_WITH_NEWS]
    return ["tests/unit/master", "tests/contract", *journeys, *ignored]


def after_change(since: str) -> int:
    """Run the checks, and for a while the tests that what changed since a commit can break."""
    files = changed_files(REPOSITORY, since)
    chosen = tests_of(REPOSITORY, files)
    print(f"{len(files)} files changed since {since}: {len(chosen)} files of tests import them.", flush=True)
    tests = []
    if chosen:
        within = ["-p", "support.within", f"--within={PATIENCE}"]
        tests = [Step("tests", ["env", "PYTHONPATH=tests", *PYTEST, *within, *chosen])]
    checks = [Step(name, command) for name, command in CHECKS.items()]
    return 1 if run_steps([*tests, *checks]) else 0


@dataclass(frozen=True)
class Step:
    """One command and what it is called."""

    name: str
    command: list[str | Path]


def run_steps(steps: list[Step], at_once: int = 2) -> list[str]:
    """Run steps, two at a time as there are processors; return the names of those that failed.

    What a step printed is printed when it ends, so that the words of two do not mix.
    """
    with ThreadPoolExecutor(at_once) as pool:
        return [step.name for step, is_fine in zip(steps, pool.map(_fine, steps), strict=True) if not is_fine]


def _fine(step: Step) -> bool:
    began = time.monotonic()
    done = subprocess.run(step.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    verdict = "FAILED" if done.returncode else "fine"
    print(f"── {step.name}\n{done.stdout}── {step.name}: {verdict}, {time.monotonic() - began:.0f} s", flush=True)
    return done.returncode == 0


def pytest(*arguments: str) -> int:
    return subprocess.run([*PYTEST, *arguments], check=False).returncode


def postgresql(*arguments: str) -> list[str | Path]:
    """Return the command that runs tests on a throw-away PostgreSQL server, started for them."""
    script = (
        'export DATABASE_URL="postgresql://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/postgres"; '
        f'exec "{BIN}/python" -m pytest -q --durations=8 "$@"'
    )
    return ["pg_virtualenv", "-t", "-o", "fsync=off", "bash", "-c", script, "tests", *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What stands between strangers and a Master is tried at its doors; what does not hold is named, and weighed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from freehold.exposure import Protection, lines, weigh

if TYPE_CHECKING:
    from support.running import Master


def _one(name: str, holds: bool, weight: int) -> Protection:
    return Protection(name, holds, weight, "it was tried", "strangers come in")


def test_exposure_goes_from_nothing_to_everything_by_weight() -> None:
    assert weigh([_one("a", True, 5), _one("b", True, 1)]).exposure == 0.0
    assert weigh([_one("a", False, 5), _one("b", True, 5)]).exposure == 5.0
    assert weigh([_one("a", False, 5), _one("b", False, 1)]).exposure == 10.0
    assert weigh([_one("a", True, 500), _one("b", False, 1)]).exposure == 0.1, "what is missing is not rounded away"


def test_people_read_what_the_absence_of_a_protection_gives_to_whom() -> None:
    shown = lines(weigh([_one("a", True, 1), _one("b", False, 1)]))
    assert ["strangers come in" in line for line in shown] == [False, True, False]
    assert shown[-1] == "Exposure 5.0 of 10.0"


def _check(master: "Master") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(master.run("check", "--json").stdout)
    return {**found, "missing": [one["name"] for one in found["protections"] if not one["holds"]]}


def test_a_master_as_it_is_made_has_every_protection_whether_it_runs_or_not(master: "Master") -> None:
    running = _check(master)
    assert (running["exposure"], running["missing"]) == (0.0, [])
    said = len(master.log())
    master.stop()
    resting = _check(master)
    assert (resting["exposure"], resting["missing"]) == (0.0, [])
    assert {one["name"] for one in resting["protections"]} == {one["name"] for one in running["protections"]}
    assert master.log()[said:].count("Traceback") == 0
    master.start()


def test_the_score_informs_and_the_verdict_stays_what_it_was(master: "Master") -> None:
    master.node("n", partitions=1)
    done = master.run("check")
    assert (done.stdout.strip(), done.returncode) == ("Everything is in order.", 0)
    assert done.stderr.strip().splitlines()[-1] == "Exposure 0.0 of 10.0"


@pytest.fixture
def changed(master: "Master", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that changes what every Python does, this Master's too, once it is started again."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    yield tmp_path / "sitecustomize.py"
    monkeypatch.undo()
    master.stop()
    master.start()


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ("import freehold.master.settings as s; s.SECURE_HSTS_SECONDS = 0", "hsts"),
        ("import freehold.master.settings as s; s.CSRF_COOKIE_NAME = 'csrf'", "cookies"),
        ("import freehold.master.settings as s; s.SESSION_COOKIE_HTTPONLY = False", "cookies"),
        ("import freehold.master.connections as c; c.LARGEST_HEADER = 2**20", "headers"),
        ("import freehold.master.server as s; s.LARGEST_OF_STRANGERS = 2**30", "bodies"),
        (
            "import ssl, freehold.master.server as s; old = s.tls_context\n"
            "def tls_context(folder):\n"
            "    context = old(folder)\n"
            "    context.minimum_version = ssl.TLSVersion.TLSv1_2\n"
            "    return context\n"
            "s.tls_context = tls_context",
            "tls",
        ),
    ],
    ids=["HSTS", "cookies", "cookies of sessions", "headers", "bodies", "TLS"],
)
def test_what_does_not_hold_is_named(master: "Master", changed: Path, change: str, missing: str) -> None:
    master.stop()
    if "freehold.master.server" in change:
        change = f"import os; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'freehold.master.settings')\n{change}"
    changed.write_text(f"import sys\nif 'master' in ' '.join(sys.orig_argv):\n{_indented(change)}\n")
    master.start()
    found = _check(master)
    assert found["missing"] == [missing]
    assert 0 < found["exposure"] < 10


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


def test_open_keys_are_named_with_what_closes_them(master: "Master") -> None:
    key = master.root / "authority" / "server.key"
    key.chmod(0o644)
    try:
        (one,) = [one for one in _check(master)["protections"] if not one["holds"]]
        assert one["name"] == "keys"
        assert f"chmod go= {key}" in one["found"]
    finally:
        key.chmod(0o600)

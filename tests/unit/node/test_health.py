"""What a node finds in its own machine, on machines that are not to be had here."""

import json
from pathlib import Path

import pytest

from freehold.node.isolation import protections
from freehold.node.link import keys
from freehold.node.maintenance import health
from freehold.node.maintenance.health import memory_errors
from freehold.node.settings import Settings


def _controllers(folder: Path, *counts: tuple[int, int]) -> Path:
    """Lay out memory controllers as Linux shows them, each with the errors that it corrected and those it could not."""
    for number, (corrected, not_corrected) in enumerate(counts):
        controller = folder / f"mc{number}"
        (controller / "dimm0").mkdir(parents=True)
        for name, count in (("ce_count", corrected), ("ue_count", not_corrected), ("ce_noinfo_count", 7)):
            (controller / name).write_text(f"{count}\n")
        (controller / "dimm0" / "dimm_ue_count").write_text("9\n")
    return folder


@pytest.mark.parametrize(
    ("counts", "well", "words"),
    [
        ([], True, "does not count"),
        ([(0, 0)], True, "0 errors of memory corrected, 0 not"),
        ([(3, 0), (2, 0)], True, "5 errors of memory corrected, 0 not"),
        ([(3, 0), (0, 1)], False, "3 errors of memory corrected, 1 not"),
    ],
)
def test_a_machine_whose_memory_errs_breaks_its_promise(
    tmp_path: Path, counts: list[tuple[int, int]], well: bool, words: str
) -> None:
    found = memory_errors(_controllers(tmp_path, *counts))
    assert found.well is well
    assert words in found.message
    assert bool(found.remedy) is not well


def test_how_long_a_certificate_is_good_says_the_time_of_the_master_and_not_the_machines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine believes that it is 1970; the Master said what time it is."""
    monkeypatch.setattr("time.time", lambda: 0.0)
    now, day = 1_800_000_000.0, 86_400.0
    settings = Settings("tag", True, node="node-1", certificate_ends=now + 8 * day)
    good, late = health.certificate(settings, now), health.certificate(settings, now + 2 * day)
    assert (good.well, good.message) == (True, "good for 8 days")
    assert (late.well, late.message) == (False, "good for 6 days")


def test_a_certificate_of_an_instance_is_as_old_as_the_master_would_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written by a machine that believes it is 1970, whose clock is then set right: it is not had again."""
    (tmp_path / ".freehold").mkdir()
    monkeypatch.setattr("time.time", lambda: 0.0)
    now, day = 1_800_000_000.0, 86_400.0
    order = {"folder": str(tmp_path), "certificate": "PEM", "authority": "PEM", "at": now}
    keys.keep_certificate(json.dumps(order).encode())
    kept = tmp_path / ".freehold" / "certificate.pem"
    assert [keys.is_young(kept, now + days * day) for days in (0, 19, 21, -1)] == [True, True, False, False]


def test_every_protection_has_a_weight_and_says_what_its_absence_exposes() -> None:
    assert tuple(protections.WEIGHTS) == protections.NAMES
    assert all(1 <= weight <= 5 and exposes for weight, exposes in protections.WEIGHTS.values())

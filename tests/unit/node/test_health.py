"""What a node finds in its own machine, on machines that are not to be had here."""

from pathlib import Path

import pytest

from freehold.node.health import memory_errors


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

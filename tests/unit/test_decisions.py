"""Decisions are numbered one by one, and each says whether it is in force (what supersedes it: `test_claims.py`)."""

from pathlib import Path

DECISIONS = sorted((Path(__file__).parents[2] / "decisions").glob("*.md"))


def test_decisions_are_numbered_without_a_gap_and_bear_their_number() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
    assert all(path.read_text().startswith(f"# {path.name[:4]}. ") for path in DECISIONS)


def test_each_says_whether_it_is_in_force() -> None:
    for path in DECISIONS:
        assert path.read_text().split("\n")[2].startswith(("Status: In force", "Status: Superseded")), path.name

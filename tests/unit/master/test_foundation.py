"""What every room stands on."""

import re
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from freehold.master.foundation import clock, ids, sql
from freehold.master.foundation.errors import Conflict, MasterError
from freehold.master.foundation.statemachine import StateMachine
from freehold.master.ordering.states import INSTANCE
from freehold.protocol.states import Wanted


def test_a_query_is_known_by_its_name_and_says_what_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text(
        "-- name: one\n-- The first\n-- of two.\nSELECT :a\n\n-- name: two\n-- Another.\nSELECT '10%', :b_1\n"
    )
    queries = sql.load(tmp_path / "q.sql")
    assert list(queries) == ["one", "two"]
    assert queries["one"].description == "The first of two."
    assert queries["two"].named == "SELECT '10%', :b_1"
    assert queries["two"].format == "SELECT '10%%', %(b_1)s"


def test_a_cast_is_not_taken_for_a_parameter(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("-- name: cast\n-- A cast.\nSELECT :a::text\n")
    assert sql.load(tmp_path / "q.sql")["cast"].format == "SELECT %(a)s::text"


def test_what_is_the_same_for_every_meter_is_written_once(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text('-- name: all\n-- All.\nSELECT {{each meter ", ": sum($name) - :$name}} FROM t\n')
    query = sql.load(tmp_path / "q.sql")["all"]
    assert query.named.startswith("SELECT sum(cpu_ms) - :cpu_ms, sum(memory_mb_s) - :memory_mb_s, ")
    assert "sum(network_out) - %(network_out)s" in query.format


@pytest.mark.parametrize("text", ["SELECT 1\n", "-- name: silent\nSELECT 1\n", "-- name: Big\n-- Why.\nSELECT 1\n"])
def test_a_query_without_name_or_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.sql").write_text(text)
    with pytest.raises(ValueError, match=r"q\.sql: a query needs"):
        sql.load(tmp_path / "q.sql")


def test_two_queries_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "q.sql").write_text("-- name: one\n-- A.\nSELECT 1\n\n-- name: one\n-- B.\nSELECT 2\n")
    with pytest.raises(ValueError, match="twice"):
        sql.load(tmp_path / "q.sql")


ALLOWED = {
    ("started", "stopped"),
    ("started", "destroyed"),
    ("stopped", "started"),
    ("stopped", "destroyed"),
}


@pytest.mark.parametrize(("old", "new"), list(product(Wanted, Wanted)))
def test_the_states_of_an_instance(old: Wanted, new: Wanted) -> None:
    if old is new or (old.value, new.value) in ALLOWED:
        INSTANCE.check(old, new)
    else:
        with pytest.raises(Conflict) as caught:
            INSTANCE.check(old, new)
        assert old in caught.value.detail
        assert new in caught.value.detail


def test_a_table_names_every_state() -> None:
    assert set(INSTANCE.moves) == set(Wanted)
    assert INSTANCE.drawing().splitlines() == [
        "- `started` → `destroyed`, `stopped`",
        "- `stopped` → `destroyed`, `started`",
        "- `destroyed` → (end)",
    ]


def test_whoever_is_refused_a_move_learns_the_possible_ones() -> None:
    class Door(StrEnum):
        OPEN = "open"
        SHUT = "shut"
        GONE = "gone"

    machine = StateMachine[Door](
        "The door",
        {Door.OPEN: frozenset({Door.SHUT}), Door.SHUT: frozenset({Door.OPEN}), Door.GONE: frozenset()},
    )
    with pytest.raises(Conflict) as caught:
        machine.check(Door.OPEN, Door.GONE)
    assert caught.value.remedy == "From open it can become shut."


def test_ids_sort_by_creation_and_are_never_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [1.0, 1_000_000_000.0, 1_800_000_000.001, 1_800_000_000.002, 4_000_000_000.0]
    made = []
    for moment in moments:
        monkeypatch.setattr(ids.time, "time", lambda moment=moment: moment)
        made.append(ids.new("inst"))
    assert made == sorted(made)
    assert all(re.fullmatch(r"inst-[0-9a-hjkmnp-tv-z]{20}", one) for one in made)
    assert len({ids.new("x") for _ in range(1000)}) == 1000


def test_moments_are_read_by_people_in_utc() -> None:
    assert clock.iso(0) == "1970-01-01T00:00:00.000Z"
    assert clock.iso(1_800_000_000_123) == "2027-01-15T08:00:00.123Z"
    assert clock.iso(None) is None


def _kinds(base: type[MasterError]) -> list[type[MasterError]]:
    return [base, *(kind for child in base.__subclasses__() for kind in _kinds(child))]


def test_every_kind_of_problem_is_documented() -> None:
    import freehold.master.gateway.reports  # noqa: F401

    kinds = {kind.type: kind for kind in _kinds(MasterError)}
    page = (Path(__file__).parents[3] / "docs" / "problems.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", page, re.MULTILINE))
    assert rows == {name: str(kind.status) for name, kind in kinds.items()}


def test_every_problem_says_what_to_do() -> None:
    def said(kind: Any) -> tuple[str, str, str]:
        problem = kind("why").problem()
        return problem.title, problem.detail, problem.remedy

    assert all(all(said(kind)) for kind in _kinds(MasterError))


def test_the_migrations_are_what_the_models_say(database: str) -> None:
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)

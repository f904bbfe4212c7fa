"""What the documents say is there is there."""

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from freehold.protocol.meters import METERS

REPOSITORY = Path(__file__).parent.parent.parent
PAGES = sorted(path.relative_to(REPOSITORY) for path in [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def test_every_path_of_the_map_exists() -> None:
    text = (REPOSITORY / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:src|tests|tools|software|bench|decisions|docs)(?:/[\w./-]*)?)`", text))
    assert len(named) > 40
    assert [path for path in sorted(named) if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / page).read_text()):
        assert (REPOSITORY / page.parent / target).exists(), target


def test_every_command_is_documented() -> None:
    from freehold import cli

    text = (REPOSITORY / "docs" / "command-line.md").read_text()
    parser = cli._parser(["--help"])
    (rooms,) = (action for action in parser._actions if isinstance(action.choices, dict))
    for name in rooms.choices:
        assert f"`{name}" in text, name


def test_every_state_and_constraint_is_documented() -> None:
    from freehold.master.allocation.choice import Constraints
    from freehold.master.ordering.states import INSTANCE

    text = (REPOSITORY / "docs" / "concepts.md").read_text()
    assert INSTANCE.drawing() in text
    for name in Constraints.__struct_fields__:
        assert f"`{name}`" in text, name


def test_every_kind_of_report_is_documented() -> None:
    from typing import get_args

    from freehold.protocol import feed, report

    text = (REPOSITORY / "docs" / "protocol.md").read_text()
    for kind in get_args(report.Item):
        assert f"| `{kind.__struct_config__.tag}` |" in text
        for field in kind.__struct_fields__:
            assert f"`{field}`" in text, field
    for field in (*feed.Feed.__struct_encode_fields__, *feed.WantedInstance.__struct_encode_fields__):
        assert re.search(rf"\b{field}\b", text), field


def test_every_meter_is_documented() -> None:
    billing, protocol = ((REPOSITORY / "docs" / name).read_text() for name in ("billing.md", "protocol.md"))
    for name, meter in METERS.items():
        priced = "" if meter.is_priced else "; it has no price"
        assert f"| `{name}` | {meter.counts}{priced} |" in billing
        assert f"`{name}`" in protocol


def test_the_examples_for_authors_are_releases() -> None:
    from freehold.release import Context, make_plan
    from freehold.release.plan import SharedSpec

    source, larger = re.findall(
        r"```python\n(.*?)```", (REPOSITORY / "docs" / "authors" / "reference.md").read_text(), re.DOTALL
    )
    module: dict[str, object] = {"__name__": "example"}
    exec(compile(source, "reference.md", "exec"), module)
    context = Context("i", "t", "default", "127.0.0.1", Path("/p"), Path("/s"), Path("/r"))
    plan = make_plan(module["release"], "default", b'{"greeting": "hi"}', context)  # type: ignore[arg-type]
    assert [process.name for process in plan.processes] == ["web"]
    assert list(plan.promises) == ["page"]
    exec(compile(larger, "reference.md", "exec"), module)
    first = make_plan(module["release"], "default", b"{}", context)  # type: ignore[arg-type]
    assert (first.processes, [one.title for one in first.requests]) == ((), ["page"])
    given = dataclasses.replace(
        context, child_publications={"page": {"url": "http://x/"}}, certificates={"mail": "PEM"}
    )
    guests = (
        SharedSpec("inst-1", "mailbox", b"{}", "started", "00"),
        SharedSpec("inst-2", "mailbox", b'{"quota_mb": 9999}', "started", "01"),
    )
    plan = make_plan(module["release"], "default", b"{}", given, guests)  # type: ignore[arg-type]
    assert [process.name for process in plan.processes] == ["mail"]
    assert plan.publication is not None
    assert msgspec.to_builtins(plan.publication) == {"url": "imaps://127.0.0.1:20000", "certificate": "PEM"}
    assert [type(answer).__name__ for answer in plan.shared.values()] == ["Mailbox", "Refusal"]

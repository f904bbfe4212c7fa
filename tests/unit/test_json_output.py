"""One field of an answer, for scripts: what it leads to, and what is said when it leads nowhere."""

import argparse
from typing import Any

import pytest

from freehold import json_output

SHOP = {
    "title": "shop",
    "ready": True,
    "note": None,
    "memory_mb": 12,
    "publication": {"url": "https://shop.example", "url.backup": "https://b.example", "a": {"b": "é"}},
    "promises": [{"name": "page", "kept": True}, {"name": "disk", "kept": False}],
}


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    json_output.add_options(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("field", "printed"),
    [
        ("title", "shop"),
        ("ready", "true"),
        ("note", ""),
        ("memory_mb", "12"),
        ("publication.url", "https://shop.example"),
        ("publication.url.backup", "https://b.example"),
        ("publication.a", '{"b": "é"}'),
        ("publication.a.b", "é"),
        ("promises.1.name", "disk"),
    ],
)
def test_a_field_is_printed_as_it_is(field: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    json_output.print_answer(options("--field", field), SHOP)
    assert capsys.readouterr().out == f"{printed}\n"


def test_a_list_has_a_line_for_each_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [SHOP, {"title": "new", "publication": {}}]
    for field, printed in (
        ("title", "shop\nnew\n"),
        ("publication.url", "https://shop.example\n\n"),
        ("1.title", "new\n"),
    ):
        json_output.print_answer(options("--field", field), rows)
        assert capsys.readouterr().out == printed
    json_output.print_answer(options("--field", "title"), [])
    assert capsys.readouterr().out == ""
    json_output.print_answer(options("--field", "note"), [SHOP, {"note": None}])
    assert capsys.readouterr().out == "\n\n"


@pytest.mark.parametrize(
    ("answer", "field", "known"),
    [
        (SHOP, "titel", "title, ready, note, memory_mb, publication, promises"),
        (SHOP, "publication.ulr", "url, url.backup, a"),
        (SHOP, "promises.2", "0, 1"),
        (SHOP, "title.first", "none"),
        ([SHOP, {"title": "new"}], "titel", "title, ready, note, memory_mb, publication, promises"),
        ([SHOP], "7.title", "0"),
        ("text", "title", "none"),
    ],
)
def test_a_field_that_is_not_there_names_those_that_are(
    answer: object, field: str, known: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(json_output.FieldNotFound) as missing:
        json_output.print_answer(options("--field", field), answer)
    assert str(missing.value).endswith(f"Fields there: {known}.")
    assert capsys.readouterr().out == ""

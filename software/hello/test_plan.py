"""The plan of hello, tested as data: no node, no network."""

from dataclasses import replace
from pathlib import Path

import pytest

from freehold.promises import Http
from freehold.release import Context, Network, ReleaseError, make_plan
from freehold.release.folder import load

RELEASE = load(Path(__file__).parent)
CONTEXT = Context(
    instance="inst-1",
    title="shop",
    type="default",
    address="127.9.9.9",
    partition=Path("/p0"),
    software=Path("/software"),
    release=Path("/software/release"),
)


def test_the_page_is_published_on_the_partitions_own_address() -> None:
    plan = make_plan(RELEASE, "default", b'{"greeting": "bonjour"}', CONTEXT)
    assert plan.publication is not None
    assert plan.publication.url == "http://127.9.9.9:8080/"  # type: ignore[attr-defined]
    assert plan.promises["page"] == Http("http://127.9.9.9:8080/", contains="bonjour")
    assert plan.network == Network(listen=(8080,), connect=())


def test_another_greeting_restarts_the_server_and_another_title_too() -> None:
    def digest(parameters: bytes, context: Context) -> str:
        (process,) = make_plan(RELEASE, "default", parameters, context).processes
        return process.digest()

    one = digest(b'{"greeting": "a"}', CONTEXT)
    assert digest(b'{"greeting": "a"}', CONTEXT) == one
    assert digest(b'{"greeting": "b"}', CONTEXT) != one
    assert digest(b'{"greeting": "a"}', replace(CONTEXT, title="other")) != one


def test_markup_in_a_greeting_is_expected_on_the_page_as_text() -> None:
    plan = make_plan(RELEASE, "default", b'{"greeting": "<b>hi</b>"}', CONTEXT)
    assert plan.promises["page"].contains == "&lt;b&gt;hi&lt;/b&gt;"  # type: ignore[attr-defined]


@pytest.mark.parametrize("parameters", [b'{"greeting": ""}', b'{"greting": "a"}', b'{"greeting": 3}', b"[]", b"{"])
def test_wrong_parameters_are_refused_with_a_reason(parameters: bytes) -> None:
    with pytest.raises(ReleaseError, match="do not fit"):
        make_plan(RELEASE, "default", parameters, CONTEXT)

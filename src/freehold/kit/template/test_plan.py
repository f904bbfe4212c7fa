"""The plan of myservice, tested as data: no node, no network."""

from pathlib import Path

from freehold.release import Context, make_plan
from freehold.release.folder import load

RELEASE = load(Path(__file__).parent)
CONTEXT = Context(
    instance="inst-1",
    title="mine",
    type="default",
    address="127.9.9.9",
    partition=Path("/partition"),
    software=Path("/software"),
    release=Path("/software/release"),
)


def test_another_greeting_changes_the_page_and_leaves_the_server_alone() -> None:
    hello = make_plan(RELEASE, "default", b'{"greeting": "hello"}', CONTEXT)
    salut = make_plan(RELEASE, "default", b'{"greeting": "salut"}', CONTEXT)
    assert hello.files != salut.files
    assert [process.digest() for process in hello.processes] == [process.digest() for process in salut.processes]

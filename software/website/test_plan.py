"""The plan of the website, tested as data: no node, no network."""

from dataclasses import replace
from pathlib import Path

from freehold.release import Context, Network, make_plan
from freehold.release.folder import load

RELEASE = load(Path(__file__).parent)
DATABASE = {"url": "postgresql://u:p@h/d?sslmode=verify-full", "host": "10.0.0.2", "port": 5432, "certificate": "PEM"}
CONTEXT = Context(
    instance="inst-1",
    title="site",
    type="default",
    address="10.0.0.1",
    partition=Path("/p0"),
    software=Path("/software"),
    release=Path(__file__).parent,
    child_publications={
        "server": {"host": "10.0.0.2"},
        "database": DATABASE,
        "hello-1": {"url": "http://10.0.0.3:8080/"},
        "hello-2": {"url": "http://[fd00::4]:8080/"},
    },
)


def test_it_reaches_what_it_requested_and_nothing_else() -> None:
    plan = make_plan(RELEASE, "default", b"{}", CONTEXT)
    own = CONTEXT.ports["application"]
    assert plan.network == Network(listen=(8080, own), connect=("10.0.0.2:5432", "10.0.0.3:8080", "[fd00::4]:8080"))


def test_nginx_starts_after_the_application_and_ends_before_it() -> None:
    application, nginx = make_plan(RELEASE, "default", b"{}", CONTEXT).processes
    assert nginx.after == (application,)
    assert application.ready == CONTEXT.ports["application"]


def test_until_its_database_is_there_it_only_requests() -> None:
    given = {title: one for title, one in CONTEXT.child_publications.items() if title != "database"}
    plan = make_plan(RELEASE, "default", b"{}", replace(CONTEXT, child_publications=given))
    assert plan.processes == ()
    assert [request.title for request in plan.requests] == ["server", "database", "hello-1", "hello-2"]

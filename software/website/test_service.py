"""A website as its customer orders it: one request becomes a tree, and its page reads from the database."""

import re
from pathlib import Path

import pytest

from freehold.kit import Cloud, Instance, gone, page, shows, until

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def site(cloud: Cloud) -> Instance:
    for name in ("hello", "postgresql", "website"):
        cloud.publish(HERE.parent / name)
    return cloud.order("site", "website", parameters={"title": "My shop", "text": "Read & kept"})


def visits(url: str) -> int:
    found = re.search(r"(\d+) visits", page(url))
    assert found is not None
    return int(found[1])


def test_its_page_reads_from_its_database_and_its_children_answer(site: Instance) -> None:
    url = site.publication["url"]
    assert "My shop" in page(url)
    assert "Read &amp; kept" in page(url)
    assert visits(url) < visits(url), "each visit is written"
    assert "hello" in page(f"{url}hello/1/")
    assert "bonjour" in page(f"{url}hello/2/")
    assert "Allow" in page(f"{url}static/robots.txt")
    kinds = {child.title.rpartition("/")[2]: (child.product, child.shared) for child in site.children}
    assert kinds == {
        "server": ("postgresql", False),
        "database": ("postgresql", True),
        "hello-1": ("hello", False),
        "hello-2": ("hello", False),
    }


def test_what_the_root_is_told_goes_down_and_touches_only_what_depends_on_it(cloud: Cloud, site: Instance) -> None:
    title, url = site.title, site.publication["url"]
    pids = {name: cloud.pids(f"{title}/{name}") for name in ("server", "hello-1", "hello-2")}
    cloud.order(
        title, "website", parameters={"title": "My shop", "text": "Read & kept", "greetings": ["hello", "salut"]}
    )
    until(shows(f"{url}hello/2/", "salut"))
    assert cloud.pids(f"{title}/server") == pids["server"]
    assert cloud.pids(f"{title}/hello-1") == pids["hello-1"]
    assert cloud.pids(f"{title}/hello-2") != pids["hello-2"]


def test_any_process_of_the_tree_may_be_killed(cloud: Cloud, site: Instance) -> None:
    title, url = site.title, site.publication["url"]
    before = visits(url)
    for name in ("", "/server", "/hello-1", "/hello-2"):
        cloud.kill(title + name)
        until(shows(url, "visits"), 30)
        until(shows(f"{url}hello/1/", "hello"), 30)
    assert visits(url) > before, "nothing that was counted is lost"


def test_stop_start_and_destroy_go_through_the_whole_tree(cloud: Cloud, site: Instance) -> None:
    title, url = site.title, site.publication["url"]
    before = visits(url)
    names = ("", "/server", "/hello-1", "/hello-2")
    pids = [pid for name in names for pid in cloud.pids(title + name)]
    cloud.client.request(title, state="stopped")
    until(gone(pids), 30)
    until(lambda: all(child.state == "stopped" for child in cloud.show(title).children if not child.shared))
    cloud.order(title, "website", state="started")
    until(shows(url, "visits"), 30)
    assert visits(url) > before
    pids = [pid for name in names for pid in cloud.pids(title + name)]
    cloud.client.request(title, state="destroyed", now=True)
    until(gone(pids), 30)
    until(lambda: all(cloud.show(title + name).state == "destroyed" for name in (*names, "/database")), 30)
    assert not any(any(folder.iterdir()) for folder in (cloud.machines[0].root / "partitions").iterdir()), (
        "its files are gone"
    )

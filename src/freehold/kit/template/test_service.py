"""myservice used as a customer would: ordered, read, killed, changed, destroyed."""

from pathlib import Path

from freehold.kit import Cloud, page, until


def test_the_page_says_what_was_asked_for_and_survives_its_server(cloud: Cloud) -> None:
    cloud.publish(Path(__file__).parent)
    mine = cloud.order("mine", "myservice", parameters={"greeting": "bonjour"})
    assert "bonjour" in page(mine.publication["url"])
    cloud.kill("mine")
    until(lambda: cloud.pids("mine"), what="Another process in its place")
    cloud.order("mine", "myservice", parameters={"greeting": "au revoir"})
    assert "au revoir" in page(mine.publication["url"])
    assert cloud.destroy("mine").state == "destroyed"


def test_an_upgrade_keeps_what_is_there(cloud: Cloud, former: Path) -> None:
    cloud.publish(former)
    cloud.order("old", "myservice", parameters={"greeting": "bonjour"})
    kept = cloud.partition("old") / "srv" / "kept"
    kept.write_text("of last year")
    cloud.publish(Path(__file__).parent)
    assert "bonjour" in page(cloud.upgrade("old").publication["url"])
    assert kept.read_text() == "of last year"

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

"""hello used as a customer would: ordered, read, changed, destroyed."""

from pathlib import Path

from freehold.kit import Cloud, page


def test_the_ordered_page_shows_what_was_asked_for_and_changes_when_asked(cloud: Cloud) -> None:
    cloud.publish(Path(__file__).parent)
    shop = cloud.order("shop", "hello", parameters={"greeting": "<i>bonjour</i>"})
    url = shop.publication["url"]
    assert "&lt;i&gt;bonjour&lt;/i&gt;" in page(url)
    assert "shop" in page(url)
    cloud.order("shop", "hello", parameters={"greeting": "au revoir"})
    assert "au revoir" in page(url)
    assert cloud.destroy("shop").state == "destroyed"

"""hello used as a customer would: ordered, read, changed, destroyed."""

import os
import urllib.request
from pathlib import Path

from machines import Cloud


def test_the_ordered_page_shows_what_was_asked_for_and_changes_when_asked(cloud: Cloud) -> None:
    cloud.machine(unprivileged=os.geteuid() != 0, title="shop-window")
    cloud.publish(Path(__file__).parent)
    shop = cloud.order("shop", parameters={"greeting": "<i>bonjour</i>"}, seconds=120)
    url = shop["publication"]["url"]
    assert "&lt;i&gt;bonjour&lt;/i&gt;" in _page(url)
    assert "shop" in _page(url)
    cloud.order("shop", parameters={"greeting": "au revoir"})
    assert "au revoir" in _page(url)
    assert cloud.order("shop", state="destroyed")["state"] == "destroyed"


def _page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())

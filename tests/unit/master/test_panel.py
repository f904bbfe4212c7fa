"""The panel's pages: what they show, to whom, and at what cost."""

from unit.master.panels import Visitor, ready_shop
from unit.master.rooms import Rooms


def test_a_customer_finds_what_runs(rooms: Rooms) -> None:
    ready_shop(rooms)
    rooms.request("web", parameters={"greeting": "bonjour"})
    me = Visitor(rooms.customer)
    assert "web waiting" in me.reads("/")
    assert "web waiting" in me.reads("/?q=WE&state=waiting&project=shop")
    for nothing in ("/?q=other", "/?state=started", "/?page=2"):
        assert "Nothing fits." in me.reads(nothing)
    assert "greeting bonjour" in me.reads("/services/shop/web")

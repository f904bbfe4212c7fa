"""The panel's pages: what they show, to whom, and at what cost."""

import html

from support.market import Market
from support.panels import Visitor, ready_shop
from support.rooms import Rooms


def test_a_customer_finds_what_runs(rooms: Rooms) -> None:
    ready_shop(rooms)
    rooms.request("web", parameters={"greeting": "bonjour"})
    me = Visitor(rooms.customer)
    assert "web waiting" in me.reads("/")
    assert "web waiting" in me.reads("/?q=WE&state=waiting&project=shop")
    for nothing in ("/?q=other", "/?state=started", "/?page=2"):
        assert "Nothing fits." in me.reads(nothing)
    assert "greeting bonjour" in me.reads("/services/shop/web")


def test_a_note_is_typed_with_an_order_and_shown_with_the_service(rooms: Rooms) -> None:
    ready_shop(rooms)
    me = Visitor(rooms.customer)
    assert 'name="note"' in me.get("/catalogue/tiny").content.decode()
    typed = {"title": "web", "project": "shop", "note": " For <b>Ada</b> ", "p.greeting": "bonjour"}
    assert me.post("/catalogue/tiny", typed).status_code == 302
    assert "Note For <b>Ada</b>" in html.unescape(me.reads("/services/shop/web"))
    assert "<b>Ada" not in me.get("/services/shop/web").content.decode()
    assert 'value="For &lt;b&gt;Ada&lt;/b&gt;"' in me.get("/services/shop/web/-/change").content.decode()
    assert me.post("/services/shop/web/-/change", {"note": "x" * 201}).status_code == 422
    assert me.post("/services/shop/web/-/change", {"note": ""}).status_code == 302
    assert "Note" not in me.reads("/services/shop/web")


def test_anybody_reads_prices_costs_and_records(market: Market) -> None:
    """Every figure of the page is of dated rows: prices with the tax of the place, costs, what is left."""
    from freehold.master.billing import public_prices
    from freehold.master.fleet.models import Site
    from freehold.master.foundation import days
    from freehold.master.monitoring import reconcile
    from freehold.master.sales.rating import Model

    market.offer("server", size={"cpus": 2}, availability=990_000)
    market.prices(
        market.price(23000, offer="server"),
        market.price(800, "usage", "server", meter="network_out", model=Model.UNIT, unit=10**12),
        region="europe",
    )
    for kind, amount in (("loan", 600), ("electricity", 2600)):
        public_prices.add_cost(
            "provider", site="paris", offer="server", kind=kind, currency="EUR", amount=amount,
            from_day=days.parse("2026-01-01"), evidence="ab" * 32, acting=market.sales,
        )  # fmt: skip
    market.pay(market.customer(), 23000, "deposit")
    market.turn("2026-03-31T00:00", "UTC")
    web = market.order(offer="server")
    market.ready(web)
    for hour in range(1, 24):
        market.assess(web, kept=hour != 12, at=market.now + hour * 3_600_000)
    market.turn("2026-04-02")
    reconcile.keep_record()
    page = Visitor(None).reads("/prices")
    for said in ("server", "2 cores", "€230.00", "€46.00 (20 %) to add", "per TB: €8.00", "99.0 %", "Together €32.00"):
        assert said in page, (said, page)
    assert "Margin €198.00" in page
    assert "2026-03 95.8333 % 1 service" in page
    (site,) = Visitor(None).get("/api/v1/prices/sites").json()
    assert site["name"] == Site.objects.get().name
    assert (site["tables"][0]["margin"], site["record"][0]["millionths"]) == (19800, 958_333)
    assert "Marge" in Visitor(None, "fr").reads("/prices")

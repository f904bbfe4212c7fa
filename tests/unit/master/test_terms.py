"""The provider's terms: versions that do not change, who accepted which and when, and a button that says so."""

from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Forbidden, Invalid, NotFound
from support.lettering import code_of, deliver
from support.mailbox import Mailbox
from support.panels import Visitor, inputs, ready_shop, staff
from support.panels import text as page_text

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms

EVE, WORD = "eve@example.net", "a battery of eve's own"


@pytest.fixture(autouse=True)
def fresh(untried: None) -> None:
    """Nobody has tried or asked for anything yet."""


def publish(text: str, kind: str = "terms") -> str:
    from freehold.master.people import identity, terms

    return str(terms.publish(kind, text, acting=identity.system()).id)


def accepted(email: str) -> list[str]:
    from freehold.master.people import terms
    from freehold.master.people.models import Person

    return [one.version.id for one in terms.accepted_by(Person.objects.get(email=email).id)]


def test_staff_writes_versions_and_anybody_reads_them(rooms: "Rooms") -> None:
    stranger, desk = Visitor(None), Visitor(staff())
    assert "no terms here" in stranger.reads("/terms")
    assert "Have another version hold" not in stranger.reads("/terms")
    for text in ("Be <i>kind</i>.\n\nPay.", "Be kinder."):
        assert desk.post("/terms", {"kind": "terms", "text": text}).status_code == 302
    assert desk.post("/terms", {"kind": "processing", "text": "https://example.org/dpa"}).status_code == 302
    now = stranger.get("/terms").content.decode()
    assert "Be kinder." in now
    assert "Be &lt;i&gt;kind" not in now
    assert '<a href="https://example.org/dpa"' in now
    old = stranger.get("/terms/terms-1").content.decode()
    assert "Be &lt;i&gt;kind&lt;/i&gt;." in old
    assert "does not hold any more" in old
    assert stranger.get("/terms/terms-9").status_code == 404


def test_only_staff_writes_them_and_only_what_is_new(rooms: "Rooms") -> None:
    from freehold.master.people import identity, terms

    publish("Be kind.")
    with pytest.raises(Conflict):
        publish(" Be kind.\r\n")
    for kind, text in (("terms", " "), ("terms", "x" * 200_001), ("terms", "a\0b"), ("poem", "x")):
        with pytest.raises(Invalid):
            publish(text, kind)
    with pytest.raises(Forbidden):
        terms.publish("terms", "Pay me.", acting=rooms.customer)
    with pytest.raises(NotFound):
        terms.find("a\0b")
    assert identity.system().is_staff
    assert [one.id for one in terms.current()] == ["terms-1"]


@pytest.mark.parametrize(
    "text", ["javascript:alert(1)", "http://example.org", "https://", "https://a b", "see\nhttps://x"]
)
def test_what_is_no_address_of_a_page_is_a_text(rooms: "Rooms", text: str) -> None:
    from freehold.master.people import terms

    publish(text)
    assert terms.link_of(terms.current()[0]) == ""
    assert '<a href="javascript' not in Visitor(None).get("/terms").content.decode()


def test_who_signs_up_accepts_what_holds_and_that_is_kept_with_its_time(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import identity, personal_data, sign_up
    from freehold.master.people.models import AcceptedTerms, Person, SignUp

    publish("Be kind.")
    publish("https://example.org/dpa", "processing")
    sign_up.set_mode("open", acting=identity.system())
    stranger = Visitor(None)
    typed = {"email": EVE, "name": "Eve", "password": WORD, "language": "en"}
    assert stranger.post("/sign-up", {**typed, "terms": ["terms-1"]}).status_code == 422
    assert stranger.post("/sign-up", {**typed, "terms": ["terms-1", "processing-1"]}).status_code == 200
    asked_at = SignUp.objects.get().made_at
    publish("Be kinder.")
    deliver()
    person = sign_up.confirm(EVE, code_of(box.mails[0]), WORD)
    assert person is not None
    assert sorted(accepted(EVE)) == ["processing-1", "terms-1"], "what held when they accepted"
    assert set(AcceptedTerms.objects.values_list("at", flat=True)) == {asked_at}
    told = personal_data.export(acting=identity.by_person(person.id))["terms"]
    assert {(one["kind"], one["version"]) for one in told} == {("terms", 1), ("processing", 1)}
    assert Person.objects.filter(email=EVE).exists()


def order(visitor: Visitor, title: str, **more: Any) -> Any:
    return visitor.post("/catalogue/tiny", {"title": title, "project": "shop", **more})


def test_an_order_accepts_the_terms_that_its_page_showed(rooms: "Rooms") -> None:
    ready_shop(rooms)
    buyer = Visitor(rooms.customer)
    assert order(buyer, "before").status_code == 302
    publish("Be kind.")
    assert "With the order you accept:" in buyer.reads("/catalogue/tiny")
    assert order(buyer, "unread").status_code == 422
    assert order(buyer, "web", terms="terms-1").status_code == 302
    assert accepted(rooms.customer.actor) == ["terms-1"]
    publish("Be kinder.")
    assert order(buyer, "late", terms="terms-1").status_code == 422
    assert order(buyer, "again", terms="terms-2").status_code == 302
    assert accepted(rooms.customer.actor) == ["terms-1", "terms-2"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Order with obligation to pay"),
        ("fr", "Commander avec obligation de paiement"),
        ("zh-hans", "下单并承担付款义务"),
    ],
)
def test_the_button_of_what_costs_says_that_it_obliges_to_pay(market: "Market", language: str, words: str) -> None:
    market.offer()
    market.prices(market.price(2000))
    market.customer()
    buyer = Visitor(market.rooms.customer, language)
    assert f'<button class="main">{words}</button>' in buyer.get("/catalogue/tiny").content.decode()


def test_the_button_of_what_is_free_says_no_such_thing(rooms: "Rooms") -> None:
    ready_shop(rooms)
    page = Visitor(rooms.customer).get("/catalogue/tiny")
    assert '<button class="main">Order</button>' in page.content.decode()
    assert "obligation" not in page_text(page)
    assert inputs(page)

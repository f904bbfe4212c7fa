"""A person takes their data, and goes: what names them goes with them, but for what must be kept."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import Conflict, Invalid, Unauthenticated
from support.panels import Visitor, text

if TYPE_CHECKING:
    from support.rooms import Rooms

EMAIL, PASSWORD = "ann@example.org", "correct horse battery"


@pytest.fixture
def ann(rooms: "Rooms", monkeypatch: pytest.MonkeyPatch) -> Any:
    """A customer of two projects who ordered, asked, and uses a token, an app and a passkey."""
    from django.conf import settings

    from freehold.master.notifications import actions as messages
    from freehold.master.notifications import outbox, reconcile
    from freehold.master.people import actions, identity, passkeys, second_factor
    from freehold.master.people.models import Project, Role
    from freehold.master.people.throttle import Throttle
    from freehold.master.support import actions as support
    from freehold.master.support.models import Ticket
    from support.passkeys import Device
    from support.running import tiny_release

    monkeypatch.setattr(actions, "throttle", Throttle())
    monkeypatch.setattr(second_factor, "throttle", Throttle())
    person = actions.add_person(EMAIL, PASSWORD, name="Ann", acting=identity.system())
    for project in (rooms.provider, rooms.shop):
        actions.give_role(person, Project.objects.get(id=project), Role.CUSTOMER, acting=identity.system())
    caller = identity.by_person(person.id)
    rooms.supply(rooms.publish(tiny_release()), rooms.node("rack"))
    rooms.request("web")
    support.ask("shop", "web", "slow", "It is slow, says Ann.", acting=caller)
    actions.make_token(person, title="backup", scopes=frozenset(identity.Scope))
    asked, ticket = passkeys.begin_adding(acting=caller)
    passkeys.add(ticket, Device().make(asked), "phone", acting=caller)
    Visitor(caller)
    choice = messages.MessageChoice(language="fr", time_zone="Europe/Paris", kinds={"shop": {"invoice.due": False}})
    messages.choose(choice, acting=caller)
    messages.add_webhook("shop", "https://ann.example.org/hook", acting=caller)
    monkeypatch.setattr(settings, "SMTP_URL", "smtp://127.0.0.1:1")
    reconcile.gather()
    outbox.make_mails()
    support.answer("shop", Ticket.objects.get(about__startswith="service:").id, "Look.", acting=rooms.customer)
    reconcile.gather()
    outbox.make_mails()
    return caller


def test_the_export_holds_what_is_kept_and_no_secret(ann: Any) -> None:
    from freehold.master.people import personal_data
    from freehold.master.people.models import ApiToken, Passkey, Person

    found = personal_data.export(acting=ann)
    assert found["account"]["email"] == EMAIL
    assert found["projects"] == [{"project": "provider", "role": "customer"}, {"project": "shop", "role": "customer"}]
    assert [one["title"] for one in found["tokens"] + found["passkeys"]] == ["backup", "phone"]
    assert found["messages"]["newest"][0]["text"] == "It is slow, says Ann."
    told = found["notifications"]
    assert (found["account"]["language"], told["settings"]["time_zone"]) == ("fr", "Europe/Paris")
    assert told["muted"] == [{"project": "shop", "kind": "invoice.due"}]
    assert told["webhooks"][0]["url"] == "https://ann.example.org/hook"
    assert told["mails"]["number"] == 1
    assert {"passkey.add", "ticket.ask"} & {one["verb"] for one in found["acts"]["newest"]}
    assert set(found["kept_after_deletion"]) == {"acts", "documents", "messages", "terms"}
    written = json.dumps(found)
    for secret in (Person.objects.get(email=EMAIL).password, ApiToken.objects.get().digest, Passkey.objects.get().key):
        assert secret not in written


def test_after_the_end_nothing_names_them_but_what_must_be_kept(ann: Any, rooms: "Rooms") -> None:
    from django.apps import apps

    from freehold.master.foundation.models import AuditRow
    from freehold.master.notifications.models import MessageSettings, MutedKind, OutgoingMessage, Webhook
    from freehold.master.people import actions, personal_data
    from freehold.master.people.models import Person

    personal_data.delete(PASSWORD, "", acting=ann)
    with pytest.raises(Unauthenticated):
        actions.log_in(EMAIL, PASSWORD)
    person = Person.objects.get(id=ann.person)
    assert (person.is_active, person.name, "@deleted.invalid" in person.email) == (False, "", True)
    named = set()
    for model in apps.get_models():
        for row in model.objects.all().values():
            if EMAIL in json.dumps(row, default=str):
                named.add(model)
    assert named == {AuditRow}
    for model in (MessageSettings, MutedKind, Webhook):
        assert not model.objects.exists()
    assert not OutgoingMessage.objects.filter(person=ann.person).exists()
    assert "It is slow, says Ann." in Visitor(rooms.owner).reads(
        f"/tickets/shop/{_ticket()}" if "shop" in rooms.owner.roles else f"/tickets/provider/{_ticket()}"
    )


def _ticket() -> str:
    from freehold.master.support.models import Ticket

    return str(Ticket.objects.get(about__startswith="service:").id)


def test_the_address_is_free_for_somebody_else(ann: Any) -> None:
    from freehold.master.people import actions, identity, personal_data

    personal_data.delete(PASSWORD, "", acting=ann)
    other = actions.add_person(EMAIL, PASSWORD, acting=identity.system())
    assert other.id != ann.person
    assert identity.by_person(other.id).roles == {}


def test_only_who_proves_it_deletes_an_account(ann: Any) -> None:
    import pyotp

    from freehold.master.foundation import clock
    from freehold.master.people import personal_data, second_factor
    from freehold.master.people.models import Person

    with pytest.raises(Invalid):
        personal_data.delete("not the password at all", "", acting=ann)
    key = second_factor.new_key()
    codes = second_factor.confirm(key, pyotp.TOTP(key).at(clock.now() // 1000), acting=ann)
    for code in ("", "000000"):
        with pytest.raises(Invalid):
            personal_data.delete(PASSWORD, code, acting=ann)
    assert Person.objects.get(id=ann.person).is_active
    personal_data.delete(PASSWORD, codes[0], acting=ann)
    assert not Person.objects.get(id=ann.person).is_active


def test_the_only_owner_of_a_project_stays_until_there_is_another(ann: Any, rooms: "Rooms") -> None:
    from freehold.master.people import actions, identity, personal_data
    from freehold.master.people.models import Membership, Person, Project, Role

    shop, person = Project.objects.get(id=rooms.shop), Person.objects.get(id=ann.person)
    actions.give_role(person, shop, Role.OWNER, acting=identity.system())
    with pytest.raises(Conflict, match="only owner of shop"):
        personal_data.delete(PASSWORD, "", acting=ann)
    assert Membership.objects.filter(person=person).count() == 2
    other = Person.objects.get(id=rooms.customer.person)
    actions.give_role(other, shop, Role.OWNER, acting=identity.system())
    personal_data.delete(PASSWORD, "", acting=ann)
    assert not Membership.objects.filter(person=person).exists()


def test_it_is_done_on_the_page_of_the_account(ann: Any) -> None:
    visitor = Visitor(ann)
    file = visitor.get("/account/data.json")
    assert file["Content-Disposition"].startswith("attachment")
    assert json.loads(file.content)["account"]["email"] == EMAIL
    refused = visitor.post("/account/data", {"password": "wrong but long"})
    assert (refused.status_code, "E-mail or password is wrong" in text(refused)) == (422, True)
    done = visitor.post("/account/data", {"password": PASSWORD})
    assert (done.status_code, done["Location"]) == (302, "/login")
    assert visitor.get("/account").status_code == 302


def test_what_was_said_stays_said_also_when_its_author_left(ann: Any) -> None:
    from django.db import IntegrityError, connection, transaction

    from freehold.master.people import personal_data
    from freehold.master.support.models import Message

    personal_data.delete(PASSWORD, "", acting=ann)
    said = Message.objects.get(text__startswith="It is slow")
    for change in (
        "text = 'It is fast.'",
        "author = 'ann@example.org'",
        "author = 'pers-1@deleted.invalid', text = 'no'",
        "at = 5",
    ):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"UPDATE support_message SET {change} WHERE id = %s", [said.id])
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM support_message WHERE id = %s", [said.id])

"""Letters: a forgotten password is replaced by mail, and nobody learns from the page who has an account."""

import re
from typing import TYPE_CHECKING

import pytest

from freehold.master.foundation.errors import Invalid, TooManyTries, Unauthenticated, Unavailable
from freehold.master.people.throttle import FREE_FAILURES
from support.happenings import CUSTOMER, Clock, Killed, die_at
from support.lettering import code_of, deliver
from support.mailbox import Mailbox, text
from support.panels import Visitor
from support.panels import text as page_text

if TYPE_CHECKING:
    from support.rooms import Rooms

NEW = "another battery of horses"


@pytest.fixture(autouse=True)
def fresh(untried: None) -> None:
    """Nobody has tried or asked for anything yet."""


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def ask(email: str = CUSTOMER, **more: str) -> None:
    from freehold.master.people import resets

    resets.ask_reset(email, **more)


def use(code: str, new: str = NEW, email: str = CUSTOMER) -> None:
    from freehold.master.people import resets

    resets.use_reset(email, code, new, "home")


def test_somebody_sees_whether_mail_reaches_them_and_if_not_why(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    desk = Visitor(rooms.customer)
    assert desk.post("/account/messages", {"test": "yes"}).status_code == 302
    deliver()
    assert box.subjects() == ["A test"]
    assert box.mails[0]["To"] == CUSTOMER
    page = desk.reads("/account/messages")
    assert "A test" in page
    assert "A test" not in Visitor(rooms.owner).reads("/account/messages"), "it is nobody else's"
    for _ in range(2):
        assert desk.post("/account/messages", {"test": "yes"}).status_code == 302
    refused = desk.post("/account/messages", {"test": "yes"})
    assert refused.status_code == 429


def test_who_forgot_the_password_sets_another_one_by_the_link_of_a_mail(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions
    from freehold.master.people.identity import Scope, by_token
    from freehold.master.people.models import Person

    token, _ = actions.make_token(Person.objects.get(email=CUSTOMER), title="robot", scopes=frozenset({Scope.READ}))
    desk, stranger = Visitor(rooms.customer), Visitor(None)
    assert stranger.post("/forgotten", {"email": f" {CUSTOMER.upper()} "}).status_code == 200
    deliver()
    (mail,) = box.mails
    assert mail["To"] == CUSTOMER
    assert box.subjects() == ["Set another password"]
    assert desk.get("/account").status_code == 200, "asking ends nothing"
    link = f"https://cloud.example.net/reset#{code_of(mail)}"
    html = mail.get_body(("html",))
    assert html is not None
    assert f'href="{link}"' in html.get_content()
    # Who runs no scripts pastes the whole link.
    done = stranger.post("/reset", {"email": CUSTOMER, "code": link, "password": NEW})
    assert done.status_code == 200
    assert actions.log_in(CUSTOMER, NEW)
    assert desk.get("/account").status_code == 302
    with pytest.raises(Unauthenticated):
        by_token(token)
    with pytest.raises(Unauthenticated):
        use(code_of(mail), "yet another battery")


def test_no_code_of_a_letter_stands_in_the_database(rooms: "Rooms", box: Mailbox) -> None:
    from django.apps import apps

    ask()
    deliver()
    code = code_of(box.mails[0])
    kept = str([list(model._default_manager.values()) for model in apps.get_models()])
    assert "letter.mail" in kept
    assert code not in kept
    assert code.removeprefix("fhr_") not in kept


@pytest.mark.parametrize("language", ["en", "fr", "zh-hans"])
def test_the_page_tells_nobody_who_has_an_account(rooms: "Rooms", box: Mailbox, language: str) -> None:
    from freehold.master.people.models import MailLetter

    stranger = Visitor(None, language)
    answers = [stranger.post("/forgotten", {"email": email}) for email in (CUSTOMER, "nobodyyy@shop.example")]
    assert [one.status_code for one in answers] == [200, 200]
    said = [page_text(one).replace("nobodyyy", "customer") for one in answers]
    assert said[0] == said[1]
    assert MailLetter.objects.count() == 2, "both are asked for alike"
    deliver()
    assert {mail["To"] for mail in box.mails} == {CUSTOMER}


def test_asking_is_the_same_work_whether_there_is_an_account_or_not(rooms: "Rooms", box: Mailbox) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def statements(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            ask(email)
        return [re.sub(r"'[^']*'|\d+", "?", one["sql"]) for one in captured.captured_queries]

    assert statements(CUSTOMER) == statements("nobody@shop.example")


def test_a_letter_is_in_the_language_of_its_reader_or_else_of_the_page(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions

    Visitor(None, "fr").post("/forgotten", {"email": CUSTOMER})
    deliver()
    actions.set_language("zh-hans", acting=rooms.customer)
    Visitor(None, "fr").post("/forgotten", {"email": CUSTOMER})
    deliver()
    french, chinese = box.mails
    assert "une heure" in text(french)
    assert "一小时" in text(chinese)


def test_a_link_is_over_after_an_hour_and_forgotten_with_its_message(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.notifications.models import OutgoingMessage
    from freehold.master.people import reconcile
    from freehold.master.people.models import MailLetter

    ask()
    deliver()
    time.minutes(59)
    reconcile.clean_up()
    with pytest.raises(Invalid):
        use(code_of(box.mails[0]), "short")
    time.minutes(2)
    with pytest.raises(Unauthenticated):
        use(code_of(box.mails[0]))
    reconcile.clean_up()
    assert not MailLetter.objects.exists()
    assert not OutgoingMessage.objects.exists()


def test_a_letter_that_the_mail_server_did_not_take_in_time_is_not_sent_later(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    box.refusals = ["450 later"] * 20
    ask()
    for _ in range(5):
        deliver()
        time.minutes(16)
    box.refusals.clear()
    time.minutes(60)
    deliver()
    assert box.mails == []


def test_each_change_of_a_password_is_told_to_its_owner(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person

    person = Person.objects.get(email=CUSTOMER)
    actions.set_password(person, "one that staff has set", acting=identity.system())
    actions.change_password("one that staff has set", NEW, acting=rooms.customer)
    deliver()
    ask()
    deliver()
    use(code_of(box.mails[-1]), "yet another battery")
    deliver()
    changed = "Your password was changed"
    assert box.subjects(CUSTOMER) == [changed, changed, "Set another password", changed]
    assert "#" not in text(box.mails[-1])
    assert "battery" not in "".join(map(text, box.mails))


def test_a_wrong_code_is_the_same_work_whether_there_is_an_account_or_not(rooms: "Rooms", box: Mailbox) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def statements(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured, pytest.raises(Unauthenticated):
            use("fhr_wrong", email=email)
        return [re.sub(r"'[^']*'|\d+", "?", one["sql"]) for one in captured.captured_queries]

    assert statements(CUSTOMER) == statements("nobody@shop.example")


def test_all_letters_to_an_account_end_with_a_change_of_its_password_or_its_end(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person

    person = Person.objects.get(email=CUSTOMER)
    ask()
    ask()
    deliver()
    first, second = map(code_of, box.mails)
    assert first != second
    use(second)
    with pytest.raises(Unauthenticated):
        use(first)
    deliver()
    ask()
    deliver()
    actions.set_active(person, False, acting=identity.system())
    actions.set_active(person, True, acting=identity.system())
    with pytest.raises(Unauthenticated):
        use(code_of(box.mails[-1]))


def test_a_letter_asked_for_by_a_stranger_voids_no_code_of_staff(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import identity, resets
    from freehold.master.people.models import Person

    code, _ = resets.make_reset(Person.objects.get(email=CUSTOMER), acting=identity.system())
    ask()
    deliver()
    use(code)


def test_a_code_opens_only_the_account_it_was_mailed_to(rooms: "Rooms", box: Mailbox) -> None:
    ask()
    deliver()
    for email in (rooms.owner.actor, "nobody@example.org", "a\0b@example.org"):
        with pytest.raises(Unauthenticated):
            use(code_of(box.mails[0]), email=email)
    use(code_of(box.mails[0]))


def test_a_second_factor_stays_demanded(rooms: "Rooms", box: Mailbox) -> None:
    import pyotp

    from freehold.master.foundation.errors import SecondFactorNeeded
    from freehold.master.people import actions, second_factor

    key = second_factor.new_key()
    second_factor.confirm(key, pyotp.TOTP(key).now(), acting=rooms.customer)
    ask()
    deliver()
    use(code_of(box.mails[0]))
    with pytest.raises(SecondFactorNeeded):
        second_factor.prove(actions.log_in(CUSTOMER, NEW), "")


def test_three_letters_an_hour_go_to_one_address_and_who_asks_often_pauses(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    for number in range(5):
        ask(address=f"house {number}")
        deliver()
    assert len(box.mails) == 3
    time.minutes(61)
    ask()
    deliver()
    assert len(box.mails) == 4
    for number in range(FREE_FAILURES):
        ask(f"{number}@example.org", address="robot")
    with pytest.raises(TooManyTries):
        ask(address="robot")


def test_a_flood_of_one_kind_of_letters_keeps_no_other_and_is_over_after_an_hour(
    rooms: "Rooms", box: Mailbox, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from freehold.master.people import identity, letters, sign_up

    monkeypatch.setattr(letters, "MOST_IN_ALL", 5)
    sign_up.set_mode("open", acting=identity.system())

    def come(number: int) -> None:
        sign_up.ask(f"{number}@example.org", "", NEW, address=f"house {number}")

    for number in range(5):
        come(number)
    with pytest.raises(TooManyTries):
        come(5)
    ask()
    deliver()
    assert "Set another password" in box.subjects(CUSTOMER)
    time.minutes(61)
    come(5)


def test_where_no_mail_is_sent_the_page_says_whom_to_ask(rooms: "Rooms") -> None:
    stranger = Visitor(None)
    assert "Ask who runs it for a code" in page_text(stranger.get("/forgotten"))
    assert stranger.post("/forgotten", {"email": CUSTOMER}).status_code == 503
    with pytest.raises(Unavailable):
        ask()


def test_a_master_without_an_address_of_its_own_mails_the_code_alone(
    rooms: "Rooms", box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "PUBLIC_URL", "")
    ask()
    deliver()
    (code,) = re.findall(r"^The code: (fhr_\S+)$", text(box.mails[0]), re.MULTILINE)
    use(code)


def test_a_letter_goes_before_other_mail_and_waits_for_no_quiet_hour(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.notifications import actions
    from freehold.master.notifications.models import OutgoingMessage

    actions.choose(actions.MessageChoice(quiet_hours="00:00-23:59", most=1), acting=rooms.customer)
    ask()
    OutgoingMessage.objects.create(id="msg-a", person_id=rooms.customer.person, due_at=0, made_at=0, queued_at=time.now)
    deliver()
    assert box.subjects()[0] == "Set another password"


def test_a_master_that_is_killed_at_any_point_loses_no_letter_and_writes_it_with_the_same_code(
    box: Mailbox, time: Clock, database: str
) -> None:
    from conftest import empty_tables
    from support.rooms import Rooms

    doubled, number, is_over = list[str](), 0, False
    while not is_over:
        empty_tables()
        Rooms(database)
        ask()
        box.mails.clear()
        with die_at(number) as passed:
            try:
                deliver()
                is_over = True
            except Killed:
                number += 1
        for _ in range(3):
            time.minutes(11)
            deliver()
        assert len({code_of(mail) for mail in box.mails}) == 1, passed
        assert len({mail["Message-ID"] for mail in box.mails}) == 1, passed
        if len(box.mails) > 1:
            doubled.append(passed[-1])
        use(code_of(box.mails[0]))
    assert number > 4
    assert doubled == ["message-sent", "act-not-committed"], "between the server's word and the commit, nowhere else"


def test_what_is_kept_about_a_person_names_their_letters_and_ends_with_the_account(
    rooms: "Rooms", box: Mailbox
) -> None:
    from freehold.master.people import actions, identity, personal_data
    from freehold.master.people.models import MailLetter, Person

    actions.set_password(Person.objects.get(email=CUSTOMER), NEW, acting=identity.system())
    ask()
    told = personal_data.export(acting=rooms.customer)["letters"]
    assert sorted(one["kind"] for one in told) == ["changed", "reset"]
    personal_data.delete(NEW, "", acting=rooms.customer)
    assert not MailLetter.objects.exists()

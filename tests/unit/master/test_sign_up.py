"""People come by themselves: they prove their address, staff may have a say, and nobody gets a farm for free."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from freehold.master.foundation.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    QuotaExceeded,
    TooManyTries,
    Unauthenticated,
)
from freehold.master.people.throttle import FREE_FAILURES
from support.happenings import CUSTOMER, Clock, Killed, die_at
from support.lettering import code_of, deliver
from support.mailbox import Mailbox, text
from support.panels import Visitor, staff
from support.panels import text as page_text

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms

EVE, WORD = "eve@example.net", "a battery of eve's own"


@pytest.fixture(autouse=True)
def fresh(untried: None) -> None:
    """Nobody has tried or asked for anything yet."""


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def let_in(mode: str = "open") -> None:
    from freehold.master.people import identity, sign_up

    sign_up.set_mode(mode, acting=identity.system())


def ask(email: str = EVE, **more: Any) -> None:
    from freehold.master.people import sign_up

    sign_up.ask(email, "Eve", WORD, **more)


def confirm(code: str, email: str = EVE, password: str = WORD, address: str = "home") -> Any:
    from freehold.master.people import sign_up

    return sign_up.confirm(email, code, password, address)


def come(box: Mailbox, email: str = EVE) -> Any:
    """Have somebody sign up and prove their address."""
    ask(email)
    deliver()
    return confirm(code_of(box.of(email)[-1]), email)


def people() -> set[str]:
    from freehold.master.people.models import Person

    return set(Person.objects.values_list("email", flat=True))


def asking() -> int:
    from freehold.master.people.models import SignUp

    return SignUp.objects.count()


def test_somebody_signs_up_proves_the_address_and_has_a_project_of_their_own(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Role

    let_in()
    stranger = Visitor(None)
    assert 'href="/sign-up"' in stranger.get("/login").content.decode()
    answer = stranger.post("/sign-up", {"email": " Eve@Example.Net", "name": "Eve", "password": WORD, "language": "fr"})
    assert answer.status_code == 200
    assert EVE not in people(), "the address is not proven"
    with pytest.raises(Unauthenticated):
        actions.log_in(EVE, WORD)
    deliver()
    (mail,) = box.of(EVE)
    assert box.subjects() == ["Confirmer votre adresse"]
    assert "https://cloud.example.net/sign-up/confirm#fhc_" in text(mail)
    assert WORD not in text(mail)
    done = stranger.post("/sign-up/confirm", {"email": EVE, "code": code_of(mail), "password": WORD})
    assert "Your account is open" in page_text(done)
    caller = identity.by_person(actions.log_in(EVE, WORD).id)
    (project,) = caller.roles
    assert project.startswith("eve-")
    assert caller.roles[project] is Role.OWNER
    assert not caller.is_staff
    assert Person.objects.filter(email=EVE).values_list("name", "language").get() == ("Eve", "fr")
    assert asking() == 0


def test_nobody_signs_up_unless_staff_said_so(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import identity, sign_up

    stranger = Visitor(None)
    assert 'href="/sign-up"' not in stranger.get("/login").content.decode()
    assert "Nobody can sign up here" in page_text(stranger.get("/sign-up"))
    with pytest.raises(Conflict):
        ask()
    let_in()
    ask()
    deliver()
    let_in("closed")
    with pytest.raises(Conflict):
        confirm(code_of(box.mails[0]))
    with pytest.raises(Forbidden):
        sign_up.set_mode("open", acting=rooms.customer)
    with pytest.raises(Invalid):
        sign_up.set_mode("ajar", acting=identity.system())


def test_without_mail_nobody_can_be_let_in(rooms: "Rooms") -> None:
    from freehold.master.people import sign_up

    with pytest.raises(Conflict):
        let_in()
    assert sign_up.mode() == "closed"


@pytest.mark.parametrize("language", ["en", "fr", "zh-hans"])
def test_signing_up_tells_nobody_who_has_an_account_but_its_owner(rooms: "Rooms", box: Mailbox, language: str) -> None:
    let_in()
    stranger = Visitor(None, language)
    typed = {"name": "Eve", "password": WORD, "language": "en"}
    answers = [stranger.post("/sign-up", {"email": email, **typed}) for email in (CUSTOMER, "nobodyyy@shop.example")]
    assert [one.status_code for one in answers] == [200, 200]
    assert page_text(answers[0]) == page_text(answers[1]).replace("nobodyyy", "customer")
    deliver()
    assert box.subjects(CUSTOMER) == ["You have an account already"]
    assert "#" not in text(box.of(CUSTOMER)[0])
    assert box.subjects("nobodyyy@shop.example") == ["Confirm your address"]


def test_signing_up_is_the_same_work_for_an_address_that_has_an_account(rooms: "Rooms", box: Mailbox) -> None:
    import re

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    let_in()

    def statements(email: str) -> list[str]:
        with CaptureQueriesContext(connection) as captured:
            ask(email)
        return [re.sub(r"'[^']*'|\d+", "?", one["sql"]) for one in captured.captured_queries]

    assert statements(CUSTOMER) == statements("nobody@shop.example")


def test_the_password_of_a_stranger_comes_onto_no_account(rooms: "Rooms", box: Mailbox) -> None:
    """Somebody signs up with the address of Eve, who opens the link without knowing what was chosen."""
    let_in()
    ask()
    deliver()
    code = code_of(box.mails[0])
    with pytest.raises(Unauthenticated):
        confirm(code, password="what eve would choose")
    for email in ("other@example.net", "a\0b@example.net", CUSTOMER):
        with pytest.raises((Unauthenticated, Invalid)):
            confirm(code, email)
    assert EVE not in people()
    assert confirm(code).email == EVE
    with pytest.raises(Unauthenticated):
        confirm(code)


def test_codes_are_guessed_no_faster_than_passwords_and_asked_for_slowly(rooms: "Rooms", box: Mailbox) -> None:
    let_in()
    ask()
    deliver()
    for number in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            confirm(f"fhc_{number}", address="robot")
    with pytest.raises(TooManyTries):
        confirm(code_of(box.mails[0]), address="robot")
    for number in range(FREE_FAILURES):
        ask(f"{number}@example.net", address="robot")
    with pytest.raises(TooManyTries):
        ask("last@example.net", address="robot")


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("email", {"email": "nobody"}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "a\nb"}),
        ("language", {"language": "tlh"}),
        ("password", {"password": "short"}),
        ("terms", {"accepted": ["terms-1"]}),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    rooms: "Rooms", box: Mailbox, field: str, wrong: dict[str, Any]
) -> None:
    from freehold.master.people import sign_up

    let_in()
    typed = {"email": EVE, "name": "Eve", "password": WORD, **wrong}
    with pytest.raises(Invalid) as told:
        sign_up.ask(typed.pop("email"), typed.pop("name"), typed.pop("password"), **typed)
    assert told.value.errors[0].field == field
    assert asking() == 0


def test_who_does_not_prove_the_address_is_forgotten_after_two_days(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.people import reconcile
    from freehold.master.people.models import MailLetter

    let_in()
    ask()
    deliver()
    time.minutes(2 * 24 * 60 - 1)
    reconcile.clean_up()
    assert asking() == 1
    time.minutes(2)
    with pytest.raises(Unauthenticated):
        confirm(code_of(box.mails[0]))
    reconcile.clean_up()
    assert asking() == 0
    assert not MailLetter.objects.exists()


def test_a_stranger_without_an_account_leaves_no_trace_in_the_audit(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.foundation.models import AuditRow

    let_in()
    ask()
    deliver()
    assert EVE not in str(list(AuditRow.objects.values()))


def test_staff_accepts_who_waits_and_they_are_told(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions
    from freehold.master.people.sign_up import waiting

    let_in("approval")
    ask()
    deliver()
    stranger, desk = Visitor(None), Visitor(staff())
    said = stranger.post("/sign-up/confirm", {"email": EVE, "code": code_of(box.mails[0]), "password": WORD})
    assert "The provider looks at your request" in page_text(said)
    assert EVE not in people()
    assert EVE in desk.reads("/desk/provider")
    assert EVE in desk.reads("/sign-ups")
    asked = waiting().get().id
    assert desk.post("/sign-ups", {"act": "accept", "sign_up": asked}).status_code == 302
    assert actions.log_in(EVE, WORD)
    deliver()
    assert box.subjects(EVE) == ["Confirm your address", "Your account is open"]
    assert desk.post("/sign-ups", {"act": "accept", "sign_up": asked}).status_code == 404


def test_staff_refuses_who_waits_for_a_reason_that_they_read(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import identity, sign_up

    let_in("approval")
    assert come(box) is None
    asked = sign_up.waiting().get().id
    with pytest.raises(Invalid):
        sign_up.refuse(asked, " ", acting=identity.system())
    with pytest.raises(Forbidden):
        sign_up.refuse(asked, "no", acting=rooms.customer)
    sign_up.refuse(asked, "We serve <b>companies</b> only.", acting=identity.system())
    deliver()
    mail = box.of(EVE)[-1]
    assert "We serve <b>companies</b> only." in text(mail)
    html = mail.get_body(("html",))
    assert html is not None
    assert "<b>companies" not in html.get_content()
    assert asking() == 0
    assert EVE not in people()
    with pytest.raises(NotFound):
        sign_up.accept(asked, acting=identity.system())


def test_who_asks_again_waits_once(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import sign_up

    let_in("approval")
    come(box)
    come(box)
    assert sign_up.waiting().count() == 1


def test_who_was_invited_meanwhile_is_not_made_again(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions, identity, sign_up

    let_in("approval")
    come(box)
    actions.add_person(EVE, "another one of staff", acting=identity.system())
    with pytest.raises(Conflict):
        sign_up.accept(sign_up.waiting().get().id, acting=identity.system())
    assert actions.log_in(EVE, "another one of staff")


def test_a_newcomer_has_five_instances_until_something_is_paid(market: "Market", box: Mailbox) -> None:
    from freehold.master.foundation.transactions import writing
    from freehold.master.people import identity, quotas
    from freehold.master.people.quotas import NEWCOMER, USUAL, Quota

    let_in()
    caller = identity.by_person(come(box).id)
    ((name, project),) = caller.projects.items()
    assert quotas.of_project(project) == {quota.value: most for quota, most in NEWCOMER.items()}
    assert quotas.limit(project, Quota.INSTANCES) == 5
    with pytest.raises(QuotaExceeded), writing():
        quotas.check(project, Quota.INSTANCES, lambda: 5)
    payer = market.customer("Eve", project=name)
    assert quotas.limit(project, Quota.INSTANCES) == 5, "nothing is paid yet"
    market.pay(payer, 1000)
    assert quotas.of_project(project) == {quota.value: most for quota, most in USUAL.items()}


def test_staff_gives_a_newcomer_other_quotas(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import identity, quotas
    from freehold.master.people.quotas import USUAL, Quota

    let_in()
    ((name, project),) = identity.by_person(come(box).id).projects.items()
    system = identity.system()
    quotas.set_limit(name, "instances", 7, acting=system)
    assert quotas.limit(project, Quota.INSTANCES) == 7
    quotas.set_limit(name, "instances", None, acting=system)
    assert quotas.limit(project, Quota.INSTANCES) == USUAL[Quota.INSTANCES]
    assert quotas.limit(project, Quota.NODES) == 3


def test_a_newcomer_makes_as_many_tokens_as_newcomers_may(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.people import actions
    from freehold.master.people.identity import Scope
    from freehold.master.people.quotas import NEWCOMER, Quota

    let_in()
    eve = come(box)
    for _ in range(NEWCOMER[Quota.TOKENS]):
        actions.make_token(eve, title="x", scopes=frozenset({Scope.READ}))
    with pytest.raises(QuotaExceeded):
        actions.make_token(eve, title="x", scopes=frozenset({Scope.READ}))


def test_a_master_that_is_killed_while_somebody_proves_the_address_makes_one_account_or_none(
    box: Mailbox, database: str
) -> None:
    from conftest import empty_tables
    from freehold.master.people.models import Membership, Newcomer
    from support.rooms import Rooms

    number, is_over = 0, False
    while not is_over:
        empty_tables()
        Rooms(database)
        let_in()
        ask()
        box.mails.clear()
        deliver()
        code = code_of(box.mails[0])
        with die_at(number) as passed:
            try:
                confirm(code)
                is_over = True
            except Killed:
                number += 1
        if EVE not in people():
            assert confirm(code).email == EVE, passed
        with pytest.raises(Unauthenticated):
            confirm(code)
        assert Membership.objects.filter(person__email=EVE).count() == Newcomer.objects.count() == 1
        assert asking() == 0
    assert number > 1


def test_of_two_at_the_same_moment_one_code_makes_one_account(rooms: "Rooms", box: Mailbox) -> None:
    from django.db import connection

    let_in()
    ask()
    deliver()
    code = code_of(box.mails[0])

    def take(number: int) -> bool:
        try:
            return confirm(code, address=f"house {number}") is not None
        except Unauthenticated:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as several:
        assert sorted(several.map(take, range(4))) == [False, False, False, True]
    assert EVE in people()

"""Messages leave the Master: to whom it concerns, once, in their language, and not more than they can read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.happenings import CUSTOMER, MINUTE, OPERATOR, Clock, Killed, assess, die_at, pass_by, shop, silence
from support.mailbox import Mailbox, mail_server, text

if TYPE_CHECKING:
    from support.market import Market
    from support.rooms import Rooms


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch, box: Mailbox) -> Clock:
    return Clock(monkeypatch)


def test_a_promise_that_is_broken_for_minutes_is_told_once_and_so_is_its_end(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    (web,) = shop(rooms, "web")
    assess(web, True, time)
    pass_by(time, 1)
    assess(web, False, time)
    pass_by(time, 4)
    assert box.mails == [], "it may be back at once"
    for _ in range(3):
        pass_by(time, 2)
    assert box.subjects() == ["web does not keep what it promises"]
    (mail,) = box.of(CUSTOMER)
    assert "web, port: refused" in text(mail)
    assert "https://cloud.example.net/services/shop/web" in text(mail)
    html = mail.get_body(("html",))
    assert html is not None
    assert 'href="https://cloud.example.net/services/shop/web"' in html.get_content()
    assert mail["From"] == "Freehold <cloud@example.net>"
    assess(web, True, time)
    pass_by(time, 1)
    pass_by(time, 1)
    assert box.subjects() == ["web does not keep what it promises", "web: every promise is kept again"]
    first, last = box.mails
    assert first["References"] == last["References"], "a mail program shows both together"
    assert first["Message-ID"] != last["Message-ID"]
    assess(web, False, time)
    pass_by(time, 6)
    assert len(box.mails) == 3, "another time"


def test_a_service_that_breaks_much_is_one_message(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    (web,) = shop(rooms, "web")
    for number in range(30):
        assess(web, False, time, promise=f"p{number:02}")
    pass_by(time, 6)
    (mail,) = box.mails
    assert "p00" in text(mail)
    assert "and 10 more" in text(mail)


def test_what_its_customer_stopped_is_not_told_as_broken_nor_as_mended(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.notifications.models import Cause
    from freehold.protocol.states import Wanted

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    assert len(box.mails) == 1
    rooms.request("web", None, state=Wanted.STOPPED)
    pass_by(time, 10)
    assert len(box.mails) == 1
    assert not Cause.objects.filter(ended_at=None).exists()


def test_a_dead_node_of_a_hundred_services_is_one_message_for_each_who_is_concerned(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    services = shop(rooms, *(f"s{number:03}" for number in range(100)))
    for service in services:
        assess(service, False, time)
    silence("rack", time.now)
    pass_by(time, 6)
    assert box.subjects(OPERATOR) == ["Node rack is silent"]
    assert box.subjects(CUSTOMER) == ["100 services cannot be reached"]
    assert "100 instances of 1 projects" in text(box.of(OPERATOR)[0])
    listed = text(box.of(CUSTOMER)[0])
    assert "s000" in listed
    assert "and 80 more" in listed
    pass_by(time, 60)
    assert len(box.mails) == 2
    silence("rack", None)
    for service in services:
        assess(service, True, time)
    pass_by(time, 1)
    assert box.subjects(OPERATOR)[1:] == ["Node rack is heard again"]
    assert box.subjects(CUSTOMER)[1:] == ["100 services can be reached again"]


def test_who_runs_a_node_and_orders_there_is_told_once(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.ordering import actions

    shop(rooms)
    actions.request(actions.Request("provider", "own", product="tiny"), acting=rooms.owner)
    silence("rack", time.now)
    pass_by(time, 6)
    assert box.subjects() == ["Node rack is silent"]


def test_a_silence_that_is_expected_is_told_when_it_is_exceeded(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.fleet.models import Site

    shop(rooms, "web")
    Site.objects.update(expected_silence=3600)
    silence("rack", time.now)
    pass_by(time, 30)
    assert box.mails == []
    pass_by(time, 31)
    assert sorted(box.subjects()) == ["1 service cannot be reached", "Node rack is silent"]


def test_a_node_that_its_operator_stopped_is_told_to_customers_only(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    shop(rooms, "web")
    silence("rack", time.now, stopped="services")
    pass_by(time, 6)
    assert [mail["To"] for mail in box.mails] == [CUSTOMER]
    assert "was stopped by its operator" in text(box.mails[0])


def test_a_release_that_fails_on_many_nodes_is_one_message_also_while_it_is_tried_again(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.fleet.models import Supply
    from support.running import tiny_release

    rooms.supply(rooms.publish(tiny_release()), *(rooms.node(f"n{number}") for number in range(3)))
    Supply.objects.update(observed="failed", message="gcc: no such file", observed_at=time.now)
    pass_by(time)
    (mail,) = box.mails
    assert mail["To"] == OPERATOR
    assert "tiny 1.0 cannot be built" in mail["Subject"]
    assert "On 3 nodes." in text(mail)
    assert "gcc: no such file" in text(mail)
    for state in ("building", "failed"):
        Supply.objects.update(observed=state)
        pass_by(time, 5)
    assert len(box.mails) == 1
    Supply.objects.update(observed="available")
    pass_by(time)
    assert box.subjects()[1:] == ["tiny 1.0 is built now"]


def test_an_order_that_is_not_there_after_a_while_is_told_and_so_is_that_it_came(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.ordering.models import InstanceRow

    (web,) = shop(rooms, "web")
    InstanceRow.objects.update(state="failed", message="no such parameter")
    pass_by(time, 14)
    assert box.mails == []
    pass_by(time, 2)
    pass_by(time, 2)
    (mail,) = box.of(CUSTOMER)
    assert mail["Subject"] == "[Freehold] web is not started yet"
    assert "web: no such parameter" in text(mail)
    InstanceRow.objects.update(state="started")
    pass_by(time, 1)
    assert box.subjects(CUSTOMER)[1:] == ["web is started"]
    assert web


def test_who_runs_the_master_is_told_in_time_that_its_certificate_ends(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.notifications import reconcile
    from freehold.master.people.models import Person

    Person.objects.filter(email=OPERATOR).update(is_staff=True)
    ends = list[int]()
    time.minutes(330 * 24 * 60)
    for day in range(36):
        reconcile.gather_slow()
        reconcile.deliver()
        ends += [day] * (len(box.mails) - len(ends))
        time.minutes(24 * 60)
    assert {mail["To"] for mail in box.mails} == {OPERATOR}
    assert "freehold master check" in text(box.mails[0])
    assert [ends[-1] - day for day in ends] == [29, 6, 0]


def test_an_announced_maintenance_is_told_to_whoever_has_services_there_and_so_is_that_it_was_withdrawn(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.fleet.models import Site
    from freehold.master.monitoring.models import Maintenance

    shop(rooms, "web", "more")
    day = 24 * 60 * MINUTE
    planned = [
        Maintenance.objects.create(
            site=Site.objects.get(), begins_at=time.now + 3 * day, ends_at=time.now + 3 * day + 60 * MINUTE,
            what=what, announced_at=time.now,
        )
        for what in ("new disks", "new power")
    ]  # fmt: skip
    pass_by(time, 1)
    pass_by(time, 1)
    assert box.subjects() == ["Maintenance of site here is announced"] * 2
    assert {mail["To"] for mail in box.mails} == {CUSTOMER}
    assert sorted(what for mail in box.mails for what in ("new disks", "new power") if what in text(mail)) == [
        "new disks", "new power",
    ]  # fmt: skip
    planned[1].delete()
    pass_by(time, 1)
    assert box.subjects()[2:] == ["The maintenance of site here is withdrawn"]
    pass_by(time, 5 * 24 * 60)
    pass_by(time, 1)
    assert len(box.mails) == 3, "that it is over is told by nobody"


def test_a_service_that_was_handed_over_is_told_to_whose_it_is(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.ordering.models import Instance

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    Instance.objects.filter(id=web).update(project_id=rooms.provider)
    pass_by(time, 1)
    assess(web, True, time)
    pass_by(time, 1)
    assert len(box.of(CUSTOMER)) == 1
    assert len(box.of(OPERATOR)) == 2


def test_each_kind_has_words_for_mails_pages_and_feeds(database: str) -> None:
    from freehold.master.notifications import wording
    from freehold.master.notifications.kinds import CauseKind
    from freehold.master.panel import labels

    assert set(wording._WORDS) == set(CauseKind)
    assert set(labels.KINDS) == {kind.value for kind in CauseKind}


def test_what_is_said_in_a_ticket_is_told_to_the_other_side(rooms: "Rooms", box: Mailbox) -> None:
    from freehold.master.support import actions

    shop(rooms, "web")
    ticket = actions.ask("shop", "web", "slow", "It takes\nminutes.", acting=rooms.customer)
    pass_by()
    (mail,) = box.mails
    assert (mail["To"], box.subjects()) == (OPERATOR, ["Ticket: web: slow"])
    assert "It takes\nminutes." in text(mail)
    actions.answer("provider", ticket.id, "Look now.", acting=rooms.owner)
    pass_by()
    pass_by()
    assert box.subjects(CUSTOMER) == ["Ticket: web: slow"]
    assert f"https://cloud.example.net/tickets/shop/{ticket.id}" in text(box.of(CUSTOMER)[0])
    assert len(box.mails) == 2


def test_invoices_are_told_when_made_before_they_are_due_and_when_they_are_not_paid(
    market: "Market", box: Mailbox
) -> None:
    from freehold.master.accounting.models import LegalEntity
    from freehold.master.notifications import reconcile

    def hour() -> list[str]:
        before = len(box.mails)
        for _ in range(2):
            reconcile.gather_slow()
            pass_by()
        return [subject for subject, mail in zip(box.subjects(), box.mails, strict=True)][before:]

    LegalEntity.objects.update(payment_days=14, stop_days=10)
    market.offer()
    market.prices(market.price(3000))
    ada = market.customer()
    market.pay(ada, 3000, "deposit")
    market.ready(market.order())
    market.bill("2026-04-01")
    assert hour() == ["Invoice FR-2026-000001 of FR Hosting"]
    assert "€36.00" in text(box.mails[0])
    assert "Due on 2026-04-15." in text(box.mails[0])
    market.turn("2026-04-11")
    assert hour() == []
    market.turn("2026-04-12")
    assert hour() == ["Invoice FR-2026-000001 of FR Hosting is due soon"]
    market.turn("2026-04-16")
    assert hour() == ["FR Hosting waits for a payment"]
    assert "Services are stopped on 2026-04-26 if it is not paid." in text(box.mails[-1])
    market.pay(ada, 3600)
    assert hour() == ["What FR Hosting waited for is paid"]
    assert {mail["To"] for mail in box.mails} == {CUSTOMER}


def test_a_budget_that_is_nearly_spent_is_told(market: "Market", box: Mailbox) -> None:
    from freehold.master.billing.subscriptions import budgets
    from freehold.master.support import reconcile as support

    market.offer()
    market.prices(market.price(3100))
    market.pay(market.customer(), 3100, "deposit")
    market.ready(market.order())
    budgets.set_budget("shop", 3200, "EUR", acting=market.rooms.customer)
    market.turn("2026-03-28")
    support.watch_money()
    pass_by()
    pass_by()
    assert box.subjects() == ["80 % of the budget of 2026-03 is spent"]


@pytest.mark.parametrize(
    ("language", "subject", "since"),
    [("fr", "web ne tient pas ses promesses", "Depuis"), ("zh-hans", "web 未履行承诺", "自")],
)
def test_each_reads_messages_in_their_language(
    rooms: "Rooms", box: Mailbox, time: Clock, language: str, subject: str, since: str
) -> None:
    from freehold.master.people.models import Person

    Person.objects.filter(email=CUSTOMER).update(language=language)
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    assert box.subjects() == [subject]
    assert since in text(box.mails[0])


def test_many_messages_in_a_short_time_become_one(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    services = shop(rooms, *(f"s{number}" for number in range(20)))
    for number, service in enumerate(services):
        assess(service, False, time)
        if number in (0, 1):
            pass_by(time, 6)
    pass_by(time, 6)
    assert box.subjects() == [*(f"s{number} does not keep what it promises" for number in (0, 1)), "18 messages"]
    assert all(f"s{number} does not keep" in text(box.mails[-1]) for number in range(2, 20))


def test_who_had_enough_messages_waits_and_then_reads_the_others_together(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    services = shop(rooms, *(f"s{number}" for number in range(9)))
    time.minutes(10)
    for service in services:
        assess(service, False, time)
        time.now -= 6 * MINUTE
        from freehold.master.monitoring.models import Assessment

        Assessment.objects.update(at=time.now)
        time.now += 6 * MINUTE
        pass_by(time, 0.1)
    assert len(box.mails) == 5
    pass_by(time, 8)
    assert len(box.mails) == 5
    pass_by(time, 2)
    assert box.subjects()[5:] == ["4 messages"]


def test_without_a_mail_server_everything_goes_on_and_nothing_is_kept_for_later(
    rooms: "Rooms", box: Mailbox, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    from freehold.master.notifications.models import Cause, Notice

    url = settings.SMTP_URL
    monkeypatch.setattr(settings, "SMTP_URL", "")
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    assert Cause.objects.count() == 1
    assert not Notice.objects.exists()
    monkeypatch.setattr(settings, "SMTP_URL", url)
    pass_by(time, 1)
    assert box.mails == []


def test_a_closed_account_and_a_stranger_get_no_mail(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.people.models import Person

    Person.objects.filter(email=CUSTOMER).update(is_active=False)
    (web,) = shop(rooms, "web")
    assess(web, False, time)
    pass_by(time, 6)
    assert box.mails == []


def test_what_others_said_is_text_in_a_mail_and_never_markup_or_a_header(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.support import actions

    (web,) = shop(rooms, "web")
    assess(web, False, time, message="<script>alert(1)</script>\x1b[2J\r\nBcc: all@example.org\n.\nQUIT")
    pass_by(time, 6)
    (mail,) = box.mails
    html = mail.get_body(("html",))
    assert html is not None
    assert "<script" not in html.get_content()
    assert "&lt;script&gt;" in html.get_content()
    assert "\x1b" not in text(mail)
    assert mail["Bcc"] is None
    assert "\n.\nQUIT" in text(mail)
    actions.ask("shop", "web", "é" * 150, "…", acting=rooms.customer)
    pass_by(time, 1)
    assert box.subjects(OPERATOR) == [f"Ticket: web: {'é' * 150}"]


# Nothing lost, nothing sent twice


def test_what_the_server_does_not_take_now_is_tried_again_under_the_same_id(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.notifications.models import OutgoingMessage

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    box.refusals.append("451 come back later")
    pass_by(time, 6)
    waiting = OutgoingMessage.objects.get()
    assert (waiting.state, waiting.error) == ("waiting", "451 come back later")
    pass_by(time, 0.05)
    assert box.mails == [], "not at once"
    pass_by(time, 0.2)
    (mail,) = box.mails
    assert waiting.id in mail["Message-ID"]


def test_what_the_server_never_takes_is_dead_and_can_be_put_back(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.notifications.models import OutgoingMessage

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    box.refusals.append("550 no such user")
    pass_by(time, 6)
    for _ in range(3):
        pass_by(time, 600)
    message = OutgoingMessage.objects.get()
    assert (message.state, message.error, box.mails) == ("dead", "550 no such user", [])


def test_a_server_that_is_away_is_asked_once_in_each_pause_and_gives_everything_later(
    rooms: "Rooms", box: Mailbox, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    from freehold.master.foundation.errors import Unavailable
    from freehold.master.notifications import reconcile, smtp
    from freehold.master.notifications.models import OutgoingMessage

    url, tries = settings.SMTP_URL, list[int]()
    connect = smtp.MailServer.connect

    def counted(server: smtp.MailServer) -> Any:
        tries.append(1)
        return connect(server)

    monkeypatch.setattr(smtp.MailServer, "connect", counted)
    monkeypatch.setattr(settings, "SMTP_URL", "smtp://127.0.0.1:1")
    for service in shop(rooms, "a", "b", "c"):
        assess(service, False, time)
    time.minutes(6)
    reconcile.gather()
    with pytest.raises(Unavailable, match="Connection refused"):
        reconcile.deliver()
    assert len(tries) == 1, "however much waits"
    assert reconcile.deliver() == 0
    for _ in range(30):
        time.minutes(60)
        try:
            reconcile.deliver()
        except Unavailable:
            pass
    assert len(tries) < 12
    monkeypatch.setattr(settings, "SMTP_URL", url)
    time.minutes(24 * 60)
    reconcile.deliver()
    assert len(box.mails) == 3
    assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {"sent"}


def test_what_cannot_be_sent_for_three_days_is_given_up(
    rooms: "Rooms", box: Mailbox, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    from freehold.master.foundation.errors import Unavailable
    from freehold.master.notifications import reconcile
    from freehold.master.notifications.models import OutgoingMessage

    monkeypatch.setattr(settings, "SMTP_URL", "smtp://127.0.0.1:1")
    for service in shop(rooms, "a", "b", "c"):
        assess(service, False, time)
    time.minutes(6)
    reconcile.gather()
    for _ in range(4 * 24):
        time.minutes(60)
        try:
            reconcile.deliver()
        except Unavailable:
            pass
    assert list(OutgoingMessage.objects.values_list("state", flat=True)) == ["dead"] * 3
    assert "refused" in OutgoingMessage.objects.first().error  # type: ignore[union-attr]


def test_two_masters_on_one_database_tell_once(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    """Both found the same before either wrote it; both find the same message due."""
    from freehold.master.notifications import causes, finders, outbox, reconcile

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    time.minutes(6)
    found = list(finders.broken_promises())
    assert causes.open_causes(found) == 1
    assert causes.open_causes(found) == 0
    outbox.make_mails()
    outbox.make_mails()
    mine = outbox.claim_mail()
    assert mine is not None
    assert outbox.claim_mail() is None, "it is another's to send"
    reconcile.deliver()
    assert box.mails == []
    pass_by(time, 11)
    assert len(box.mails) == 1, "whoever had it is dead: another sends it"


def test_masters_that_look_and_send_at_the_same_moment_tell_each_once(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    """Four on one database, none of which knows of another."""
    import threading

    from django.db import connections

    from freehold.master.notifications.models import Cause, OutgoingMessage

    choose(rooms.customer, most=1000)
    for service in shop(rooms, *(f"s{number:02}" for number in range(30))):
        assess(service, False, time)
    time.minutes(6)
    start, failures = threading.Barrier(4), list[Exception]()

    def master() -> None:
        start.wait(20)
        try:
            for _ in range(3):
                pass_by()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=master) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Cause.objects.count() == 30
    assert set(OutgoingMessage.objects.values_list("state", flat=True)) == {"sent"}
    assert sorted(box.subjects()) == [f"s{number:02} does not keep what it promises" for number in range(30)]


def test_a_mail_that_cannot_be_written_keeps_no_other(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.notifications.models import Cause, OutgoingMessage

    for service in shop(rooms, "a", "b"):
        assess(service, False, time)
    from freehold.master.notifications import reconcile

    time.minutes(6)
    reconcile.gather()
    first = Cause.objects.order_by("id").first()
    assert first is not None
    Cause.objects.filter(id=first.id).update(detail="{}")
    reconcile.deliver()
    assert len(box.mails) == 1
    assert OutgoingMessage.objects.exclude(error="").count() == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://mail.example", "no mail server"),
        ("smtp://", "no mail server"),
        ("smtp://[", "no mail server"),
        ("smtp://user:secret@mail.example", "holds a password"),
    ],
)
def test_an_address_of_no_mail_server_is_refused_and_a_password_is_not_repeated(url: str, reason: str) -> None:
    from freehold.master.foundation.errors import Invalid
    from freehold.master.notifications import smtp

    with pytest.raises(Invalid, match=reason) as caught:
        smtp.parse(url, "")
    assert "secret" not in f"{caught.value} {caught.value.remedy}"


def test_a_server_elsewhere_is_never_told_anything_in_clear(box: Mailbox) -> None:
    """This server has no STARTTLS; it is spoken to under its name of the loopback only."""
    import smtplib

    from freehold.master.notifications import smtp

    server = smtp.parse(f"smtp://127.0.0.1:{box.port}", "")
    server.connect().quit()
    assert smtp.is_loopback("localhost")
    assert not smtp.is_loopback("mail.example.org")
    import dataclasses

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smtp, "is_loopback", lambda host: False)
        with pytest.raises(smtplib.SMTPNotSupportedError, match="STARTTLS"):
            dataclasses.replace(server).connect()


def test_a_master_logs_in_with_the_password_of_a_file(
    rooms: "Rooms", time: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from aiosmtpd.smtp import AuthResult
    from django.conf import settings

    from freehold.master.foundation.errors import Unavailable
    from freehold.master.notifications.models import OutgoingMessage

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        good = (data.login, data.password) == (b"cloud@example.net", b"right password")
        return AuthResult(success=good, handled=False)

    secret = tmp_path / "secret"
    secret.write_text("wrong password\n")
    monkeypatch.setattr(settings, "SMTP_PASSWORD_FILE", str(secret))
    with mail_server(authenticator=check, auth_require_tls=False) as served:
        monkeypatch.setattr(settings, "SMTP_URL", f"smtp://cloud%40example.net@127.0.0.1:{served.port}")
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        with pytest.raises(Unavailable, match="535"):
            pass_by(time, 6)
        assert "wrong password" not in OutgoingMessage.objects.get().error
        secret.write_text("right password\n")
        pass_by(time, 1)
        assert served.subjects() == ["web does not keep what it promises"]


def test_a_server_whose_certificate_is_not_trusted_is_told_nothing(
    rooms: "Rooms", time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    from django.conf import settings

    from freehold.master.foundation.errors import Unavailable

    keys = Path(settings.ROOT) / "authority"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    with mail_server(tls_context=context) as served:
        monkeypatch.setattr(settings, "SMTP_URL", f"smtp://localhost:{served.port}")
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        with pytest.raises(Unavailable, match="certificate verify failed"):
            pass_by(time, 6)
        assert served.mails == []
        # As OpenSSL has it: the authorities of this process.
        monkeypatch.setenv("SSL_CERT_FILE", str(keys / "authority.pem"))
        pass_by(time, 1)
        assert len(served.mails) == 1


def test_what_a_clock_that_ran_ahead_put_off_for_a_year_is_told_now(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.foundation import clock
    from freehold.master.notifications import reconcile
    from freehold.master.notifications.models import OutgoingMessage

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    box.refusals += ["451 later"]
    pass_by(time, 6)
    year = time.now + 365 * clock.DAY
    assert OutgoingMessage.objects.update(due_at=year, claimed_until=year) == 1
    pass_by(time, 600)
    assert box.mails == []
    reconcile.clean_up()
    pass_by(time, 1)
    assert len(box.mails) == 1


def test_what_was_over_long_ago_is_forgotten(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    from freehold.master.notifications import reconcile
    from freehold.master.notifications.models import Cause, Notice, OutgoingMessage

    web, old = shop(rooms, "web", "old")
    for service in (web, old):
        assess(service, False, time)
    pass_by(time, 6)
    assess(old, True, time)
    pass_by(time, 6)
    pass_by(time, 101 * 24 * 60)
    reconcile.clean_up()
    assert [cause.subject for cause in Cause.objects.all()] == [web], "what goes on stays known"
    assert Notice.objects.count() == OutgoingMessage.objects.count() == 1


def test_a_master_that_is_killed_at_any_point_loses_nothing_and_doubles_only_what_was_just_taken(
    box: Mailbox, time: Clock, database: str
) -> None:
    """The ends of a process, one after the other: each time the next point at which it could die is the one."""
    from conftest import empty_tables
    from support.rooms import Rooms

    doubled, number, is_over = list[str](), 0, False
    while not is_over:
        empty_tables()
        rooms = Rooms(database)
        (web,) = shop(rooms, "web")
        assess(web, False, time)
        time.minutes(6)
        box.mails.clear()
        with die_at(number) as passed:
            try:
                pass_by()
                is_over = True
            except Killed:
                number += 1
        for _ in range(3):
            pass_by(time, 11)
        assert len({mail["Message-ID"] for mail in box.mails}) == 1, passed
        if len(box.mails) > 1:
            doubled.append(passed[-1])
    assert number > 8
    assert doubled == ["message-sent", "act-not-committed"], "between the server's word and the commit, nowhere else"


def test_the_check_of_a_master_says_what_is_wrong_with_its_mail(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.conf import settings

    from freehold.master.notifications.mail import misconfigured

    assert misconfigured() == []
    for name, value in (
        ("SMTP_PASSWORD_FILE", "/nowhere/secret"),
        ("MAIL_FROM", "nobody"),
        ("PUBLIC_URL", "ftp://cloud"),
    ):
        monkeypatch.setattr(settings, name, value)
    assert [words.partition(" ")[0] for words in misconfigured()] == [
        "FREEHOLD_SMTP_PASSWORD_FILE", "FREEHOLD_MAIL_FROM", "FREEHOLD_PUBLIC_URL",
    ]  # fmt: skip
    monkeypatch.setattr(settings, "SMTP_URL", "")
    assert misconfigured() == []


# What people choose


def choose(caller: Any, **choice: Any) -> None:
    from freehold.master.notifications import actions

    actions.choose(actions.MessageChoice(**choice), acting=caller)


def test_nobody_is_told_by_mail_of_what_they_muted_in_a_project(rooms: "Rooms", box: Mailbox, time: Clock) -> None:
    (web,) = shop(rooms, "web")
    choose(rooms.customer, kinds={"shop": {"promise.broken": False}})
    assess(web, False, time)
    pass_by(time, 6)
    assert box.mails == []
    silence("rack", time.now)
    pass_by(time, 6)
    assert len(box.of(CUSTOMER)) == 1, "of all else they are"
    choose(rooms.customer, kinds={"shop": {"promise.broken": True}})
    silence("rack", None)
    assess(web, True, time)
    pass_by(time, 1)
    assess(web, False, time)
    pass_by(time, 6)
    assert box.subjects(CUSTOMER)[-1] == "web does not keep what it promises"


@pytest.mark.parametrize(
    ("at", "hours", "awake"),
    [
        ("2026-07-01T23:30", "22:00-07:00", "2026-07-02T07:00"),
        ("2026-07-02T06:59", "22:00-07:00", "2026-07-02T07:00"),
        ("2026-07-02T07:00", "22:00-07:00", "2026-07-02T07:00"),
        ("2026-07-01T21:59", "22:00-07:00", "2026-07-01T21:59"),
        ("2026-07-01T12:30", "12:00-14:00", "2026-07-01T14:00"),
        ("2026-07-01T14:30", "12:00-14:00", "2026-07-01T14:30"),
        ("2026-07-01T23:59", "22:00-00:00", "2026-07-02T00:00"),
        # The night in which clocks are put back has an hour more, that of spring one less.
        ("2026-10-24T23:00", "22:00-07:00", "2026-10-25T07:00"),
        ("2026-03-28T23:00", "22:00-07:00", "2026-03-29T07:00"),
    ],
)
def test_quiet_hours_are_those_of_a_place(rooms: "Rooms", at: str, hours: str, awake: str) -> None:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from freehold.master.notifications.hours import next_awake
    from freehold.master.notifications.models import MessageSettings

    def moment(text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Paris")).timestamp() * 1000)

    choose(rooms.customer, time_zone="Europe/Paris", quiet_hours=hours)
    assert next_awake(moment(at), MessageSettings.objects.get()) == moment(awake)


def test_what_happens_in_quiet_hours_comes_together_after_them(
    rooms: "Rooms", box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import UTC, datetime

    time = Clock(monkeypatch)
    time.now = int(datetime(2027, 1, 5, 23, 0, tzinfo=UTC).timestamp() * 1000)
    web, shop_ = shop(rooms, "web", "shop")
    choose(rooms.customer, time_zone="Europe/Paris", quiet_hours="22:00-07:00", most=1)
    for service in (web, shop_):
        assess(service, False, time)
    pass_by(time, 6)
    assess(web, True, time)
    pass_by(time, 1)
    assert box.mails == []
    pass_by(time, 7 * 60)
    (mail,) = box.mails
    assert mail["Subject"] == "[Freehold] 2 messages"
    assert "web: every promise is kept again" in text(mail)
    assert "web does not keep" not in text(mail), "of what is over by then its end is told"
    assert "From 2027-01-06 00:00 CET to 2027-01-06 00:07 CET." in text(mail)
    assert "shop does not keep what it promises" in text(mail)


def test_who_left_a_project_reads_nothing_of_it_any_more_however_long_a_message_waited(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from freehold.master.notifications.models import OutgoingMessage
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Project

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    box.refusals.append("451 come back later")
    pass_by(time, 6)
    customer = Person.objects.get(email=CUSTOMER)
    actions.remove_role(customer, Project.objects.get(name="shop"), acting=identity.system())
    pass_by(time, 60)
    message = OutgoingMessage.objects.get()
    assert (box.mails, message.state) == ([], "dead")
    assert "may not know" in message.error


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        ({"time_zone": "Europe/Nowhere"}, "time_zone"),
        ({"quiet_hours": "25:00-07:00"}, "quiet_hours"),
        ({"quiet_hours": "07:00-07:00"}, "quiet_hours"),
        ({"most": 0}, "most"),
        ({"language": "tlh"}, "language"),
        ({"kinds": {"provider": {"promise.broken": False}}}, "kinds.provider"),
        ({"kinds": {"shop": {"node.silent": False}}}, "kinds.shop"),
        ({"kinds": {"shop": {"promise\0": False}}}, "kinds.shop"),
    ],
)
def test_a_choice_that_cannot_be_changes_nothing(rooms: "Rooms", choice: dict[str, Any], field: str) -> None:
    from freehold.master.foundation.errors import Invalid
    from freehold.master.notifications import queries

    before = queries.chosen(rooms.customer)
    with pytest.raises(Invalid) as refused:
        choose(rooms.customer, **{"time_zone": "Europe/Paris", "most": 7, **choice})
    assert [error.field for error in refused.value.errors] == [field]
    assert queries.chosen(rooms.customer) == before


def test_the_page_of_messages_shows_what_was_chosen_and_sent_and_sends_again(
    rooms: "Rooms", box: Mailbox, time: Clock
) -> None:
    from support.panels import Visitor, inputs
    from support.panels import text as reads

    (web,) = shop(rooms, "web")
    assess(web, False, time)
    box.refusals.append("550 no such user")
    pass_by(time, 6)
    visitor = Visitor(rooms.customer)
    page = visitor.get("/account/messages")
    assert "given up" in reads(page)
    assert "550 no such user" in reads(page)
    assert "web does not keep what it promises" in reads(page)
    assert "A node is silent" not in reads(page), "who runs no node is told of none"
    message = inputs(page)["message"]["value"]
    assert Visitor(rooms.owner).post("/account/messages", {"message": message}).status_code == 404
    assert visitor.post("/account/messages", {"message": message}).status_code == 302
    pass_by(time, 1)
    assert box.subjects() == ["web does not keep what it promises"]
    form = {
        "language": "fr", "time_zone": "Europe/Paris", "quiet_from": "22:00", "quiet_until": "07:00", "most": "3",
        "tell": ["shop/invoice.due"],
    }  # fmt: skip
    assert visitor.post("/account/messages", form).status_code == 302
    shown = inputs(visitor.get("/account/messages"))
    assert (shown["time_zone"]["value"], shown["quiet_from"]["value"], shown["most"]["value"]) == (
        "Europe/Paris", "22:00", "3",
    )  # fmt: skip
    from freehold.master.notifications import queries

    assert [kind for kind, told in queries.chosen(rooms.customer).kinds["shop"].items() if told] == ["invoice.due"]
    wrong = visitor.post("/account/messages", {**form, "time_zone": "Mars"})
    assert wrong.status_code == 422
    assert inputs(wrong)["time_zone"]["value"] == "Mars", "what was written stays"

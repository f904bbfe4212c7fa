"""Mail to people: written in their language, as plain text and as HTML, and handed to the operator's mail server."""

import smtplib
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from freehold.master.foundation.errors import Invalid
from freehold.master.notifications import attachments, smtp
from freehold.master.notifications.models import MessageSettings, Notice, OutgoingMessage
from freehold.master.notifications.outbox import NobodyToTell
from freehold.master.notifications.wording import MessageEntry, entries, letter_entry, link
from freehold.master.people import letters
from freehold.master.people.actions import check_email

LONGEST_SUBJECT = 200


class MailRefused(Exception):
    """The mail server will never take this message."""


class MailPostponed(Exception):
    """The mail server does not take this message now."""


class MailServerAway(Exception):
    """The mail server takes nothing now."""


class Mailer:
    """One session with the mail server, opened with the first message."""

    def __init__(self) -> None:
        self._session: smtplib.SMTP | None = None

    def __enter__(self) -> "Mailer":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._session is not None:
            try:
                self._session.quit()
            except (OSError, smtplib.SMTPException):
                self._session.close()

    def send(self, mail: EmailMessage) -> None:
        """Hand a message over; raise MailRefused, MailPostponed or MailServerAway."""
        try:
            if self._session is None:
                self._session = smtp.parse(settings.SMTP_URL, settings.SMTP_PASSWORD_FILE).connect()
            # Not `send_message`, which would write `>From` where a line begins so.
            self._session.sendmail(parseaddr(str(mail["From"]))[1], [str(mail["To"])], mail.as_bytes(policy=SMTP))
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise _of_answer(code, words) from None
        except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as error:
            raise _of_answer(error.smtp_code, error.smtp_error) from None
        except (OSError, smtplib.SMTPException, Invalid) as error:
            self._session = None
            raise MailServerAway(str(error) or type(error).__name__) from None


def _of_answer(code: int, words: bytes | str) -> Exception:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    # RFC 5321, 4.2.1: 5yz is for good; 4yz may pass.
    return (MailRefused if 500 <= code < 600 else MailPostponed)(f"{code} {text}")


def compose(message: OutgoingMessage, notices: list[Notice]) -> EmailMessage:
    """Return the mail of a message to a person: the same for the same message, but for its date."""
    person = message.person
    assert person is not None
    zone = MessageSettings.objects.filter(person=person).values_list("time_zone", flat=True).first() or "UTC"
    with translation.override(person.language or settings.LANGUAGE_CODE):
        message_entries = entries(notices, zone)
        mail = _mail(message, person.email, message_entries, {"settings_url": link("/account/messages")})
    for name, content in attachments.of_notices(notices):
        mail.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    if len(message_entries) == 1:
        # What is said of one cause stands together, also its end.
        mail["References"] = f"<{notices[0].cause_id}@{_domain()}>"
    return mail


def compose_letter(message: OutgoingMessage) -> EmailMessage:
    """Return the mail of a message that is a letter; raise NobodyToTell when it is over, or its reader gone."""
    letter = message.letter
    assert letter is not None
    person = letters.reader(letter)
    if not letters.is_readable(letter):
        raise NobodyToTell("What it says is over.")
    language = person.language if person is not None else ""
    with translation.override(language or letter.language or settings.LANGUAGE_CODE):
        return _mail(message, letter.email, [letter_entry(letter)], {"is_letter": True})


def _mail(
    message: OutgoingMessage, address: str, message_entries: list[MessageEntry], more: dict[str, Any]
) -> EmailMessage:
    """Return a mail in the language that is active."""
    subject = (
        message_entries[0].title if len(message_entries) == 1 else _("%(n)d messages") % {"n": len(message_entries)}
    )
    context = {"entries": message_entries, "language": translation.get_language(), **more}
    mail = EmailMessage()
    mail["Subject"] = f"[Freehold] {' '.join(subject.split())}"[:LONGEST_SUBJECT]
    mail["From"] = settings.MAIL_FROM
    mail["To"] = address
    mail["Date"] = format_datetime(datetime.now(UTC))
    # The same however often it is sent: by it receivers know a double.
    mail["Message-ID"] = f"<{message.id}@{_domain()}>"
    # Answered by no program (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(render_to_string("notifications/mail.txt", context))
    mail.add_alternative(render_to_string("notifications/mail.html", context), subtype="html")
    return mail


def misconfigured() -> list[str]:
    """Return what is wrong with how this Master is to send mail, each with what to do."""
    if not settings.SMTP_URL:
        return []
    wrong = []
    for check in (lambda: smtp.parse(settings.SMTP_URL, settings.SMTP_PASSWORD_FILE), _check_sender, _check_address):
        try:
            check()
        except Invalid as error:
            wrong.append(f"{error} {error.remedy}")
    return wrong


def _check_sender() -> None:
    try:
        check_email(parseaddr(settings.MAIL_FROM)[1])
    except Invalid:
        remedy = "Write it as: Freehold <cloud@example.org>."
        raise Invalid("FREEHOLD_MAIL_FROM is no address.", remedy=remedy) from None


def _check_address() -> None:
    parts = urlsplit(settings.PUBLIC_URL)
    if settings.PUBLIC_URL and not (parts.scheme == "https" and parts.netloc and not parts.query):
        raise Invalid("FREEHOLD_PUBLIC_URL is no address of a Master.", remedy="Write https://cloud.example.org.")


def _domain() -> str:
    return parseaddr(settings.MAIL_FROM)[1].rpartition("@")[2]

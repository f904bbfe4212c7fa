"""Finds what people are to be told, and has it leave the Master."""

import functools
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from freehold.master.accounting.models import LegalEntity
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Unavailable, explained
from freehold.master.foundation.transactions import writing
from freehold.master.notifications import finders, mail, outbox, webhooks
from freehold.master.notifications.causes import FoundCause, end_causes, open_causes
from freehold.master.notifications.models import Cause, Notice, OutgoingMessage

KEPT_DAYS = 100
"""How long it is known who was told what."""
UNTOLD_DAYS = 7
"""After so long nobody is told any more of what could be put into no message."""
FORGOTTEN_AT_ONCE = 1_000
AT_ONCE = 8
"""Webhooks that are spoken to at the same time: a slow one does not keep the others."""
LONGEST_RUN = 60.0
"""Seconds after which other tasks of the lane have their turn."""
_log = logging.getLogger(__name__)


def gather() -> int:
    """Notice what begins and ends now; return how much."""
    looks = [functools.partial(_look, find) for find in finders.NOW]
    return _each([*looks, lambda: end_causes(finders.ended())])


def gather_slow() -> int:
    """Notice what may be told an hour later: invoices, what is overdue, seller by seller, certificates that end."""
    sellers = [functools.partial(_look_at_seller, entity) for entity in LegalEntity.objects.order_by("code")]
    return _each([*sellers, functools.partial(_look, finders.ending_certificate)])


def deliver() -> int:
    """Make and send the mails that are due, as many as fit into a minute; return how many were sent.

    Raise Unavailable when the mail server takes nothing.
    """
    count, away, until = 0, "", clock.passed() + LONGEST_RUN
    with mail.Mailer() as mailer:
        while clock.passed() < until and (message := _next_mail()) is not None:
            try:
                mailer.send(_written(message))
            except (mail.MailRefused, outbox.NobodyToTell) as error:
                outbox.mark_failed(message, str(error), for_good=True)
            except mail.MailServerAway as error:
                away = str(error)
                outbox.mark_failed(message, away)
                outbox.put_off_others(message, away)
            except mail.MailPostponed as error:
                outbox.mark_failed(message, str(error))
            except Exception as error:
                # One that cannot be written does not keep the others.
                _log.exception("the message %s cannot be sent", message.id)
                outbox.mark_failed(message, explained(error))
            else:
                outbox.mark_sent(message)
                count += 1
    if away:
        raise Unavailable(f"The mail server takes nothing: {away}.", remedy="Look at it, and at FREEHOLD_SMTP_URL.")
    return count


def post() -> int:
    """Make and post the messages to webhooks that are due, as many as fit into a minute; return how many were taken."""
    count, until = 0, clock.passed() + LONGEST_RUN
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
        while clock.passed() < until and (messages := _next_for_webhooks()):
            # Threads touch no database: what comes of them is written down here.
            attempts = [(message, _attempt(pool, message)) for message in messages]
            count += sum(_note_posted(message, attempt) for message, attempt in attempts)
    return count


def clean_up() -> int:
    """Forget what was over a hundred days ago, with all that was told of it; return how many rows.

    What waits for a moment that only a clock which ran ahead can have set is due.
    """
    outbox.unlearn_future()
    before, untold = clock.now() - KEPT_DAYS * clock.DAY, clock.now() - UNTOLD_DAYS * clock.DAY
    return sum(
        _forget(old)
        for old in (
            Notice.objects.filter(message=None, due_at__lt=untold),
            Cause.objects.filter(ended_at__lt=before, noticed_at__lt=before),
            OutgoingMessage.objects.filter(made_at__lt=before, notice=None),
        )
    )


def _forget(old: "QuerySet[Any]") -> int:
    """Delete rows, some at a time; return how many, with what belonged to them."""
    count = 0
    while keys := list(old.order_by("pk").values_list("pk", flat=True)[:FORGOTTEN_AT_ONCE]):
        with writing():
            count += old.model._default_manager.filter(pk__in=keys).delete()[0]
    return count


def _each(steps: Iterable[Callable[[], int]]) -> int:
    """Take each step, also when one before it failed, and return the sum; then raise the first error."""
    count, failure = 0, None
    for step in steps:
        try:
            count += step()
        except Exception as error:
            if failure is not None:
                _log.exception("another step failed, too")
            failure = failure or error
    if failure is not None:
        raise failure
    return count


def _next_mail() -> OutgoingMessage | None:
    """Return a mail to send, made now if none is waiting; none where no mail is sent."""
    if not settings.SMTP_URL:
        return None
    outbox.make_letters()
    while (message := outbox.claim_mail()) is None and outbox.make_mails():
        pass
    return message


def _written(message: OutgoingMessage) -> EmailMessage:
    """Return a mail; raise NobodyToTell."""
    return mail.compose(message, outbox.notices_of(message)) if message.letter is None else mail.compose_letter(message)


def _next_for_webhooks() -> list[OutgoingMessage]:
    while not (messages := outbox.claim_for_webhooks(AT_ONCE)) and outbox.make_for_webhooks():
        pass
    return messages


def _attempt(pool: ThreadPoolExecutor, message: OutgoingMessage) -> Callable[[], None]:
    """Begin to post a message; return what waits for the end of that, and raises what went wrong."""
    try:
        signed = webhooks.compose(message, outbox.notices_of(message))
    except Exception as error:
        return functools.partial(_raise, error)
    return pool.submit(webhooks.post, signed).result


def _raise(error: Exception) -> None:
    raise error


def _note_posted(message: OutgoingMessage, attempt: Callable[[], None]) -> bool:
    """Wait for an attempt and note what came of it; return whether the receiver has the message."""
    try:
        attempt()
    except (webhooks.ReceiverGone, outbox.NobodyToTell) as error:
        outbox.mark_failed(message, str(error), for_good=True)
    except webhooks.ReceiverRefused as error:
        outbox.mark_failed(message, str(error))
    except webhooks.ReceiverAway as error:
        outbox.mark_failed(message, str(error))
        outbox.put_off_others(message, str(error))
    except Exception as error:
        # One that cannot be written does not keep the others.
        _log.exception("the message %s cannot be posted", message.id)
        outbox.mark_failed(message, explained(error))
    else:
        outbox.mark_sent(message)
        return True
    return False


def _look(find: Callable[[], Iterator[FoundCause]]) -> int:
    return open_causes(list(find()))


def _look_at_seller(entity: LegalEntity) -> int:
    count = 0
    for find in (finders.issued, finders.due_soon):
        # Some at a time: a month's documents are many.
        while opened := open_causes(list(find(entity))):
            count += opened
    causes, over = finders.overdue(entity)
    return count + open_causes(causes) + end_causes(over)

"""What messages say of causes, in the language that is active."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from freehold.escaping import escaped, escaped_line
from freehold.master.foundation import currencies, days
from freehold.master.notifications.kinds import LASTING, CauseEvent, CauseKind
from freehold.master.notifications.models import Cause, Notice
from freehold.master.people import letters
from freehold.master.people.letters import LetterKind
from freehold.master.people.models import MailLetter


@dataclass(frozen=True)
class MessageEntry:
    """What is said of one cause."""

    title: str
    lines: list[str] = field(default_factory=list)
    url: str = ""
    """Of the page about it; empty where the Master does not know its own address."""


def entries(notices: Sequence[Notice], time_zone: str = "UTC") -> list[MessageEntry]:
    """Return what a message says: an entry for each cause, at its end where both its beginning and its end are told."""
    last: dict[str, Notice] = {}
    for notice in notices:
        last[notice.cause_id] = notice
    return [entry(notice.cause, CauseEvent(notice.event), time_zone) for notice in last.values()]


def entry(cause: Cause, event: CauseEvent, time_zone: str = "UTC") -> MessageEntry:
    """Return what is said of a cause at its beginning or its end."""
    kind = CauseKind(cause.kind)
    title, lines, path = _WORDS[kind](json.loads(cause.detail), cause.project.name, event)
    if kind in _TIMED:
        lines = [_times(cause, event, time_zone), *([] if event is CauseEvent.ENDED else lines)]
    # Nodes and people said parts of it: no terminal, and no reader, obeys what it holds.
    return MessageEntry(escaped_line(title), [escaped(line) for line in lines], link(path))


def letter_entry(letter: MailLetter) -> MessageEntry:
    """Return what a letter says: with its code, which follows `#` in the link, where no server sees it."""
    title, lines, page, has_code = _LETTERS[LetterKind(letter.kind)](letter)
    address = link(reverse(page))
    lines = [escaped_line(line) for line in lines]
    if not has_code:
        return MessageEntry(title, lines, address)
    code = letters.code_of(letter)
    if not address:
        lines = [*lines, _("The code: %(code)s") % {"code": code}]
    return MessageEntry(title, lines, f"{address}#{code}" if address else "")


def link(path: str) -> str:
    """Return the address of a page of this Master; empty where it does not know its own."""
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}" if settings.PUBLIC_URL else ""


def _promise(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("%(service)s: every promise is kept again")
        if event is CauseEvent.ENDED
        else _("%(service)s does not keep what it promises")
    )
    lines = [f"{broken['part']}, {broken['promise']}: {broken['message']}" for broken in detail["promises"]]
    path = reverse("instance", args=[project, detail["service"]])
    return title % {"service": detail["service"]}, [*lines, *_more(detail)], path


def _stuck(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = _("%(service)s is started") if event is CauseEvent.ENDED else _("%(service)s is not started yet")
    lines = [f"{part['part']}: {part['message']}" if part["message"] else part["part"] for part in detail["parts"]]
    path = reverse("instance", args=[project, detail["service"]])
    return title % {"service": detail["service"]}, [*lines, *_more(detail)], path


def _certificate(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = _("The certificate of this Master ends on %(day)s") % {"day": _moment(detail["end"], "UTC")}
    return title, [_("What to do is said by: freehold master check")], reverse("instances")


def _unreachable(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    number = detail["number"]
    if event is CauseEvent.ENDED:
        title = ngettext("%(n)d service can be reached again", "%(n)d services can be reached again", number)
    else:
        title = ngettext("%(n)d service cannot be reached", "%(n)d services cannot be reached", number)
    reason = (
        _("Their node on site %(site)s was stopped by its operator.")
        if detail["stopped"]
        else _("Their node on site %(site)s is not heard. They may run on; what they are now is not known.")
    )
    path = reverse("instances")
    return title % {"n": number}, [reason % {"site": detail["site"]}, *detail["services"], *_more(detail)], path


def _maintenance(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("The maintenance of site %(site)s is withdrawn")
        if event is CauseEvent.ENDED
        else _("Maintenance of site %(site)s is announced")
    )
    times = {name: _moment(detail[f"{name}s_at"], "UTC") for name in ("begin", "end")}
    lines = [_("It may be down from %(begin)s to %(end)s.") % times, detail["what"]]
    return title % {"site": detail["site"]}, lines, reverse("instances")


def _suspended(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("Project %(project)s is not suspended any more")
        if event is CauseEvent.ENDED
        else _("Project %(project)s is suspended")
    )
    lines = [detail["reason"], _("Its services are stopped, and it orders nothing. Its data is kept.")]
    return title % {"project": project}, lines, reverse("instances")


def _silent(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = _("Node %(node)s is heard again") if event is CauseEvent.ENDED else _("Node %(node)s is silent")
    line = _("It is on site %(site)s and holds %(services)s instances of %(projects)s projects.")
    lines = [line % {name: detail[name] for name in ("site", "services", "projects")}]
    return title % {"node": detail["title"]}, lines, reverse("node", args=[project, detail["title"]])


def _build(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("%(product)s %(version)s is built now")
        if event is CauseEvent.ENDED
        else _("%(product)s %(version)s cannot be built")
    )
    nodes = ngettext("On %(n)d node.", "On %(n)d nodes.", detail["nodes"]) % {"n": detail["nodes"]}
    names = {name: detail[name] for name in ("product", "version")}
    return title % names, [nodes, *detail["message"].splitlines()], reverse("supplies", args=[project])


def _ticket(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    heading = _("%(author)s said:") % {"author": detail["author"]}
    path = reverse("ticket", args=[project, detail["ticket"]])
    return _("Ticket: %(title)s") % {"title": detail["title"]}, [heading, *detail["text"].splitlines()], path


def _budget(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = _("%(percent)s %% of the budget of %(month)s is spent") % detail
    return (
        title,
        [_("Project %(project)s. Nothing is stopped.") % {"project": project}],
        reverse("costs", args=[project]),
    )


def _issued(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("Credit note %(number)s of %(seller)s")
        if detail["kind"] == "credit_note"
        else _("Invoice %(number)s of %(seller)s")
    )
    lines = [_money(detail)]
    if detail["kind"] == "invoice":
        lines.append(_("Due on %(day)s.") % {"day": days.iso(detail["due_day"])})
    return title % detail, lines, reverse("invoice", args=[project, detail["number"]])


def _due(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = _("Invoice %(number)s of %(seller)s is due soon") % detail
    lines = [_money(detail), _("Due on %(day)s.") % {"day": days.iso(detail["due_day"])}]
    return title, lines, reverse("invoice", args=[project, detail["number"]])


def _overdue(detail: dict[str, Any], project: str, event: CauseEvent) -> tuple[str, list[str], str]:
    title = (
        _("What %(seller)s waited for is paid") if event is CauseEvent.ENDED else _("%(seller)s waits for a payment")
    )
    lines = [_money(detail), _("It was due on %(day)s.") % {"day": days.iso(detail["due_day"])}]
    if detail["stop_day"] is not None:
        lines.append(_("Services are stopped on %(day)s if it is not paid.") % {"day": days.iso(detail["stop_day"])})
    return title % detail, lines, reverse("costs", args=[project])


_WORDS: dict[CauseKind, Callable[[dict[str, Any], str, CauseEvent], tuple[str, list[str], str]]] = {
    CauseKind.PROMISE_BROKEN: _promise,
    CauseKind.ORDER_STUCK: _stuck,
    CauseKind.CERTIFICATE_ENDING: _certificate,
    CauseKind.SERVICES_UNREACHABLE: _unreachable,
    CauseKind.MAINTENANCE_ANNOUNCED: _maintenance,
    CauseKind.PROJECT_SUSPENDED: _suspended,
    CauseKind.NODE_SILENT: _silent,
    CauseKind.BUILD_FAILED: _build,
    CauseKind.TICKET_ANSWERED: _ticket,
    CauseKind.BUDGET_REACHED: _budget,
    CauseKind.INVOICE_ISSUED: _issued,
    CauseKind.INVOICE_DUE: _due,
    CauseKind.INVOICE_OVERDUE: _overdue,
}


LetterWords = tuple[str, list[str], str, bool]
"""Title, lines, the page that it is about, and whether its code goes with that."""


def _reset_letter(letter: MailLetter) -> LetterWords:
    lines = [
        _("Somebody, we hope you, wants to set another password for your account."),
        _("The link is good once, for an hour."),
        _("If it was not you, there is nothing to do: your password is as it was."),
    ]
    return _("Set another password"), lines, "reset", True


def _confirm_letter(letter: MailLetter) -> LetterWords:
    if letters.has_account(letter):
        lines = [
            _("Somebody, we hope you, wants to sign up with this address. It has an account already."),
            _("Log in with it; if you forgot the password, set another one."),
        ]
        return _("You have an account already"), lines, "login", False
    lines = [
        _("Somebody, we hope you, wants to sign up with this address."),
        _("Open the link, and give the password that you chose. It is good once, for two days."),
        _("If it was not you, there is nothing to do: without you no account is made."),
    ]
    return _("Confirm your address"), lines, "sign-up-confirm", True


def _accepted_letter(letter: MailLetter) -> LetterWords:
    return _("Your account is open"), [_("You can log in with the password that you chose.")], "login", False


def _refused_letter(letter: MailLetter) -> LetterWords:
    return _("Your account was refused"), [_("Why:"), letter.detail], "login", False


def _changed_letter(letter: MailLetter) -> LetterWords:
    lines = [
        _("All your sessions and tokens have ended."),
        _("If it was not you, set another password at once, and tell whoever runs this Master."),
    ]
    return _("Your password was changed"), lines, "forgotten", False


def _test_letter(letter: MailLetter) -> LetterWords:
    lines = [_("You asked for it, to see whether mail of this Master reaches you. It does.")]
    return _("A test"), lines, "account-messages", False


_LETTERS: dict[LetterKind, Callable[[MailLetter], LetterWords]] = {
    LetterKind.RESET: _reset_letter,
    LetterKind.CONFIRM: _confirm_letter,
    LetterKind.ACCEPTED: _accepted_letter,
    LetterKind.REFUSED: _refused_letter,
    LetterKind.CHANGED: _changed_letter,
    LetterKind.TEST: _test_letter,
}


_TIMED = LASTING - {CauseKind.MAINTENANCE_ANNOUNCED}
"""What is said with the times between which it went on."""


def _times(cause: Cause, event: CauseEvent, time_zone: str) -> str:
    since = _moment(cause.opened_at, time_zone)
    if event is CauseEvent.ENDED and cause.ended_at is not None:
        return _("From %(since)s to %(until)s.") % {"since": since, "until": _moment(cause.ended_at, time_zone)}
    return _("Since %(since)s.") % {"since": since}


def _more(detail: dict[str, Any]) -> list[str]:
    if not detail["more"]:
        return []
    return [ngettext("and %(n)d more", "and %(n)d more", detail["more"]) % {"n": detail["more"]}]


def _money(detail: dict[str, Any]) -> str:
    return currencies.shown(detail["amount"], detail["currency"], get_language() or "en")


def _moment(moment: int, time_zone: str) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, ZoneInfo(time_zone)):%Y-%m-%d %H:%M %Z}"

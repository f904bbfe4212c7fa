"""What the Master says to programs, said to people in their language."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from freehold.master.billing.printing.wording import meter_title
from freehold.master.foundation.errors import MasterError
from freehold.master.monitoring.events import EventKind, ServiceEvent
from freehold.protocol.meters import METERS
from freehold.protocol.order import FIELDS, FREE_TEXT
from freehold.protocol.problem import FieldError

STATES: dict[str, str | Promise] = {
    "waiting": gettext_lazy("waiting"),
    "building": gettext_lazy("building"),
    "configuring": gettext_lazy("configuring"),
    "started": gettext_lazy("started"),
    "stopping": gettext_lazy("stopping"),
    "stopped": gettext_lazy("stopped"),
    "ending": gettext_lazy("to be destroyed"),
    "failed": gettext_lazy("failed"),
    "starting": gettext_lazy("starting"),
    "trouble": gettext_lazy("in trouble"),
    "unreachable": gettext_lazy("unreachable"),
    # Of a node.
    "open": gettext_lazy("open"),
    "closed": gettext_lazy("closed"),
    "silent": gettext_lazy("silent"),
    "lost": gettext_lazy("lost"),
    "new": gettext_lazy("not heard yet"),
    "full": gettext_lazy("full"),
    "draining": gettext_lazy("being emptied"),
    "destroying": gettext_lazy("destroying"),
    "destroyed": gettext_lazy("destroyed"),
    # Of a release on a node.
    "available": gettext_lazy("available"),
    "removing": gettext_lazy("removing"),
    "removed": gettext_lazy("removed"),
    "": gettext_lazy("not heard of yet"),
}
"""Each state of an instance, and of a release on a node."""

PROBLEMS: dict[str, str | Promise] = {
    "internal": gettext_lazy("The Master failed"),
    "malformed": gettext_lazy("The request cannot be read"),
    "unauthenticated": gettext_lazy("E-mail or password is wrong. Check both and try again."),
    "project-suspended": gettext_lazy("The project is suspended"),
    "second-factor-needed": gettext_lazy("A code is needed, too"),
    "forbidden": gettext_lazy("Not yours to do"),
    "not-found": gettext_lazy("No such thing"),
    "conflict": gettext_lazy("It contradicts what is already there"),
    "too-large": gettext_lazy("The request is too large"),
    "invalid": gettext_lazy("A value breaks a rule"),
    "invalid-parameters": gettext_lazy("Some parameters do not fit: see below"),
    "no-place": gettext_lazy("No place fits"),
    "not-whole": gettext_lazy("Not all of it fits"),
    "wrong-clock": gettext_lazy("The Master’s clock is wrong"),
    "in-doubt": gettext_lazy("The Master knows less than it did"),
    "payment-required": gettext_lazy("It must be paid for first"),
    "quota-exceeded": gettext_lazy("A quota is used up"),
    "too-many-tries": gettext_lazy("Too many wrong tries. Wait some minutes, then try again."),
    "not-installed": gettext_lazy("This Master lacks a package. Its operator knows by: freehold master check"),
    "busy": gettext_lazy("The Master has more to do than it can. Try again in a minute."),
    "unavailable": gettext_lazy("The Master cannot reach its database. Try again in a minute."),
    "out-of-storage": gettext_lazy("The Master has no place to write to: nothing was changed."),
    "undeclared-request": gettext_lazy("The release does not declare this request"),
}

_SCOPES: dict[str, str | Promise] = {
    "read": gettext_lazy("see services and what they cost"),
    "order": gettext_lazy("order and change services"),
    "operate": gettext_lazy("run nodes and releases"),
    "sell": gettext_lazy("offers, prices and customers"),
    "account": gettext_lazy("keep the books"),
    "audit": gettext_lazy("read the books"),
}
MESSAGE_STATES: dict[str, str | Promise] = {
    "waiting": gettext_lazy("waiting"),
    "sent": gettext_lazy("sent"),
    "dead": gettext_lazy("given up"),
}
KINDS: dict[str, str | Promise] = {
    "promise.broken": gettext_lazy("A service does not keep its promises, and keeps them again"),
    "order.stuck": gettext_lazy("A service is not started long after its order, and is"),
    "services.unreachable": gettext_lazy("Services cannot be reached, and can again"),
    "project.suspended": gettext_lazy("The provider suspends the project, and lifts it"),
    "maintenance.announced": gettext_lazy("Maintenance of a site with services is announced, and withdrawn"),
    "node.silent": gettext_lazy("A node is silent, and is heard again"),
    "build.failed": gettext_lazy("A release cannot be built, and is built"),
    "ticket.answered": gettext_lazy("Somebody said something in a ticket"),
    "certificate.ending": gettext_lazy("The certificate of the Master ends soon"),
    "budget.reached": gettext_lazy("The budget is nearly spent, or spent"),
    "invoice.issued": gettext_lazy("An invoice or a credit note was made"),
    "invoice.due": gettext_lazy("An invoice is due soon"),
    "invoice.overdue": gettext_lazy("A payment is overdue, and was made"),
}
"""What messages are about."""

WAITING: dict[str, str | Promise] = {
    "build-failed": gettext_lazy("Its release cannot be built on its node."),
    "configure-failed": gettext_lazy("Its configuration fails on its node; its customer sees why."),
    "building": gettext_lazy("Its release is being built on its node."),
    "not-built": gettext_lazy("Its release is not built yet on its node."),
    "not-taken": gettext_lazy("Its node has not taken it up yet."),
    "configuring": gettext_lazy("Its node does not finish its configuration."),
    "stopping": gettext_lazy("Its node does not say that it stopped."),
    "destroying": gettext_lazy("Its node does not say that nothing is left of it."),
}
"""Why an order is not as wanted (`desk.queries.REASONS`)."""

_SIZES: dict[str, str | Promise] = {
    "cpus": gettext_lazy("cores"),
    "memory_mb": gettext_lazy("MB of memory"),
    "disk_mb": gettext_lazy("MB of disk"),
    "processes": gettext_lazy("processes"),
    "open_files": gettext_lazy("open files of each"),
}
_LARGE_SIZES: dict[str, str | Promise] = {
    "memory_mb": gettext_lazy("GB of memory"),
    "disk_mb": gettext_lazy("GB of disk"),
}
"""Of 1024 of the above."""
COST_KINDS: dict[str, str | Promise] = {
    "amortisation": gettext_lazy("Amortisation"),
    "loan": gettext_lazy("Loan"),
    "network": gettext_lazy("Network"),
    "electricity": gettext_lazy("Electricity"),
    "hosting": gettext_lazy("Hosting"),
    "land": gettext_lazy("Land"),
    "software": gettext_lazy("Software"),
    "hardware-care": gettext_lazy("Hardware care"),
    "replacement": gettext_lazy("Replacement"),
    "repair": gettext_lazy("Repair"),
}
_REPORTS: dict[str, str | Promise] = {
    "trial-balance": gettext_lazy("Trial balance"),
    "receivables": gettext_lazy("Receivables by age"),
    "vat": gettext_lazy("Tax"),
    "revenue": gettext_lazy("Revenue by offer and site"),
}
_COLUMNS: dict[str, str | Promise] = {
    "account": gettext_lazy("Account"),
    "name": gettext_lazy("Name"),
    "opening": gettext_lazy("Opening"),
    "debit": gettext_lazy("Debit"),
    "credit": gettext_lazy("Credit"),
    "closing": gettext_lazy("Closing"),
    "customer": gettext_lazy("Customer"),
    "currency": gettext_lazy("Currency"),
    "not_due": gettext_lazy("Not due"),
    "to_30": gettext_lazy("To 30 days"),
    "to_60": gettext_lazy("To 60 days"),
    "to_90": gettext_lazy("To 90 days"),
    "older": gettext_lazy("Older"),
    "code": gettext_lazy("Code"),
    "rate": gettext_lazy("Rate"),
    "class": gettext_lazy("Class"),
    "documents": gettext_lazy("Documents"),
    "base": gettext_lazy("Base"),
    "tax": gettext_lazy("Tax"),
    "offer": gettext_lazy("Offer"),
    "kind": gettext_lazy("Kind"),
    "site": gettext_lazy("Site"),
    "net": gettext_lazy("Without tax"),
}


def of_language(titles: dict[str, str]) -> str:
    """Return a title in the reader's language, or in English."""
    return titles.get(get_language() or "en", titles["en"])


def size(numbers: Mapping[str, float]) -> list[tuple[float, str]]:
    """Return the numbers of a size, each with what it counts."""
    shown: list[tuple[float, str]] = []
    for name, exact in numbers.items():
        number = int(exact) if exact == int(exact) else exact
        if name in _LARGE_SIZES and number % 1024 == 0:
            shown.append((number // 1024, str(_LARGE_SIZES[name])))
        else:
            counted = (
                ngettext("core", "cores", 1 if number == 1 else 2) if name == "cpus" else str(_SIZES.get(name, name))
            )
            shown.append((number, counted))
    return shown


def size_title(name: str) -> str:
    """Return what a number of a size counts, with a capital."""
    return capfirst(str(_SIZES[name]))


def meter(name: str, unit: int) -> str:
    """Return what a price by use is for: `Network, sent, per TB`."""
    signs = {known.size: known.sign for known in METERS[name].units} if name in METERS else {}
    return _("%(what)s, per %(unit)s") % {"what": meter_title(name), "unit": signs.get(unit, str(unit))}


def free_text(texts: dict[str, str]) -> list[dict[str, Any]]:
    """Return the fields of an order that are free text, each with its title, its bound and its text."""
    return [
        {"name": name, "title": _(FIELDS[name].title), "longest": FIELDS[name].longest, "text": texts.get(name, "")}
        for name in FREE_TEXT
    ]


def cost_kind(name: str) -> str:
    """Return a kind of cost as people read it."""
    return str(COST_KINDS.get(name, name))


def report(name: str) -> str:
    """Return what a report is called."""
    return str(_REPORTS[name])


def column(name: str) -> str:
    """Return what a report's column is called."""
    return str(_COLUMNS[name])


_EVENTS = {
    "ordered": gettext_lazy("ordered"),
    "changed": gettext_lazy("changed"),
    "said": gettext_lazy("its node says"),
    "kept": gettext_lazy("kept"),
    "broken": gettext_lazy("not kept"),
    "moved": gettext_lazy("moved to another node"),
    "restarted": gettext_lazy("restarted"),
    "revealed": gettext_lazy("its secrets were shown"),
    "to-end": gettext_lazy("to be destroyed"),
    "kept-on": gettext_lazy("kept on"),
    "handed-over": gettext_lazy("handed over to another project"),
    "orphaned": gettext_lazy("requested no more"),
    "gone": gettext_lazy("destroyed, with its data"),
}


def event(happened: ServiceEvent) -> dict[str, str]:
    """Return what happened to a service, and of what, as people read it."""
    about = state(happened.about) if happened.kind == EventKind.SAID else happened.about
    is_order = happened.kind in (EventKind.ORDERED, EventKind.CHANGED)
    message = state(happened.message) if is_order else happened.message
    return {"what": str(_EVENTS[happened.kind]), "about": about, "message": message}


_DOCUMENT_STATES = {
    "paid": gettext_lazy("paid"),
    "partly_paid": gettext_lazy("partly paid"),
    "due": gettext_lazy("due"),
    "overdue": gettext_lazy("overdue"),
    "credited": gettext_lazy("credit note"),
}


def document_state(name: str) -> str:
    """Return what a reader of a document is told of its state."""
    return str(_DOCUMENT_STATES[name])


_VERDICTS = {
    "match": gettext_lazy("It pays what is open."),
    "less": gettext_lazy("It is less than what is open."),
    "more": gettext_lazy("It is more than what is open: the rest becomes credit."),
    "paid": gettext_lazy("Nothing of it is open any more: all of it becomes credit."),
    "booked": gettext_lazy("It was booked before."),
    "unknown": gettext_lazy("It names no document of yours."),
    "several": gettext_lazy("It names documents of several customers: book it by hand."),
    "credit_note": gettext_lazy("It names a credit note, which asks for nothing."),
    "currency": gettext_lazy("It is in another currency than the document."),
    "debit": gettext_lazy("Money that went out."),
    "reversal": gettext_lazy("A payment that was taken back: book it by hand."),
    "pending": gettext_lazy("The bank has not booked it yet."),
    "unclear": gettext_lazy("The bank does not tell its payments apart, or says no amount or day: book it by hand."),
}
_OUTCOMES = {
    "booked": gettext_lazy("booked"),
    "known": gettext_lazy("was booked before"),
    "refused": gettext_lazy("not booked"),
}


def verdict(name: str) -> str:
    """Return why a line of a bank statement is proposed or not."""
    return str(_VERDICTS[name])


def booking_outcome(name: str) -> str:
    """Return what became of a line that was confirmed."""
    return str(_OUTCOMES[name])


PROTECTIONS: dict[str, str | Promise] = {
    "users": gettext_lazy("a user of its own"),
    "files": gettext_lazy("sees only its own files"),
    "namespaces": gettext_lazy("processes of its own, which end with it"),
    "network": gettext_lazy("a network of its own"),
    "calls": gettext_lazy("no system calls that it does not need"),
    "memory": gettext_lazy("memory limited"),
    "processes": gettext_lazy("processes limited"),
    "cpu": gettext_lazy("processor shared out"),
    "disk": gettext_lazy("disk watched"),
    "listening": gettext_lazy("listens only as declared"),
    "connecting": gettext_lazy("connects only as declared"),
}
"""What may stand between the partitions of a node."""


def protections(held: dict[str, bool], *, holding: bool) -> list[str]:
    """Return the protections that hold, or those that do not, as people read them."""
    return [str(PROTECTIONS.get(name, name)) for name, holds in held.items() if holds is holding]


def waiting(reason: str) -> str:
    """Return why an order is not as wanted, for people."""
    return str(WAITING[reason])


def state(name: str) -> str:
    """Return a state as people read it; one that is not known here, as it is."""
    return str(STATES.get(name, name))


def message_state(name: str) -> str:
    """Return the state of a message as people read it."""
    return str(MESSAGE_STATES[name])


def kind(name: str) -> str:
    """Return what a kind of message is about; one that is not known here, as it is."""
    return str(KINDS.get(name, name))


ROLES: dict[str, str | Promise] = {
    "customer": gettext_lazy("customer"),
    "operator": gettext_lazy("operator"),
    "sales": gettext_lazy("sales"),
    "accountant": gettext_lazy("accountant"),
    "auditor": gettext_lazy("auditor"),
    "owner": gettext_lazy("owner"),
}

_TERMS = {
    "terms": gettext_lazy("General terms"),
    "processing": gettext_lazy("Agreement on the processing of personal data"),
}
_SIGN_UP_MODES = {
    "closed": gettext_lazy("Nobody: people are invited"),
    "approval": gettext_lazy("Everybody whom staff accepts"),
    "open": gettext_lazy("Everybody who proves an address"),
}


def scope(name: str) -> str:
    """Return what a token opens, in words."""
    return str(_SCOPES[name])


def terms(kind: str) -> str:
    """Return what people call a text of the provider that they accept."""
    return str(_TERMS[kind])


def sign_up_mode(mode: str) -> str:
    """Return who may sign up, in words."""
    return str(_SIGN_UP_MODES[mode])


def role(name: str) -> str:
    """Return what people call a role in a project."""
    return str(ROLES.get(name, name))


def problem(error: MasterError) -> str:
    """Return what kind of mistake an error is."""
    return str(PROBLEMS.get(error.type, error.title))


def rule(text: str) -> str:
    """Return what a broken rule of a schema (`keyword: value`) asks for."""
    keyword, _colon, value = text.partition(": ")
    if keyword in ("minLength", "maxLength", "minItems", "maxItems") and value.isdigit():
        number = int(value)
        sayings = {
            "minLength": ngettext("At least %(n)d character.", "At least %(n)d characters.", number),
            "maxLength": ngettext("At most %(n)d character.", "At most %(n)d characters.", number),
            "minItems": ngettext("At least %(n)d entry.", "At least %(n)d entries.", number),
            "maxItems": ngettext("At most %(n)d entry.", "At most %(n)d entries.", number),
        }
        return sayings[keyword] % {"n": number}
    sayings = {
        "required": _("This is needed."),
        "minimum": _("Must be %(value)s or more."),
        "maximum": _("Must be %(value)s or less."),
        "exclusiveMinimum": _("Must be more than %(value)s."),
        "exclusiveMaximum": _("Must be less than %(value)s."),
        "multipleOf": _("Must be a multiple of %(value)s."),
        "pattern": _("Must be written like this: %(value)s"),
        "enum": _("Must be one of these: %(value)s"),
        "const": _("Must be %(value)s."),
        "uniqueItems": _("Every entry must be another one."),
        "type": _("Must be of this kind: %(value)s"),
    }
    if keyword not in sayings:
        return _("Breaks this rule: %(value)s") % {"value": text}
    return sayings[keyword] % {"value": value}


def field_errors(errors: Iterable[FieldError]) -> list[str]:
    """Return errors that belong to no input of a form, each with its place."""
    return [f"{re.sub('^parameters[.]', '', error.field)}: {rule(error.rule)}" for error in errors]


def value(item: object) -> str:
    """Return a value of JSON that is no text, as people read it."""
    if isinstance(item, bool):
        return _("yes") if item else _("no")
    return _("none") if item is None else json.dumps(item, ensure_ascii=False)

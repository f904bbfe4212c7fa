"""Commands about money: what customers see of it, and what sales and accountants do. Parse, call the client, print."""

import argparse
import json
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from freehold import json_output
from freehold.client.errors import ClientError
from freehold.client.terminal import Subparsers, command, confirmed, json_object, open_client, say, table


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the customers' commands, and `billing` with those of sales and accountants."""
    prices = command(subparsers, "prices", _prices, "prices that anybody may see; needs no role")
    prices.add_argument("--sites", action="store_true", help="what a month costs at each site, and what is left of it")
    quote = command(subparsers, "quote", _quote, "the price of an offer for your project, held for a day")
    quote.add_argument("offer")
    quote.add_argument("--region", default="")
    command(subparsers, "costs", _costs, "what your project costs so far")
    budget = command(subparsers, "budget", _budget, "what you want to spend in a month; 0 for no limit")
    budget.add_argument("amount")
    budget.add_argument("currency")
    command(subparsers, "invoices", _invoices, "invoices and credit notes")
    invoice = command(subparsers, "invoice", _invoice, "one invoice or credit note, line by line")
    invoice.add_argument("number")
    invoice.add_argument("--pdf", type=Path, metavar="FILE", help="write it there as PDF")
    invoice.add_argument("--language", default="", help="of the PDF: en, fr or zh-hans; else the customer's")
    hand_over = command(subparsers, "hand-over", _hand_over, "make a service another project's, as it is")
    hand_over.add_argument("title")
    hand_over.add_argument("to", metavar="PROJECT")
    hand_over.add_argument("--yes", action="store_true", help="do not ask")
    staff = subparsers.add_parser("billing", help="for sales and accountants").add_subparsers(
        dest="billing_command", required=True, metavar="COMMAND"
    )
    for name, act in ACTS.items():
        parser = command(staff, name, _act, act.help)
        parser.set_defaults(act=act)
        for argument in act.arguments:
            parser.add_argument(argument)
        for argument in act.fields:
            parser.add_argument(argument)
        if act.has_body:
            parser.add_argument("body", metavar="JSON", help="JSON object, or @FILE, or - for standard input")
        if act.is_period:
            parser.add_argument("--since", default="1970-01-01", metavar="DAY")
            parser.add_argument("--until", required=True, metavar="DAY")
        for argument in act.filters:
            parser.add_argument(f"--{argument}", default="", help="empty: all, or what is usual")
        if act.saves:
            parser.add_argument("file", type=Path, metavar="FILE")
        if act.question:
            parser.add_argument("--yes", action="store_true", help="do not ask")

    statement = command(staff, "statement", _statement, "what a bank statement (camt.053) would pay, line by line")
    statement.add_argument("entity")
    statement.add_argument("file", type=Path, metavar="FILE")
    statement.add_argument("--book", action="store_true", help="book each line that pays exactly what is open")


@dataclass(frozen=True)
class Act:
    """What a command asks of the API. `arguments` are of its path, `fields` of its body."""

    help: str
    method: str
    path: str
    arguments: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    has_body: bool = False
    is_period: bool = False
    cursor: str = ""
    """Of a list: the field by which its parts follow each other."""
    filters: tuple[str, ...] = ()
    """Asked for in the address, where they are said."""
    saves: bool = False
    """Whether its answer is a file."""
    question: str = ""
    """Asked before what cannot be undone."""


_PROJECT = "/projects/{project}"
_ENTITY = "/entities/{entity}"
ACTS = {
    "entities": Act("list the legal entities whose books you may read", "GET", "/entities", cursor="code"),
    "entity": Act("begin a legal entity", "POST", f"{_PROJECT}/entities", has_body=True),
    "terms": Act("note what a legal entity is now, and when it wants its money", "PUT", _ENTITY, ("entity",),
                 has_body=True),
    "offer": Act("make an offer", "POST", f"{_PROJECT}/offers", has_body=True),
    "retire": Act("have an offer ordered no more", "DELETE", f"{_PROJECT}/offers/{{offer}}", ("offer",),
                  question="Retire '{offer}'? It cannot be offered again."),
    "grants": Act("list which projects may offer your products, too", "GET", f"{_PROJECT}/grants", cursor="id"),
    "grant": Act("let another project offer a product of yours to others", "PUT", f"{_PROJECT}/grants",
                 has_body=True),
    "end-grant": Act("take such a grant back", "DELETE", f"{_PROJECT}/grants/{{product}}/{{to}}", ("product", "to"),
                     question="Have '{to}' offer '{product}' no more?"),
    "price-list": Act("publish prices, which then never change", "POST", f"{_PROJECT}/price-lists", has_body=True),
    "site-cost": Act("say what an offer costs at a site", "POST", f"{_PROJECT}/costs-of-sites", has_body=True),
    "customers": Act("list the customers", "GET", f"{_PROJECT}/customers", cursor="id"),
    "customer": Act("note a customer", "POST", f"{_PROJECT}/customers", has_body=True),
    "change-customer": Act("note what a customer is now", "PUT", f"{_PROJECT}/customers/{{customer}}", ("customer",),
                           has_body=True),
    "payer": Act("say who pays for a project", "PUT", f"{_PROJECT}/payers", has_body=True),
    "change": Act("change who pays for a service, or its offer", "POST", f"{_PROJECT}/subscriptions", has_body=True),
    "charge": Act("ask once for what was agreed", "POST", f"{_PROJECT}/charges", has_body=True),
    "payment": Act("write down money that came", "POST", f"{_ENTITY}/payments", ("entity",), has_body=True),
    "payment-events": Act("pass on what a provider of payments tells", "POST", f"{_ENTITY}/payment-events", ("entity",),
                          has_body=True),
    "use-deposit": Act("pay invoices with a deposit", "POST", f"{_ENTITY}/deposits-used", ("entity",), has_body=True),
    "rate": Act("set an exchange rate", "POST", f"{_ENTITY}/rates", ("entity",), ("currency", "day", "rate")),
    "tax-rules": Act("list the tax rules of a seller", "GET", f"{_ENTITY}/tax-rules", ("entity",), cursor="id"),
    "tax-rule": Act("write a tax rule that holds from a day on", "POST", f"{_ENTITY}/tax-rules", ("entity",),
                    has_body=True),
    "account": Act("add an account", "POST", f"{_ENTITY}/accounts", ("entity",), ("code", "name", "kind")),
    "entry": Act("make an entry by hand", "POST", f"{_ENTITY}/entries", ("entity",), has_body=True),
    "lock": Act("lock every day before the given one", "POST", f"{_ENTITY}/lock", ("entity",), ("day",),
                question="Lock the books of {entity} before {day}? They stay locked."),
    "close": Act("end a year", "POST", f"{_ENTITY}/years/{{year}}/close", ("entity", "year"),
                 question="Close {year} of {entity}? It stays closed."),
    "run": Act("issue every document that is due by a day", "POST", f"{_ENTITY}/runs", ("entity",), ("day",)),
    "take-back": Act("undo an invoice whole, by a credit note", "POST", f"{_ENTITY}/documents/{{number}}/take-back",
                     ("entity", "number"), question="Take back {number} of {entity}? The credit note stays."),
    "documents": Act("list the documents of a seller", "GET", f"{_ENTITY}/documents", ("entity",), cursor="number",
                     filters=("state",)),
    "pdf": Act("write a document of a seller as PDF into a file", "GET", f"{_ENTITY}/documents/{{number}}/pdf",
               ("entity", "number"), filters=("language",), saves=True),
    "report": Act("trial-balance, receivables, vat or revenue", "GET", f"{_ENTITY}/reports/{{name}}",
                  ("entity", "name"), is_period=True),
    "export": Act("the ledger as fec, hledger or beancount", "GET", f"{_ENTITY}/exports/{{name}}", ("entity", "name"),
                  is_period=True),
}  # fmt: skip


def _act(options: argparse.Namespace) -> int:
    act: Act = options.act
    values = vars(options)
    if act.question and not options.yes and not confirmed(act.question.format(**values)):
        return 1
    body: dict[str, Any] | None = None
    if act.has_body:
        body = json_object("JSON", options.body)
    elif act.fields:
        body = {name: values[name] for name in act.fields}
    query = {"since": options.since, "until": options.until} if act.is_period else {}
    query |= {name: values[name] for name in act.filters if values[name]}
    parts = {name: values[name] for name in act.arguments}
    answer: Any
    if act.cursor:
        answer = open_client().ask_all(act.path, act.cursor, parts, query=query, project=options.project)
    else:
        answer = open_client().ask(act.method, act.path, parts, body, query=query, project=options.project)
    if act.saves:
        return _save(options, answer, options.file)
    if options.json and not (isinstance(answer, str) and options.field is None):
        json_output.print_answer(options, answer)
    elif isinstance(answer, str):
        # An export is in a format of its own.
        sys.stdout.write(answer)
    elif not isinstance(answer, list):
        print(json.dumps(answer, indent=2, ensure_ascii=False) if answer is not None else "Done.")
    else:
        print(_rows(answer))
    return 0


def _prices(options: argparse.Namespace) -> int:
    if options.sites:
        return _sites(options)
    prices = open_client().ask_all("/prices", "id")
    rows = [
        {
            "offer": price["name"],
            "region": price["region"],
            "month": _amount(price["recurring"], price),
            "currency": price["currency"],
            "tax": f"{price['tax_rate'] / 100:g} % {'included' if price['tax_included'] else 'to add'}",
            "deposit": _amount(price["deposit"], price),
            "promise": f"{price['availability'] / 10_000:g} %" if price["availability"] else "-",
        }
        for price in prices
    ]
    say(options, prices, _rows(rows) if rows else "Nothing is sold here.")
    return 0


def _sites(options: argparse.Namespace) -> int:
    sites = open_client().ask_all("/prices/sites", "id")
    rows = [
        {
            "site": site["name"],
            "region": site["region"],
            "offer": table["offer"],
            **{
                name: "-" if table[name] is None else _amount(table[name], table)
                for name in ("total", "price", "margin")
            },
            "currency": table["currency"],
        }
        for site in sites
        for table in site["tables"]
    ]
    say(options, sites, _rows(rows) if rows else "No site says what it costs.")
    return 0


def _quote(options: argparse.Namespace) -> int:
    answer = open_client().ask(
        "POST",
        "/projects/{project}/quotes",
        {},
        {"offer": options.offer, "region": options.region},
        project=options.project,
    )
    content = answer["content"]
    net, tax, gross = (_amount(content["month"][name], content) for name in ("net", "tax", "gross"))
    text = (
        f"{content['offer']}: {net} + {tax} tax = {gross} {content['currency']} a month, "
        f"deposit {_amount(content['deposit'], content)}, until {content['until']}.\n"
        f"Order it with --offer {content['offer']} --quote {answer['quote']}"
    )
    say(options, answer, text)
    return 0


def _costs(options: argparse.Namespace) -> int:
    costs = open_client().ask("GET", "/projects/{project}/costs", project=options.project)
    names = ("title", "offer", "state", "month", "so_far", "used", "currency", "next_invoice")
    text = (
        _rows([{name: service[name] for name in names} for service in costs["services"]])
        if costs["services"]
        else "Nothing costs."
    )
    totals = ", ".join(f"{amount} {currency}" for currency, amount in costs["totals"].items())
    if totals:
        text += f"\nSo far: {totals}"
    for account in costs["accounts"]:
        text += f"\n{account['seller']}: {account['owed']} {account['currency']} owed, {account['credit']} credit, "
        text += f"{account['deposit']} deposit, {account['held']} of it held for services"
    for unpaid in costs["unpaid"]:
        text += f"\n{unpaid['seller']} waits for an invoice that was due on {unpaid['since']}"
        text += f": services stop on {unpaid['stops']}." if unpaid["stops"] else "."
    if costs["budget"] is not None:
        warning = (
            " – nearly spent"
            if 80 <= costs["spent_percent"] < 100
            else " – SPENT"
            if costs["spent_percent"] >= 100
            else ""
        )
        text += f"\nBudget: {costs['budget']} {costs['budget_currency']}, {costs['spent_percent']} %{warning}"
    say(options, costs, text)
    return 0


def _budget(options: argparse.Namespace) -> int:
    body = {"amount": options.amount, "currency": options.currency}
    open_client().ask("PUT", "/projects/{project}/budget", {}, body, project=options.project)
    say(options, body, f"The budget is {options.amount} {options.currency} a month.")
    return 0


def _hand_over(options: argparse.Namespace) -> int:
    if not options.yes and not confirmed(f"Hand '{options.title}' over to '{options.to}'? They have it from then on."):
        return 1
    body = {"title": options.title, "to": options.to}
    open_client().ask("POST", "/projects/{project}/handovers", {}, body, project=options.project)
    say(options, body, f"'{options.title}' is of '{options.to}' now.")
    return 0


def _invoices(options: argparse.Namespace) -> int:
    documents = open_client().ask_all("/projects/{project}/documents", "number", project=options.project)
    say(options, documents, _rows(documents) if documents else "There is none yet.")
    return 0


def _invoice(options: argparse.Namespace) -> int:
    path = "/projects/{project}/documents/{number}"
    if options.pdf:
        query = {"language": options.language} if options.language else {}
        parts = {"number": options.number}
        content = open_client().ask("GET", f"{path}/pdf", parts, query=query, project=options.project)
        return _save(options, content, options.pdf)
    document = open_client().ask("GET", path, {"number": options.number}, project=options.project)
    lines = [
        {name: line[name] for name in ("kind", "offer", "month", "period", "net", "tax_rate")}
        for line in document["lines"]
    ]
    text = (
        f"{document['number']} of {document['day']}, due {document['due']}: {_state(document)}\n"
        f"{document['seller']['name']} to {document['customer']['name']}\n"
        f"{_rows(lines)}\n{document['net']} + {document['tax']} tax = {document['gross']} {document['currency']}"
    )
    if to := document.get("pay_to"):
        text += f"\nPay {to['amount']} {to['currency']} to {to['name']}, IBAN {to['iban']}"
        text += f"{', BIC ' + to['bic'] if to['bic'] else ''}, reference {to['reference']}"
    say(options, document, text)
    return 0


def _statement(options: argparse.Namespace) -> int:
    try:
        content = options.file.read_bytes()
    except OSError as error:
        raise ClientError(f"{options.file} cannot be read: {error.strerror}.") from None
    client, parts = open_client(), {"entity": options.entity}
    proposals = client.ask("POST", f"{_ENTITY}/statements", parts, content)
    names = ("day", "amount", "currency", "name", "documents", "open", "verdict")
    text = _rows(
        [{**{name: line[name] for name in names}, "documents": " ".join(line["documents"])} for line in proposals]
    )
    answer: dict[str, Any] = {"lines": proposals, "booked": []}
    if options.book:
        lines = [
            {**{name: line[name] for name in ("key", "amount", "currency", "day", "reference")},
             "document": line["documents"][0]}
            for line in proposals if line["verdict"] == "match"
        ]  # fmt: skip
        answer["booked"] = client.ask("POST", f"{_ENTITY}/statement-bookings", parts, {"lines": lines})
        text += f"\nBooked: {sum(booking['outcome'] == 'booked' for booking in answer['booked'])}"
        text += "".join(f"\nRefused: {booking['why']}" for booking in answer["booked"] if booking["why"])
    say(options, answer, text)
    return 0 if all(booking["outcome"] != "refused" for booking in answer["booked"]) else 1


def _save(options: argparse.Namespace, content: bytes, path: Path) -> int:
    """Write a file that the Master made."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror}.") from None
    say(options, {"file": str(path), "bytes": len(content)}, f"Written to {path}.")
    return 0


def _state(document: dict[str, Any]) -> str:
    """Return where a document stands: `overdue, 12.00 EUR open`."""
    word = document["state"].replace("_", " ")
    return f"{word}, {document['open']} {document['currency']} open" if Decimal(document["open"]) else word


def _amount(minor: int, of: dict[str, Any]) -> str:
    """Return an amount in the decimals that its price is in."""
    return f"{Decimal(minor).scaleb(-of['decimals']):f}"


def _rows(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "There is none."
    head = [name.upper().replace("_", " ") for name in rows[0]]
    return table(head, [["" if value is None else str(value) for value in row.values()] for row in rows])

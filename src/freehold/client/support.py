"""Commands about tickets: ask, see, answer. Parse, call the client, print."""

import argparse
import sys
from typing import Any

from freehold.client.errors import ClientError
from freehold.client.terminal import Subparsers, command, open_client, say, table

_TICKETS = "/projects/{project}/tickets"


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `tickets`, `ticket` and `ask`."""
    command(subparsers, "tickets", _tickets, "what your project asked, and what it is to answer")
    ticket = command(subparsers, "ticket", _ticket, "one ticket, with all that was said; answer or close it")
    ticket.add_argument("ticket", metavar="ID")
    ticket.add_argument("--say", metavar="TEXT", help="answer, - for standard input; opens a closed one again")
    ticket.add_argument("--close", action="store_true", help="say that it is over")
    ask = command(subparsers, "ask", _ask, "ask whoever runs a service's node about it")
    ask.add_argument("service", metavar="TITLE")
    ask.add_argument("subject")
    ask.add_argument("text", help="what it is, - for standard input")


def _tickets(options: argparse.Namespace) -> int:
    tickets = open_client().ask_all(_TICKETS, "id", project=options.project)
    rows = [[ticket["id"], "open" if ticket["closed_at"] is None else "closed", ticket["title"]] for ticket in tickets]
    say(options, tickets, table(["ID", "STATE", "TITLE"], rows) if rows else "There is none.")
    return 0


def _ticket(options: argparse.Namespace) -> int:
    client, parts = open_client(), {"ticket": options.ticket}
    path = f"{_TICKETS}/{{ticket}}"
    if options.say is None and not options.close:
        ticket = client.ask("GET", path, parts, project=options.project)
    else:
        body = {"text": _read(options.say or ""), "close": options.close}
        ticket = client.ask("POST", f"{path}/messages", parts, body, project=options.project)
    ticket["messages"] = client.ask_all(f"{path}/messages", "id", parts, project=options.project)
    say(options, ticket, _conversation(ticket))
    return 0


def _ask(options: argparse.Namespace) -> int:
    body = {"service": options.service, "title": options.subject, "text": _read(options.text)}
    client = open_client()
    ticket = client.ask("POST", _TICKETS, {}, body, project=options.project)
    parts = {"ticket": ticket["id"]}
    ticket["messages"] = client.ask_all(f"{_TICKETS}/{{ticket}}/messages", "id", parts, project=options.project)
    say(options, ticket, f"{_conversation(ticket)}\n\nSee what is answered with: freehold ticket {ticket['id']}")
    return 0


def _read(text: str) -> str:
    if text != "-":
        return text
    try:
        return sys.stdin.read()
    except UnicodeDecodeError:
        raise ClientError("Standard input is not text.") from None


def _conversation(ticket: dict[str, Any]) -> str:
    head = f"{ticket['title']} ({'open' if ticket['closed_at'] is None else 'closed'})"
    return "\n\n".join(
        [head, *(f"{message['author']}, {message['at']}:\n{message['text']}" for message in ticket["messages"])]
    )

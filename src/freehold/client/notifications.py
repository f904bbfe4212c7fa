"""`freehold notifications …` and `freehold webhook …`: of what you and your programs are told, and what was sent."""

import argparse
from typing import TYPE_CHECKING, Any

from freehold.client.terminal import command, confirmed, open_client, say, table

if TYPE_CHECKING:
    from freehold.client.terminal import Subparsers


_WEBHOOKS = "/projects/{project}/webhooks"


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `notifications` and `webhook` with their sub-commands."""
    own = subparsers.add_parser("notifications", help="messages to you: when, of what, and what was sent")
    commands = own.add_subparsers(dest="notifications_command", required=True, metavar="COMMAND")
    command(commands, "show", _show, "show when and of what you are told by mail")
    change = command(commands, "change", _change, "choose when and of what you are told; what is left out stays")
    change.add_argument("--language", metavar="CODE", help="of messages: en, fr, zh-hans")
    change.add_argument("--time-zone", metavar="NAME", help="such as Europe/Paris")
    change.add_argument("--quiet", metavar="FROM-UNTIL", help="no mail in these hours, 22:00-07:00; none ends that")
    change.add_argument("--most", type=int, metavar="N", help="mails in ten minutes; the others come together")
    change.add_argument("--mute", action="append", default=[], metavar="KIND", help="no mail of this in the project")
    change.add_argument("--unmute", action="append", default=[], metavar="KIND", help="mail of this in the project")
    command(commands, "test", _test, "have a test mailed to you; `sent` says what became of it")
    command(commands, "sent", _sent, "list the mails to you, the newest first")
    retry = command(commands, "retry", _retry, "send a dead mail to you again")
    retry.add_argument("message", metavar="ID")
    _add_webhook_commands(subparsers)


def _add_webhook_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    hooks = subparsers.add_parser("webhook", help="addresses that are told what happens in the project")
    commands = hooks.add_subparsers(dest="webhook_command", required=True, metavar="COMMAND")
    command(commands, "add", _add_webhook, "tell an address; prints its secret").add_argument("url", metavar="URL")
    command(commands, "list", _webhooks, "list the addresses that are told")
    for name, run, help_ in (
        ("test", _test_webhook, "send a test to an address"),
        ("messages", _webhook_messages, "list the messages to an address, the newest first"),
        ("retry", _retry_for_webhook, "send a dead message to an address again"),
        ("remove", _remove_webhook, "tell an address nothing any more, also not what waits for it"),
    ):
        parser = command(commands, name, run, help_)
        parser.add_argument("webhook", metavar="ID")
        if name == "retry":
            parser.add_argument("message", metavar="MESSAGE")
        if name == "remove":
            parser.add_argument("--yes", action="store_true", help="do not ask")


def _show(options: argparse.Namespace) -> int:
    return _say(options, open_client().ask("GET", "/me/notifications"))


def _change(options: argparse.Namespace) -> int:
    client = open_client()
    body: dict[str, Any] = {"language": options.language, "time_zone": options.time_zone, "most": options.most}
    if options.quiet is not None:
        body["quiet_hours"] = "" if options.quiet == "none" else options.quiet
    kinds = {**dict.fromkeys(options.mute, False), **dict.fromkeys(options.unmute, True)}
    if kinds:
        body["kinds"] = {options.project or client.credentials.project: kinds}
    return _say(options, client.ask("PATCH", "/me/notifications", body=body))


def _sent(options: argparse.Namespace) -> int:
    messages = open_client().ask_all("/me/messages", "id")
    say(options, messages, outbox(messages))
    return 0


def _test(options: argparse.Namespace) -> int:
    open_client().ask("POST", "/me/messages/test")
    say(options, {}, "A test is mailed to you. See `freehold notifications sent`.")
    return 0


def _retry(options: argparse.Namespace) -> int:
    open_client().ask("POST", "/me/messages/{message}/retry", {"message": options.message})
    say(options, {}, f"The message {options.message} is sent again.")
    return 0


def _add_webhook(options: argparse.Namespace) -> int:
    webhook = open_client().ask("POST", _WEBHOOKS, {}, {"url": options.url}, project=options.project)
    text = f"{webhook['id']} is told from now on. Its receiver checks signatures with this secret, not shown again:"
    say(options, webhook, f"{text}\n{webhook['secret']}")
    return 0


def _webhooks(options: argparse.Namespace) -> int:
    webhooks = open_client().ask_all(_WEBHOOKS, "id", project=options.project)
    rows = [(webhook["id"], webhook["url"], webhook["maker"], webhook["created_at"]) for webhook in webhooks]
    say(options, webhooks, table(("WEBHOOK", "ADDRESS", "OF", "SINCE"), rows) if rows else "There is none.")
    return 0


def _test_webhook(options: argparse.Namespace) -> int:
    parts = {"webhook": options.webhook}
    message = open_client().ask("POST", f"{_WEBHOOKS}/{{webhook}}/test", parts, project=options.project)
    say(options, message, f"{message['id']} is on its way; see it: freehold webhook messages {options.webhook}")
    return 0


def _webhook_messages(options: argparse.Namespace) -> int:
    parts = {"webhook": options.webhook}
    messages = open_client().ask_all(f"{_WEBHOOKS}/{{webhook}}/messages", "id", parts, project=options.project)
    say(options, messages, outbox(messages))
    return 0


def _retry_for_webhook(options: argparse.Namespace) -> int:
    parts = {"webhook": options.webhook, "message": options.message}
    path = f"{_WEBHOOKS}/{{webhook}}/messages/{{message}}/retry"
    open_client().ask("POST", path, parts, project=options.project)
    say(options, {}, f"The message {options.message} is sent again.")
    return 0


def _remove_webhook(options: argparse.Namespace) -> int:
    if not (options.yes or confirmed(f"Tell {options.webhook} nothing any more?")):
        return 0
    parts = {"webhook": options.webhook}
    open_client().ask("DELETE", f"{_WEBHOOKS}/{{webhook}}", parts, project=options.project)
    say(options, {}, f"{options.webhook} is told nothing any more.")
    return 0


def outbox(messages: list[dict[str, Any]]) -> str:
    """Return messages as a table."""
    rows = [
        (
            message["id"],
            message["state"],
            message["sent_at"] or message["next_at"] or "-",
            "; ".join(message["titles"]),
            message["error"],
        )
        for message in messages
    ]
    return table(("MESSAGE", "STATE", "SENT OR NEXT", "SAYS", "TROUBLE"), rows) if rows else "No message was made yet."


def _say(options: argparse.Namespace, preferences: dict[str, Any]) -> int:
    lines = [
        f"Language      {preferences['language'] or 'of the Master'}",
        f"Time zone     {preferences['time_zone']}",
        f"Quiet hours   {preferences['quiet_hours'] or 'none'}",
        f"Mails         {preferences['most']} in ten minutes, then the others together",
    ]
    if not preferences["is_mail_sent"]:
        lines.append("This Master sends no mail.")
    for project, kinds in preferences["kinds"].items():
        lines += ["", f"{project}:", *(f"  {kind:<22} {'mail' if by_mail else '-'}" for kind, by_mail in kinds.items())]
    say(options, preferences, "\n".join(lines))
    return 0

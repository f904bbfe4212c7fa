"""`freehold sign-ups …` and `freehold terms …`: who may sign up, who waits, and what they accept."""

import argparse
from pathlib import Path

from freehold.client.terminal import Subparsers, command, open_client, read, say, table


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `sign-ups` and `terms`."""
    people = subparsers.add_parser("sign-ups", help="people who sign up (staff)").add_subparsers(
        dest="sign_ups_command", required=True, metavar="COMMAND"
    )
    mode = command(people, "mode", _mode, "who may sign up, or say it")
    mode.add_argument("mode", nargs="?", choices=("closed", "approval", "open"))
    command(people, "list", _list, "who waits for an account")
    command(people, "accept", _accept, "give somebody who waits an account").add_argument("id", metavar="ID")
    refuse = command(people, "refuse", _refuse, "refuse somebody who waits, and mail them why")
    refuse.add_argument("id", metavar="ID")
    refuse.add_argument("reason", help="a line that they read")
    texts = subparsers.add_parser("terms", help="the provider's terms").add_subparsers(
        dest="terms_command", required=True, metavar="COMMAND"
    )
    command(texts, "list", _versions, "all versions, the newest first")
    publish = command(texts, "publish", _publish, "have another version hold from now on (staff)")
    publish.add_argument("kind", choices=("terms", "processing"), help="general terms, or on personal data")
    source = publish.add_mutually_exclusive_group(required=True)
    source.add_argument("--file", type=Path, help="the text")
    source.add_argument("--link", metavar="URL", help="of a page, https://…")


def _mode(options: argparse.Namespace) -> int:
    client = open_client()
    if options.mode:
        client.ask("PUT", "/sign-up", body={"mode": options.mode})
    settings = client.ask("GET", "/sign-up")
    say(options, settings, f"Sign-up: {settings['mode']}")
    return 0


def _list(options: argparse.Namespace) -> int:
    sign_ups = open_client().ask_all("/sign-ups", "id")
    rows = [(sign_up["id"], sign_up["email"], sign_up["name"], sign_up["asked_at"]) for sign_up in sign_ups]
    say(options, sign_ups, table(("ID", "E-MAIL", "NAME", "SINCE"), rows) if rows else "Nobody waits.")
    return 0


def _accept(options: argparse.Namespace) -> int:
    open_client().ask("POST", "/sign-ups/{id}/accept", {"id": options.id})
    say(options, {}, "They have an account, and are told so by mail.")
    return 0


def _refuse(options: argparse.Namespace) -> int:
    open_client().ask("POST", "/sign-ups/{id}/refuse", {"id": options.id}, body={"reason": options.reason})
    say(options, {}, "They are refused, and told why by mail.")
    return 0


def _versions(options: argparse.Namespace) -> int:
    terms = open_client().ask_all("/terms", "id")
    rows = [
        (version["id"], version["published_at"], version["link"] or f"{len(version['text'])} characters")
        for version in terms
    ]
    say(options, terms, table(("ID", "SINCE", "TEXT"), rows) if rows else "There are no terms.")
    return 0


def _publish(options: argparse.Namespace) -> int:
    text = options.link or read(options.file)
    version = open_client().ask("POST", "/terms", body={"kind": options.kind, "text": text})
    say(options, version, f"{version['id']} holds from now on.")
    return 0

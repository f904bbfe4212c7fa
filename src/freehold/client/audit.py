"""`freehold audit`: who did what in a project. Parse, call the client, print."""

import argparse
import json
import sys
from typing import Any

from freehold.client.errors import ClientError
from freehold.client.terminal import Subparsers, command, open_client, say, table

_FILTERS = ("actor", "verb", "subject", "since", "until")


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `audit`."""
    audit = command(subparsers, "audit", _audit, "who did what in a project, the newest first")
    audit.add_argument("--actor", default="", help="an e-mail, node:ID, instance:ID, or freehold for the Master itself")
    audit.add_argument("--verb", default="", help="such as node.drain, or node for all about nodes")
    audit.add_argument("--subject", default="", metavar="ID", help="what it was done to")
    audit.add_argument("--since", default="", metavar="TIME", help="such as 2026-12-01 or 2026-12-01T22:00Z")
    audit.add_argument("--until", default="", metavar="TIME", help="before that moment, or to the end of that day")
    audit.add_argument("--limit", type=int, default=50, metavar="N", help="rows at most (default: 50, 1000 at once)")
    audit.add_argument("--after", default="", metavar="ID", help="go on after this one")
    audit.add_argument("--csv", action="store_true", help="print all of it as CSV")


def _audit(options: argparse.Namespace) -> int:
    if options.csv and options.json:
        raise ClientError("--csv prints CSV: leave --json and --field out.")
    query = {name: getattr(options, name) for name in _FILTERS}
    client = open_client()
    if options.csv:
        sys.stdout.write(client.ask("GET", "/projects/{project}/audit.csv", query=query, project=options.project))
        return 0
    query |= {"limit": str(options.limit), "after": options.after}
    entries = client.ask("GET", "/projects/{project}/audit", query=query, project=options.project)
    rows = [
        [entry["id"], entry["at"], entry["actor"], entry["verb"], entry["subject"], _words(entry["detail"])]
        for entry in entries
    ]
    text = table(("ID", "AT", "ACTOR", "VERB", "SUBJECT", "DETAIL"), rows) if rows else "Nothing of that was done."
    if len(entries) == max(1, min(options.limit, 1000)):
        text += f"\nThere may be more: --after {entries[-1]['id']}"
    say(options, entries, text)
    return 0


def _words(detail: dict[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in detail.items())

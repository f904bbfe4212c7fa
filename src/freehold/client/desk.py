"""The desk of whoever runs nodes: what needs them now. Parse, call the client, print."""

import argparse
from collections.abc import Callable
from typing import Any

from freehold.client.terminal import Subparsers, command, open_client, say, table

Row = dict[str, Any]
_LISTS: tuple[tuple[str, str, tuple[str, ...], Callable[[Row], list[str]]], ...] = (
    (
        "services",
        "Services that do not keep a promise",
        ("SERVICE", "PROJECT", "PROMISE", "SINCE", "NODE", "SITE"),
        lambda row: [row["title"], row["project"], row["promise"], row["since"], row["node"], row["site"]],
    ),
    (
        "machines",
        "Nodes that do not keep a promise",
        ("NODE", "SITE", "PROMISE", "SINCE", "SEEN"),
        lambda row: [row["node"], row["site"], row["promise"], row["since"] or "-", row["message"]],
    ),
    (
        "nodes",
        "Nodes on which nothing new can be placed",
        ("NODE", "SITE", "STATE", "SINCE", "EXPECTED UNTIL", "SERVICES"),
        lambda row: [
            row["node"],
            row["site"],
            row["state"],
            row["since"] or "-",
            row["expected_until"] or "-",
            str(row["services"]),
        ],
    ),
    (
        "orders",
        "Orders that wait, or are stuck",
        ("SERVICE", "PROJECT", "STATE", "SINCE", "NODE", "WHY"),
        lambda row: [row["title"], row["project"], row["state"], row["since"], row["node"], row["why"]],
    ),
    (
        "builds",
        "Releases that cannot be built",
        ("RELEASE", "NODE", "SITE", "SINCE", "LAST LINE"),
        lambda row: [
            f"{row['product']} {row['release']}",
            row["node"],
            row["site"],
            row["since"] or "-",
            row["log"].rpartition("\n")[2],
        ],
    ),
    (
        "tickets",
        "Tickets that wait for an answer",
        ("ID", "PROJECT", "SINCE", "LAST WORD", "TITLE"),
        lambda row: [row["id"], row["project"], row["since"], row["author"], row["title"]],
    ),
    (
        "certificates",
        "Certificates that nobody renewed",
        ("OF", "TITLE", "PROJECT", "NODE", "ENDS"),
        lambda row: [row["kind"], row["title"], row["project"], row["node"], row["ends_at"]],
    ),
    (
        "sign_ups",
        "People who wait for an account",
        ("ID", "E-MAIL", "NAME", "SINCE"),
        lambda row: [row["id"], row["email"], row["name"], row["since"]],
    ),
    (
        "tasks",
        "Tasks of the Master that do not go well",
        ("TASK", "STATE", "LAST RUN", "WHY"),
        lambda row: [row["name"], row["state"], row["began_at"] or "-", row["error"]],
    ),
)


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `desk`."""
    desk = command(subparsers, "desk", _desk, "what needs whoever runs the nodes of a project, now")
    desk.add_argument("--limit", type=int, default=20, metavar="N", help="rows of each list (default: 20)")


def _desk(options: argparse.Namespace) -> int:
    query = {"limit": str(options.limit)}
    desk = open_client().ask("GET", "/projects/{project}/desk", query=query, project=options.project)
    say(options, desk, _shown(desk))
    return 0


def _shown(desk: Row) -> str:
    capacity = desk["capacity"]
    parts = [
        f"{capacity['heard']} of {capacity['nodes']} nodes are heard; {capacity['services']} services live there, "
        f"{capacity['free']} places are free."
    ]
    for name, title, head, cells in _LISTS:
        section = desk[name]
        if section is None or not section["total"]:
            continue
        more = section["total"] - len(section["rows"])
        more_line = [f"... and {more} more: --limit {min(section['total'], 1000)}"] if more else []
        parts.append(
            "\n".join(
                [f"{title}: {section['total']}", table(head, [cells(row) for row in section["rows"]]), *more_line]
            )
        )
    return "\n\n".join(parts if len(parts) > 1 else [*parts, "Nothing needs you."])

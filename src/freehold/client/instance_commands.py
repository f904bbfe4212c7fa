"""The commands about services: order, change, look, move, destroy."""

import argparse
import json
import sys
from textwrap import indent
from typing import Any, get_args

from msgspec import UNSET

from freehold.client.api import Client
from freehold.client.errors import ClientError, Refused
from freehold.client.messages import Answer, Instance, MoveAnswer
from freehold.client.terminal import (
    Subparsers,
    command,
    confirmed,
    json_object,
    json_or_text,
    open_client,
    say,
    seconds,
    table,
)
from freehold.protocol import JOB_PROMISE, order


def add_instance_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add every command about services."""
    request = command(subparsers, "request", _request, "make a service exist as described, or change it")
    request.add_argument("title")
    request.add_argument("product", nargs="?", help=order.FIELDS["product"].help)
    for name, field in order.FIELDS.items():
        if name != "product":
            request.add_argument(
                f"--{name.replace('_', '-')}", metavar=field.metavar, choices=field.choices, help=field.help
            )
    request.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change this parameter alone: JSON, or a text that is none; @FILE is the text in a file",
    )
    request.add_argument(
        "--unset", action="append", default=[], metavar="NAME", help="leave this parameter to its default"
    )
    request.add_argument("--dry-run", action="store_true", help="check and place it, but keep nothing")
    request.add_argument(
        "--partial", action="store_true", help="take it though there is no room for all that it will request"
    )
    _add_wait(request)
    show = command(subparsers, "show", _show, "show one service")
    show.add_argument("title")
    show.add_argument("--reveal", action="store_true", help="with its secrets, which the audit trail notes")
    _add_wait(show)
    command(subparsers, "list", _list, "list the services of a project")
    for verb, state, help in (
        ("start", "started", "start a stopped service"),
        ("stop", "stopped", "stop a service; it keeps its data and its place"),
        (
            "destroy",
            "destroyed",
            "stop a service, and destroy it with its data a few days later, until when `start` has it back",
        ),
    ):
        parser = command(subparsers, verb, _set_state, help)
        parser.set_defaults(state=state)
        parser.add_argument("title")
        if verb == "destroy":
            parser.add_argument("--now", action="store_true", help="destroy it at once, for good")
            parser.add_argument("--dry-run", action="store_true", help="only say what would end")
            parser.add_argument("--yes", action="store_true", help="do not ask")
        _add_wait(parser)
    restart = command(subparsers, "restart", _restart, "end the processes of a service, or one, and start them anew")
    restart.add_argument("title")
    restart.add_argument("process", nargs="?", default="", help="only this one")
    _add_wait(restart)
    run = command(subparsers, "run", _run_job, "run a job of a service now, whatever its next time is")
    run.add_argument("title")
    run.add_argument("job", help="its name, as in the promise job-NAME")
    move = command(subparsers, "move", _move, "place a service on another node, where it begins as when it was new")
    move.add_argument("title")
    move.add_argument("--abandon-data", action="store_true", help="its data stays behind and is destroyed there")
    move.add_argument("--dry-run", action="store_true", help="only say where it would go")
    move.add_argument("--yes", action="store_true", help="do not ask")
    _add_wait(move)


def _request(options: argparse.Namespace) -> int:
    fields = {name: _said(name, getattr(options, name)) for name in order.FIELDS}
    changes = parameter_changes(options.set, options.unset)
    client = open_client()
    if changes:
        present = fields["parameters"] if fields["parameters"] is not None else _present_parameters(options, client)
        changed = {name: value for name, value in (present | changes).items() if value is not UNSET}
        fields["parameters"] = changed
    answer = client.request(
        options.title, dry_run=options.dry_run, partial=options.partial, project=options.project, **fields
    )
    if options.dry_run:
        verb = "create it" if answer.created else "change it" if answer.changed else "change nothing"
        say(options, answer, f"Would {verb}, on node {answer.node}, partition {answer.partition}.")
        return 0
    return _finish(options, client, answer)


def parameter_changes(texts: list[str], removed: list[str]) -> dict[str, Any]:
    """Return the parameters that `--set` and `--unset` name; UNSET stands for one that goes.

    Raise ClientError for a text that is no NAME=VALUE, and for a name that is given twice.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not name or not separator:
            raise ClientError(f"--set {text}: it takes NAME=VALUE, such as greeting=hello.")
        _add(changes, name, json_or_text(f"--set {name}", value))
    for name in removed:
        _add(changes, name, UNSET)
    return changes


def _add(changes: dict[str, Any], name: str, value: Any) -> None:
    if name in changes:
        raise ClientError(f"The parameter '{name}' is named twice.")
    changes[name] = value


def _present_parameters(options: argparse.Namespace, client: Client) -> dict[str, Any]:
    """Return what a service has now; nothing when there is none of the title, or only one that was destroyed."""
    try:
        instance = client.show(options.title, project=options.project)
    except Refused as refused:
        if refused.problem.type != "not-found":
            raise
        return {}
    return {} if instance.wanted == "destroyed" else dict(instance.parameters)


def _said(name: str, text: str | None) -> Any:
    """Return the value of a field of an order as it was typed."""
    if bool in get_args(order.TYPES[name]):
        return {None: None, "yes": True, "no": False}[text]
    return json_object(f"--{name}", text) if dict[str, Any] in get_args(order.TYPES[name]) else text


def _set_state(options: argparse.Namespace) -> int:
    if options.state == "destroyed" and options.dry_run:
        return _say_end(options)
    if options.state == "destroyed" and not options.yes and not confirmed(f"Destroy '{options.title}' and its data?"):
        return 1
    client = open_client()
    now = options.state == "destroyed" and options.now
    answer = client.request(options.title, state=options.state, now=now, project=options.project)
    return _finish(options, client, answer)


def _say_end(options: argparse.Namespace) -> int:
    client = open_client()
    answer = client.request(options.title, state="destroyed", dry_run=True, now=options.now, project=options.project)
    if not answer.changed:
        say(options, answer, f"'{options.title}' is destroyed already.")
        return 0
    shown = client.show(options.title, project=options.project)
    lines = [f"Would destroy '{options.title}' and its data, on node {shown.node}."]
    if answer.ends_at is not None:
        lines = [f"Would stop '{options.title}' on node {shown.node}, and destroy it and its data at {answer.ends_at}."]
    lines += [f"  with it: {child.title}, and what it requested" for child in shown.children]
    say(options, answer, "\n".join(lines))
    return 0


def _move(options: argparse.Namespace) -> int:
    client = open_client()

    def ask(*, dry_run: bool) -> MoveAnswer:
        return client.move(options.title, abandon_data=options.abandon_data, dry_run=dry_run, project=options.project)

    answer = ask(dry_run=True)
    loss = f"; its data on '{answer.former}' is destroyed" if answer.abandoned else ""
    if options.dry_run:
        say(
            options,
            answer,
            f"Would move from '{answer.former}' to '{answer.node}', or another that is free then{loss}.",
        )
        return 0
    if not options.yes and not confirmed(f"Move '{options.title}' away from '{answer.former}'{loss}?"):
        return 1
    moved = ask(dry_run=False)
    instance = client.show(options.title, project=options.project)
    if options.wait is not None and not instance.ready:
        instance = _wait(options, client, instance)
    say(options, moved, f"From '{moved.former}' to '{moved.node}'.\n{_describe(instance)}")
    return 0


def _restart(options: argparse.Namespace) -> int:
    client = open_client()
    client.restart(options.title, process=options.process, project=options.project)
    instance = client.show(options.title, project=options.project)
    if options.wait is not None and not instance.ready:
        instance = _wait(options, client, instance)
    say(options, instance, _describe(instance))
    return 0


def _run_job(options: argparse.Namespace) -> int:
    client = open_client()
    client.restart(options.title, process=f"{JOB_PROMISE}{options.job}", project=options.project)
    words = f"'{options.job}' of '{options.title}' is run. How it ends: freehold show '{options.title}'"
    say(options, {"title": options.title, "job": options.job}, words)
    return 0


def _finish(options: argparse.Namespace, client: Client, answer: Answer) -> int:
    assert answer.instance is not None
    instance = answer.instance
    if options.wait is not None and not instance.ready:
        instance = _wait(options, client, instance)
    say(options, instance, _describe(instance))
    return 0


def _wait(options: argparse.Namespace, client: Client, instance: Instance) -> Instance:
    """Wait as long as the option says; say on stderr what changes, to a terminal, and why something fails, to all."""
    last_line = ""

    def watch(now: Instance) -> None:
        nonlocal last_line
        kept_count = sum(1 for promise in now.promises if promise.kept)
        line = now.state + (f", {kept_count} of {len(now.promises)} promises kept" if now.promises else "")
        is_failed = now.state == "failed"
        if now.message and (is_failed or now.state == "waiting"):
            line += f": {now.message}"
        # It may come right, for nodes try again: whoever waits decides whether to.
        if line != last_line and (is_failed or sys.stderr.isatty()):
            print(f"{now.title}: {line}", file=sys.stderr)
        last_line = line

    return client.wait(instance.title, seconds=options.wait, watch=watch, project=options.project)


def _show(options: argparse.Namespace) -> int:
    client = open_client()
    instance = client.show(options.title, project=options.project)
    if options.wait is not None and not instance.ready:
        instance = _wait(options, client, instance)
    if options.reveal:
        instance = client.show(options.title, reveal=True, project=options.project)
    say(options, instance, _describe(instance))
    return 0


def _list(options: argparse.Namespace) -> int:
    instances = open_client().instances(project=options.project)
    rows = [
        (
            instance.title,
            f"{instance.product} {instance.release}",
            instance.state if instance.ends_at is None else "to be destroyed",
            _kept(instance),
            instance.node,
            _address(instance),
        )
        for instance in sorted(instances, key=lambda instance: instance.title)
    ]
    say(options, instances, table(("TITLE", "PRODUCT", "STATE", "PROMISES", "NODE", "URL"), rows))
    return 0


def _kept(instance: Instance) -> str:
    """Return what is known of the promises of an instance, in a word or two."""
    if instance.last_heard is not None:
        return f"last heard {instance.last_heard}"
    return {"": "-", "broken": "NOT KEPT"}.get(instance.health, instance.health)


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        type=seconds,
        metavar="SECONDS",
        help="wait until it is as wanted, so long at most; exit status 3 when it is not",
    )


def _describe(instance: Instance) -> str:
    lines = [
        f"{instance.title}: {instance.state}"
        + (f" (wanted: {instance.wanted})" if instance.wanted != instance.state else ""),
        f"  product     {instance.product} {instance.release}, type {instance.type}",
        f"  place       {instance.site} / {instance.node} / {instance.partition} {instance.address or ''}".rstrip(),
    ]
    if instance.size:
        lines.append(f"  may use     {', '.join(f'{name} {number:g}' for name, number in instance.size.items())}")
    lines += [f"  {name:11} {text}" for name in order.FREE_TEXT if (text := getattr(instance, name))]
    lines += [
        f"  parameter   {name} = {json.dumps(value, ensure_ascii=False)}" for name, value in instance.parameters.items()
    ]
    lines += [f"  publication {name} = {_indented(value)}" for name, value in instance.publication.items()]
    for promise in instance.promises:
        state = "not checked yet" if promise.kept is None else "kept" if promise.kept else "NOT KEPT"
        lines.append(f"  promise     {promise.name}: {state}" + (f" – {promise.message}" if promise.message else ""))
    for child in instance.children:
        served = ", shared" if child.shared else ""
        lines.append(f"  child       {child.title}: {child.state} ({child.product}, type {child.type}{served})")
    if instance.offer is not None:
        lines.append(f"  offers      places to {instance.offer.offered_to}: {instance.offer.free} are free")
    lines += [f"  used        {name} = {value}" for name, value in instance.usage.items() if value is not None]
    lines += [
        f"  maintenance from {maintenance.begins_at} to {maintenance.ends_at} its site may be down: {maintenance.what}"
        for maintenance in instance.maintenances
    ]
    if instance.protected:
        lines.append("  protected   it cannot be destroyed")
    if instance.ends_at is not None:
        lines.append(f"  ends        {instance.ends_at}, with its data; `freehold start {instance.title}` has it back")
    if instance.message:
        lines.append("  " + instance.message.replace("\n", "\n  "))
    return "\n".join(lines)


def _indented(value: object) -> str:
    """Return a value as people read it; one of several lines begins on a line of its own, and stays below its name."""
    text = str(value)
    return "\n" + indent(text.rstrip("\n"), " " * 6) if "\n" in text else text


def _address(instance: Instance) -> str:
    """Return where an instance can be looked at; other URLs often hold a password."""
    url = str(instance.publication.get("url", ""))
    return url if url.startswith(("http://", "https://")) else "-"

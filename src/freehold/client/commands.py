"""The operator's commands, and all others that talk to the public API: parse, call the client, print."""

import argparse
from pathlib import Path

from freehold.client.errors import ClientError
from freehold.client.instance_commands import add_instance_commands
from freehold.client.login_commands import add_login_commands
from freehold.client.terminal import (
    Subparsers,
    command,
    confirmed,
    open_client,
    read_bytes,
    say,
    table,
)
from freehold.protocol import archive

_MAINTENANCES = "/projects/{project}/maintenances"


def add_commands(
    subparsers: "Subparsers[argparse.ArgumentParser]", node: "Subparsers[argparse.ArgumentParser]"
) -> None:
    """Add every command that talks to the public API; `node` takes those about nodes."""
    add_login_commands(subparsers)
    add_instance_commands(subparsers)
    _add_operator_commands(subparsers)
    _add_node_commands(node)


def _add_operator_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    quota = command(subparsers, "quota", _quota, "how many of everything a project may have, or set that (staff)")
    quota.add_argument("name", nargs="?", help="of the quota to set")
    quota.add_argument("most", nargs="?", help="how many, or `usual`")
    supply = command(subparsers, "supply", _supply, "say which nodes may run a product, or list that")
    supply.add_argument("product", nargs="?", help="without it, list the supplies")
    supply.add_argument("--release", metavar="VERSION", help="the newest when left out")
    where = supply.add_mutually_exclusive_group()
    where.add_argument("--node", action="append", metavar="NODE", help="id or title (repeat)")
    where.add_argument("--site")
    where.add_argument("--all", action="store_true", help="all nodes of the project")
    supply.add_argument("--private", action="store_true", help="only for the project that owns the nodes")
    supply.add_argument("--remove", action="store_true", help="the nodes shall forget it")
    release = subparsers.add_parser("release", help="publish and list releases").add_subparsers(
        dest="release_command", required=True, metavar="COMMAND"
    )
    publish = command(release, "publish", _publish, "publish a release from its folder, or packed")
    publish.add_argument("release", type=Path, metavar="FOLDER_OR_FILE")
    listing = command(release, "list", _releases, "list what was published")
    listing.add_argument("product", nargs="?")
    site = subparsers.add_parser("site", help="places with nodes").add_subparsers(
        dest="site_command", required=True, metavar="COMMAND"
    )
    add = command(site, "add", _add_site, "create a site")
    add.add_argument("name")
    add.add_argument("--region", default="")
    change = command(site, "change", _change_site, "declare for how long the nodes of a site may be silent")
    change.add_argument("name")
    change.add_argument(
        "--expected-silence", type=int, required=True, metavar="SECONDS", help="until then nobody is told; 0: none"
    )
    command(site, "list", _sites, "list the sites")
    maintenance = site.add_parser("maintenance", help="times in which a site may be down").add_subparsers(
        dest="maintenance_command", required=True, metavar="COMMAND"
    )
    announce = command(
        maintenance, "announce", _announce, "announce one, two days before or earlier, for a day at most"
    )
    announce.add_argument("site")
    announce.add_argument("what", help="what is done; customers read it")
    announce.add_argument("--begins", required=True, metavar="TIME", help="such as 2026-12-01T22:00Z")
    announce.add_argument("--ends", required=True, metavar="TIME")
    withdraw = command(maintenance, "withdraw", _withdraw_maintenance, "take back one that has not begun")
    withdraw.add_argument("maintenance", metavar="ID")
    command(maintenance, "list", _maintenances, "list what was announced")


def _add_node_commands(node: "Subparsers[argparse.ArgumentParser]") -> None:
    command(node, "list", _nodes, "list the nodes of a project")
    token = command(node, "token", _token, "make a one-time token with which a machine becomes a node")
    token.add_argument("--site", required=True)
    for verb, open_ in (("open", True), ("close", False)):
        parser = command(node, verb, _open, f"{verb} a node for new services")
        parser.set_defaults(open=open_)
        parser.add_argument("node")
    builder = command(node, "builder", _builder, "have other nodes take a node's finished builds")
    builder.add_argument("node")
    builder.add_argument("--off", action="store_true", help="have them take none any more, also of those it made")
    label = command(node, "label", _label, "set the labels of a node, replacing those it had")
    label.add_argument("node")
    label.add_argument("labels", nargs="*", metavar="NAME=VALUE")
    drain = command(node, "drain", _drain, "close a node and move what holds no data to others")
    drain.add_argument("node")
    drain.add_argument("--dry-run", action="store_true", help="only say what would move")
    drain.add_argument("--yes", action="store_true", help="do not ask")
    undrain = command(node, "undrain", _open, "place new services on a drained node again")
    undrain.add_argument("node")
    undrain.set_defaults(open=True)
    lease = command(node, "lease", _lease, "say after how much silence what holds no data moves to other nodes")
    lease.add_argument("node")
    lease.add_argument("seconds", type=int, help="0: never, it serves for ever without its Master")
    revoke = command(node, "revoke", _revoke, "revoke a node's certificates, effective at once")
    revoke.add_argument("node")
    revoke.add_argument("--dry-run", action="store_true", help="only say what lives there")
    revoke.add_argument("--yes", action="store_true", help="do not ask")


def _supply(options: argparse.Namespace) -> int:
    client = open_client()
    if options.product is None:
        supplies = client.supplies(project=options.project)
    else:
        if not (options.node or options.site or options.all):
            raise ClientError("Say where: --node NODE, --site SITE or --all.")
        supplies = client.supply(
            options.product,
            release=options.release,
            nodes=options.node,
            site=options.site,
            everyone=not options.private,
            wanted="removed" if options.remove else "available",
            project=options.project,
        )
    rows = [(supply.product, supply.release, supply.node, supply.wanted, supply.observed or "-") for supply in supplies]
    text = table(("PRODUCT", "RELEASE", "NODE", "WANTED", "OBSERVED"), rows)
    failures = [
        f"\n{supply.product} on {supply.node} cannot be built:\n{supply.message}"
        for supply in supplies
        if supply.observed == "failed"
    ]
    say(options, supplies, text + "".join(failures))
    return 0


def _publish(options: argparse.Namespace) -> int:
    packed = read_bytes(options.release) if options.release.is_file() else archive.pack(options.release)
    release = open_client().publish(packed, project=options.project)
    say(options, release, f"{release.product} {release.version} is published as {release.release[:12]}.")
    return 0


def _releases(options: argparse.Namespace) -> int:
    releases = open_client().releases(options.product)
    rows = [
        (release.product, release.version, ",".join(kind.name for kind in release.types), release.description)
        for release in releases
    ]
    say(options, releases, table(("PRODUCT", "RELEASE", "TYPES", "DESCRIPTION"), rows))
    return 0


def _quota(options: argparse.Namespace) -> int:
    client = open_client()
    if options.name is None:
        quotas = client.ask("GET", "/projects/{project}/quotas", project=options.project)
        say(options, quotas, table(["quota", "most"], [[name, str(most)] for name, most in quotas.items()]))
        return 0
    if options.most is None or not (options.most == "usual" or options.most.isdigit()):
        raise ClientError("Say how many: a number, or `usual`.")
    most = None if options.most == "usual" else int(options.most)
    path = "/projects/{project}/quotas/{name}"
    client.ask("PUT", path, {"name": options.name}, {"most": most}, project=options.project)
    say(options, {"most": most}, f"The quota '{options.name}' is {options.most}.")
    return 0


def _add_site(options: argparse.Namespace) -> int:
    site = open_client().add_site(options.name, options.region, project=options.project)
    say(options, site, f"Site '{site.name}' is there.")
    return 0


def _change_site(options: argparse.Namespace) -> int:
    site = open_client().change_site(options.name, expected_silence=options.expected_silence, project=options.project)
    say(options, site, f"Nodes on site '{site.name}' may be silent for {site.expected_silence} s.")
    return 0


def _sites(options: argparse.Namespace) -> int:
    sites = open_client().sites(project=options.project)
    say(
        options,
        sites,
        table(
            ("SITE", "REGION", "NODES", "EXPECTED SILENCE"),
            [(site.name, site.region, str(site.nodes), f"{site.expected_silence} s") for site in sites],
        ),
    )
    return 0


def _announce(options: argparse.Namespace) -> int:
    body = {"site": options.site, "begins_at": options.begins, "ends_at": options.ends, "what": options.what}
    maintenance = open_client().ask("POST", _MAINTENANCES, body=body, project=options.project)
    begin, end = maintenance["begins_at"], maintenance["ends_at"]
    words = f"'{maintenance['site']}' may be down from {begin} to {end}; its customers see it."
    say(options, maintenance, f"{words} Take it back: freehold site maintenance withdraw {maintenance['id']}")
    return 0


def _withdraw_maintenance(options: argparse.Namespace) -> int:
    parts = {"maintenance": options.maintenance}
    open_client().ask("DELETE", f"{_MAINTENANCES}/{{maintenance}}", parts, project=options.project)
    say(options, {"withdrawn": options.maintenance}, "It is withdrawn.")
    return 0


def _maintenances(options: argparse.Namespace) -> int:
    maintenances = open_client().ask_all(_MAINTENANCES, "id", project=options.project)
    rows = [
        [maintenance["id"], maintenance["site"], maintenance["begins_at"], maintenance["ends_at"], maintenance["what"]]
        for maintenance in maintenances
    ]
    say(options, maintenances, table(("ID", "SITE", "BEGINS", "ENDS", "WHAT"), rows) if rows else "None was announced.")
    return 0


def _nodes(options: argparse.Namespace) -> int:
    nodes = open_client().nodes(project=options.project)
    rows = [
        (
            node.title,
            node.site,
            node.state + (", builder" if node.builder else ""),
            f"{node.free}/{node.partitions}",
            node.last_contact or "never",
            node.id,
        )
        for node in nodes
    ]
    say(options, nodes, table(("NODE", "SITE", "STATE", "FREE", "LAST CONTACT", "ID"), rows))
    return 0


def _token(options: argparse.Namespace) -> int:
    token = open_client().enrol_token(options.site, project=options.project)
    say(options, {"token": token}, token)
    return 0


def _open(options: argparse.Namespace) -> int:
    node = open_client().change_node(options.node, open=options.open, project=options.project)
    say(options, node, f"Node '{node.title}' is {'open' if node.open else 'closed'} for new services.")
    return 0


def _builder(options: argparse.Namespace) -> int:
    node = open_client().change_node(options.node, builder=not options.off, project=options.project)
    words = "are taken by other nodes" if node.builder else "are taken by nobody else"
    say(options, node, f"Finished builds of node '{node.title}' {words}.")
    return 0


def _label(options: argparse.Namespace) -> int:
    labels = {}
    for text in options.labels:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ClientError(f"'{text}' is not a label; write NAME=VALUE.")
        labels[name] = value
    node = open_client().change_node(options.node, labels=labels, project=options.project)
    say(
        options,
        node,
        f"Node '{node.title}': " + (", ".join(f"{k}={v}" for k, v in node.labels.items()) or "no labels"),
    )
    return 0


def _drain(options: argparse.Namespace) -> int:
    question = f"Close '{options.node}' and move its services that hold no data?"
    if not options.dry_run and not options.yes and not confirmed(question):
        return 1
    done = open_client().drain_node(options.node, dry_run=options.dry_run, project=options.project)
    lines = [f"{title}: {'would move' if options.dry_run else 'moves'}" for title in done.moved]
    lines += [f"{title}: member of a cluster, which moves one after another" for title in done.later]
    lines += [f"{title}: no other place: {why}" for title, why in done.stuck.items()]
    lines += [f"{title}: holds data, stays for its owner to decide" for title in done.stays]
    say(options, done, "\n".join(lines) or "Nothing lives there.")
    return 0


def _lease(options: argparse.Namespace) -> int:
    changed = open_client().change_node(options.node, lease=options.seconds, project=options.project)
    words = (
        f"after {options.seconds} s of silence what holds no data moves elsewhere" if options.seconds else "never lost"
    )
    say(options, changed, f"Node '{options.node}': {words}.")
    return 0


def _revoke(options: argparse.Namespace) -> int:
    if options.dry_run:
        there = open_client().drain_node(options.node, dry_run=True, project=options.project)
        titles = sorted([*there.moved, *there.stuck, *there.stays])
        lines = [f"{title}: would run on, unheard of" for title in titles]
        say(options, titles, "\n".join(lines) or "Nothing lives there.")
        return 0
    if not options.yes and not confirmed(f"Revoke the certificates of '{options.node}'? It must be enrolled again."):
        return 1
    open_client().revoke_node(options.node, project=options.project)
    say(options, {"revoked": options.node}, f"Node '{options.node}' is nobody here any more.")
    return 0

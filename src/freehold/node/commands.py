"""`freehold node …`: commands for whoever owns the node's machine."""

import argparse
import logging
import os
import re
import signal
import socket
import sys
import time
from pathlib import Path

import msgspec

from freehold import json_output
from freehold.escaping import Formatter
from freehold.node import settings as node_settings
from freehold.node.errors import SettingsError, SupervisorError
from freehold.node.settings import Paths, default_root
from freehold.node.upgrade import agent_pid

Subparsers = argparse._SubParsersAction
_WITHIN = "how long it may take to reach the Master and its promises (default: %(default)g)"
_LIMITED = {
    "memory_mb": "megabytes of memory (default: half of the machine's)",
    "processes": "processes and threads",
    "cpu_percent": "percent of one core (default: what others leave)",
    "disk_mb": "megabytes on disk (default: all but the node's reserve)",
    "files": "files on disk",
    "open_files": "files and connections that one process may have open (default: as the node itself)",
}


def add_commands(node: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the commands of a node's own machine below `freehold node`."""
    prepare = _command(node, "prepare", _prepare, "make this machine's partitions: users, folders, addresses")
    prepare.add_argument("--partitions", type=int, default=8, metavar="N", help="how many (default: %(default)s)")
    prepare.add_argument(
        "--network",
        default="",
        metavar="CIDR",
        help="where their addresses come from (default: a private network)",
    )
    prepare.add_argument("--interface", default="lo", help="which interface gets the addresses (default: %(default)s)")
    prepare.add_argument(
        "--unprivileged", action="store_true", help="as root, work as without: no users, loopback addresses"
    )
    for field in msgspec.structs.fields(node_settings.Limits):
        flag = "--" + field.name.replace("_", "-")
        prepare.add_argument(flag, type=int, metavar="N", help=f"what each may use at most: {_LIMITED[field.name]}")
    enrol = _command(node, "enrol", _enrol, "become a node of a Master, with a one-time token")
    enrol.add_argument("--master", required=True, metavar="URL")
    enrol.add_argument(
        "--token-file", required=True, metavar="FILE", help="file with the token, or - for standard input"
    )
    enrol.add_argument("--title", default=_host_name(), help="the node's name (default: %(default)s)")
    _command(node, "run", _run, "run the agent in the foreground; services outlive it")
    status = _command(node, "status", _status, "what runs here, and whether promises are kept")
    json_output.add_options(status)
    promises = _command(node, "promises", _promises, "what became of the promises of an instance, the newest first")
    promises.add_argument("title", help="of the instance, or its id")
    json_output.add_options(promises)
    doctor = _command(node, "doctor", _doctor, "find what is wrong with this node, and say what mends it")
    json_output.add_options(doctor)
    orphans = _command(node, "orphans", _orphans, "show what the Master does not name any more and this node keeps")
    orphans.add_argument("--destroy", metavar="INSTANCE", help="agree to the end of one of them, and of its data")
    _add_dry_run(orphans)
    _add_dry_run(_command(node, "tidy", _tidy, "remove builds, downloads and logs that nothing needs"))
    bundle = _command(node, "bundle", _bundle, "write what helps somebody to help, without secrets, into a file")
    bundle.add_argument("file", type=Path)
    reinstall = _command(node, "reinstall", _reinstall, "forget everything that this machine holds as a node")
    _add_dry_run(reinstall)
    upgrade = _command(node, "upgrade", _upgrade, "have the agent become another version, and back if that does not do")
    upgrade.add_argument("file", type=Path, help="freehold-node.pyz of that version")
    upgrade.add_argument("--within", type=float, default=120.0, metavar="SECONDS", help=_WITHIN)
    _add_dry_run(upgrade)
    stop = _command(node, "stop", _stop, "end the agent and every service of this node")
    stop.add_argument("--keep-services", action="store_true", help="end only the agent")
    _add_dry_run(stop)
    cache = _command(
        node, "cache", _cache, "where builds come from, and whose are believed; shows it when not told more"
    )
    cache.add_argument(
        "--mirror",
        action="append",
        metavar="URL",
        help="https://…, s3+https://HOST/BUCKET, /folder, or `master` (repeat, in order; replaces those before)",
    )
    cache.add_argument("--trust", action="append", metavar="KEY", help="builders to believe (repeat; replaces)")
    cache.add_argument("--share", action=argparse.BooleanOptionalAction, help="keep finished builds to carry them")
    cache.add_argument("--keep", type=int, metavar="MB", help="how much may be kept here")
    letter = node.add_parser("letter", help="reports carried where there is no network").add_subparsers(
        dest="letter_command", required=True, metavar="COMMAND"
    )
    write = _command(letter, "write", _write_letter, "write all that waits for the Master into a file")
    deliver = letter.add_parser("deliver", help="bring a letter to the Master, from any machine that reaches it")
    deliver.add_argument("--master", default="", metavar="URL", help="another address than the node knows")
    deliver.set_defaults(run=_deliver_letter)
    receipt = _command(letter, "receipt", _read_receipt, "forget what the Master receipted")
    for parser in (write, deliver, receipt):
        parser.add_argument("file", type=Path)


def _command(node: "Subparsers[argparse.ArgumentParser]", name: str, run: object, help: str) -> argparse.ArgumentParser:
    parser = node.add_parser(name, help=help, description=help)
    parser.add_argument("--root", type=Path, default=default_root(), help="the node's folder (default: %(default)s)")
    parser.set_defaults(run=run)
    return parser


def _prepare(options: argparse.Namespace) -> int:
    from freehold.node.host.slots import prepare

    limits = {name: getattr(options, name) for name in _LIMITED if getattr(options, name) is not None}
    settings = prepare(
        options.root.resolve(),
        options.partitions,
        unprivileged=options.unprivileged,
        network=options.network,
        interface=options.interface,
        limits=limits,
    )
    kind = "loopback addresses, no users of their own" if settings.unprivileged else "a user and an address each"
    print(f"{options.root} has {len(settings.slots)} partitions ({kind}).")
    return 0


def _enrol(options: argparse.Namespace) -> int:
    from freehold.node.link.enrolment import enrol

    try:
        token = sys.stdin.readline() if options.token_file == "-" else Path(options.token_file).read_text()
    except OSError as error:
        raise SettingsError(f"{options.token_file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{options.token_file} does not hold a token.") from None
    settings = enrol(options.root.resolve(), options.master.rstrip("/"), token, options.title)
    print(f"This machine is node '{settings.title}' ({settings.node}) of {settings.master}.")
    return 0


def _run(options: argparse.Namespace) -> int:
    from freehold.node import agent

    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    agent.run(options.root.resolve())
    return 0


def _cache(options: argparse.Namespace) -> int:
    from freehold.cache.folder import CacheError
    from freehold.cache.mirrors import MASTER, mirror
    from freehold.protocol.cache import is_hash

    root = options.root.resolve()
    for url in options.mirror or []:
        if url != MASTER:
            mirror(url, Paths(root).store_keys)
    for key in options.trust or []:
        if not is_hash(key):
            raise CacheError(f"'{key}' is no key: it has 64 hexadecimal digits; `freehold cache show` prints it.")
    if options.keep is not None and options.keep < 0:
        raise CacheError("--keep is a number of megabytes.")
    fetch_settings = {
        "mirrors": options.mirror,
        "trusted": options.trust,
        "shares": options.share,
        "cache_mb": options.keep,
    }
    settings = node_settings.load(root)
    changes = {name: value for name, value in fetch_settings.items() if value is not None}
    if changes:
        settings = msgspec.structs.replace(settings, **changes)
        node_settings.save(root, settings)
    print(f"Builds and downloads are looked for in {', then '.join(settings.mirrors) or 'no slot but this node'}.")
    print(f"Believed, besides whom the Master vouches for: {', '.join(settings.trusted) or 'nobody'}.")
    print(f"At most {settings.cache_mb} MB are kept; finished builds {'too' if settings.shares else 'if asked for'}.")
    return 0


def _write_letter(options: argparse.Namespace) -> int:
    from freehold.node.link import offline_sync

    count = offline_sync.write(options.root.resolve(), options.file)
    print(f"{options.file} holds {count} reports, sealed for the Master. Bring it there: freehold node letter deliver")
    return 0


def _deliver_letter(options: argparse.Namespace) -> int:
    from freehold.node.link import offline_sync

    back = offline_sync.deliver(options.file, options.master.rstrip("/"))
    print(f"The Master has it. Bring {back} back to the node: freehold node letter receipt {back.name}")
    return 0


def _read_receipt(options: argparse.Namespace) -> int:
    from freehold.node.link import offline_sync

    left = offline_sync.acknowledge(options.root.resolve(), options.file)
    print(f"What the Master has is forgotten here; {left} reports wait.")
    return 0


def _status(options: argparse.Namespace) -> int:
    from freehold.node.isolation import protections
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store
    from freehold.node.supervisor.client import Supervisor

    root = options.root.resolve()
    settings = node_settings.load(root)
    paths = Paths(root)
    store = Store(Database(paths.store, only_look=True))
    try:
        groups = Supervisor(paths.run).status()
        supervisor = True
    except SupervisorError:
        groups, supervisor = {}, False
    promises = store.results.all()
    protected = protections.find(settings)
    missing = protected.missing()
    now = store.clock.now()
    status = {
        "node": settings.node,
        "title": settings.title,
        "master": settings.master,
        "unprivileged": settings.unprivileged,
        "agent": agent_pid(paths) is not None,
        "supervisor": supervisor,
        "certificate_days": round((settings.certificate_ends - now) / 86400, 1),
        "reports_waiting": store.outbox.count(),
        "protections": protected.holding(),
        "unprotected": missing,
        "own_promises": [
            {"name": promise.name, "kept": promise.kept, "message": promise.message}
            for promise in store.results.health()
        ],
        "software": [{"release": software.release, "state": software.state} for software in store.software.planned()],
        "instances": [
            {
                "instance": desired.instance,
                "title": desired.title,
                "partition": desired.partition,
                "wanted": desired.wanted,
                "state": desired.state,
                "message": desired.message,
                "processes": [
                    {"name": process.name, "pid": process.pid, "state": process.state, "restarts": process.restarts}
                    for process in (groups[desired.partition].processes if desired.partition in groups else [])
                ],
                "promises": {
                    promise.name: promise.kept for promise in promises if promise.instance == desired.instance
                },
            }
            for desired in store.instances.all()
        ],
    }
    if options.json:
        json_output.print_answer(options, status)
        return 0
    print(f"node '{status['title']}' of {status['master'] or 'no Master yet'}")
    print(
        f"  agent {_word(status['agent'])}, supervisor {_word(supervisor)}, {status['reports_waiting']} reports waiting"
    )
    holding = [name for name, holds in protected.holding().items() if holds]
    print(f"  between partitions: {', '.join(holding)}")
    for name, why in missing.items():
        print(f"  NOT {name}: {why}")
    for promise in store.results.health():
        print(f"  {promise.name}: {'kept' if promise.kept else 'BROKEN'}{promise.message and ', '}{promise.message}")
    if not supervisor:
        print("  nothing of this runs now; it was last seen so:")
    for desired in store.instances.all():
        own = [promise for promise in promises if promise.instance == desired.instance]
        verdicts = [f"{promise.name} {'kept' if promise.kept else 'BROKEN'}" for promise in own]
        states = f"{desired.state or 'new'} (wanted {desired.wanted})"
        print(f"  {desired.partition}: {desired.title} {states} {', '.join(verdicts)}".rstrip())
        for line in desired.message.splitlines()[-5:]:
            print(f"    {line[:200]}")
    return 0


def _promises(options: argparse.Namespace) -> int:
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    store = Store(Database(Paths(options.root.resolve()).store, only_look=True))
    matching = [desired for desired in store.instances.all() if options.title in (desired.title, desired.instance)]
    if not matching:
        raise SettingsError(f"There is no instance '{options.title}' here. See: freehold node status")
    rows = [
        {"promise": change.name, "at": _moment(change.at), "kept": change.kept, "message": change.message}
        for desired in matching
        for change in store.results.history(desired.instance)
    ]
    if options.json:
        json_output.print_answer(options, rows)
        return 0
    for row in rows:
        print(f"{row['at']}  {'kept  ' if row['kept'] else 'BROKEN'}  {row['promise']}: {row['message']}")
    return 0


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _doctor(options: argparse.Namespace) -> int:
    from freehold import exposure
    from freehold.node.maintenance import health

    findings = health.findings(options.root.resolve())
    if options.json:
        json_output.print_answer(options, findings)
    else:
        for finding in findings:
            print(f"{'well ' if finding.well else 'WRONG'}  {finding.name}: {finding.message}")
            if finding.remedy and not finding.well:
                print(f"       → {finding.remedy}")
            for line in exposure.lines(exposure.weigh(finding.protections)) if finding.protections else []:
                print(f"       {line}")
    return 0 if all(finding.well for finding in findings) else 1


def _orphans(options: argparse.Namespace) -> int:
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    root = options.root.resolve()
    node_settings.load(root)
    store = Store(Database(Paths(root).store, only_look=options.destroy is None))
    orphans = {desired.instance: desired for desired in store.orphans.all()}
    if options.destroy is None:
        for desired in orphans.values():
            print(f"{desired.instance}  {desired.partition}  {desired.title} ({desired.wanted})")
        if not orphans:
            print("The Master names everything that is here.")
        return 0
    if options.destroy not in orphans:
        raise SettingsError(f"'{options.destroy}' is not one of what the Master forgot. See: freehold node orphans")
    desired = orphans[options.destroy]
    if _agreed(options, f"'{desired.title}' in {desired.partition} is destroyed with all its data."):
        store.orphans.destroy(desired.instance)
    return 0


def _tidy(options: argparse.Namespace) -> int:
    from freehold.node.maintenance import cleanup
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store

    paths = Paths(options.root.resolve())
    node_settings.load(paths.root)
    store = Store(Database(paths.store))
    strays = cleanup.strays(paths, store)
    words = "\n".join(f"  {path}" for path in strays)
    if _agreed(options, f"These are removed:\n{words}" if strays else "There is nothing that nothing needs."):
        cleanup.clean_up(paths, store)
    return 0


def _bundle(options: argparse.Namespace) -> int:
    from freehold.node.maintenance import support_bundle

    try:
        names = support_bundle.write(options.root.resolve(), options.file)
    except OSError as error:
        raise SettingsError(f"{options.file} cannot be written: {error.strerror}.") from None
    print(f"{options.file} holds {', '.join(names)}. Look at it before you send it.")
    return 0


def _reinstall(options: argparse.Namespace) -> int:
    from freehold.node import reset_enrolment

    root = options.root.resolve()
    folders = reset_enrolment.contents(root)
    words = "All services end. These are emptied; users, addresses and limits stay:\n"
    if not _agreed(options, words + "\n".join(f"  {path}" for path in folders)):
        return 0
    _stop(argparse.Namespace(root=root, keep_services=False, dry_run=False, yes=True))
    reset_enrolment.forget(root)
    print("It is no node now. Make it one with a new token: freehold node enrol")
    return 0


def _upgrade(options: argparse.Namespace) -> int:
    import zipfile

    from freehold.node import upgrade
    from freehold.node.software import zipapp

    root = options.root.resolve()
    node_settings.load(root)
    if not zipfile.is_zipfile(options.file):
        raise SettingsError(f"{options.file} is not an agent in one file.")
    pid = agent_pid(Paths(root))
    words = f"The agent of {root} becomes the version in {options.file}; services go on."
    if not _agreed(options, words):
        return 0
    folder = zipapp.unpack(options.file.resolve())
    upgrade.begin(root, str(folder / "python" / "bin" / "python"), pid, options.within)
    if pid is None:
        print("No agent runs here. The next one to start will be that version.")
        return 0
    while (trial := upgrade.read(root)) is not None and trial.state == upgrade.TRYING:
        time.sleep(0.2)
    if trial is None or trial.state == upgrade.FAILED:
        raise SettingsError(
            f"The former version is back. The new one: {trial.why if trial else 'is not known any more.'}"
        )
    print(f"The agent is now the version in {folder}.")
    return 0


def _add_dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _agreed(options: argparse.Namespace, words: str) -> bool:
    """Say what a destructive command will do, and return whether to do it; SettingsError when nobody can be asked."""
    print(words)
    if options.dry_run:
        print("Nothing was done (--dry-run).")
        return False
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise SettingsError("Say --yes to do so, or --dry-run to see it only.")
    return input("Shall it be done? [y/N] ").strip().lower() in ("y", "yes")


def _stop(options: argparse.Namespace) -> int:
    from freehold.node import farewell
    from freehold.node.host.slots import forget_addresses
    from freehold.node.instances.enclosure import host_end
    from freehold.node.isolation import cgroups, container, firewall
    from freehold.node.supervisor.client import Supervisor
    from freehold.protocol.states import Stopped

    root = options.root.resolve()
    settings = node_settings.load(root)
    paths = Paths(root)
    pid = agent_pid(paths)
    running = [] if options.keep_services else _running(paths)
    words = f"The agent of {root} ends{'; its services go on' if options.keep_services else ''}."
    if running:
        words = f"The agent of {root} ends, and with it what runs of:\n" + "\n".join(f"  {title}" for title in running)
    # Where no service runs nothing is lost: the agent may be started again.
    if (running or options.dry_run) and not _agreed(options, words):
        return 0
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while agent_pid(paths) is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    if not options.keep_services:
        Supervisor(paths.run).shutdown()
        if not settings.unprivileged:
            cgroups.remove_node(settings.tag)
            for slot in settings.slots:
                container.remove_link(host_end(settings, slot))
            forget_addresses(settings)
            firewall.remove(settings.tag)
    print("The agent has ended; its services go on." if options.keep_services else "The node has ended.")
    if why := farewell.say(root, Stopped.AGENT if options.keep_services else Stopped.NODE):
        print(f"Its Master could not be told and will take it for silent: {why}", file=sys.stderr)
    return 0


def _running(paths: Paths) -> list[str]:
    """Return the titles of the instances of which something runs, also when their supervisor does not."""
    from freehold.node.state.database import Database
    from freehold.node.state.store import Store
    from freehold.node.supervisor import children

    groups = children.running(os.path.realpath(paths.run))
    known = Store(Database(paths.store, only_look=True)).instances.all() if groups else []
    titles = {desired.partition: desired.title for desired in known}
    return sorted(titles.get(group, group) for group in groups)


def _word(runs: object) -> str:
    return "runs" if runs else "does NOT run"


def _host_name() -> str:
    return re.sub(r"[^a-z0-9-]", "-", socket.gethostname().lower()).strip("-")[:63] or "node"

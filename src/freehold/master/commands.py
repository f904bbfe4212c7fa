"""`freehold master …`: commands for whoever owns the Master's machine."""

import argparse
import contextlib
import fcntl
import json
import os
import secrets
import sys
from pathlib import Path

import msgspec

from freehold import durable, json_output

DEFAULT_ROOT = Path("/var/lib/freehold-master")


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `master` and its sub-commands."""
    master = subparsers.add_parser("master", help="run a Master")
    commands = master.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, help: str) -> argparse.ArgumentParser:
        parser = commands.add_parser(name, help=help, description=help)
        parser.add_argument("--root", type=Path, default=_root(), help="the Master's folder (default: %(default)s)")
        parser.set_defaults(run=_HANDLERS[name])
        return parser

    init = command("init", "make keys, database, the first project and its owner; safe to repeat")
    init.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a name or address nodes and people use (repeat)",
    )
    init.add_argument("--project", default="provider", help="name of the first project (default: %(default)s)")
    init.add_argument("--owner", required=True, metavar="E-MAIL", help="its owner, who also runs the Master")
    init.add_argument(
        "--password-file",
        required=True,
        metavar="FILE",
        help="file with the owner's password, or - for standard input",
    )
    serve = command("serve", "serve nodes and people on one port")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8443)
    reconcile = command("reconcile", "run every urgent task once; exit status 1 when one fails")
    reconcile.add_argument("--bulk", action="store_true", help="also the tasks that take long: consumption, clean-up …")
    status = command("status", "show how the Master's own tasks go; exit status 1 when one fails or is late")
    json_output.add_options(status)
    check = command("check", "check keys, database and protections; exit status 1 when something is wrong")
    json_output.add_options(check)
    check.add_argument("--ledger", metavar="BATCH:DIGEST", help="look whether the ledger holds what a document names")
    resume = command("resume", "after a restore of a backup, go on from where the nodes are")
    resume.add_argument("--accept-loss", action="store_true", help="agree that what came after the backup is lost here")
    command("openapi", "print the OpenAPI document of the public API")
    project = command("project", "create a project")
    project.add_argument("name")
    quota = command("quota", "set how many of something a project may have, or show what it may have")
    quota.add_argument("project")
    quota.add_argument("name", nargs="?")
    quota.add_argument("most", nargs="?", type=int, help="how many; without it, as many as is usual")
    person = command("person", "create a person, or change the role, password or state of an existing one")
    person.add_argument("email")
    person.add_argument("--project", help="in which to give a role, or to take it away")
    person.add_argument(
        "--role",
        choices=["customer", "operator", "sales", "accountant", "auditor", "owner", "none"],
        help="customer when left out; none takes the person out of the project",
    )
    person.add_argument(
        "--password-file",
        metavar="FILE",
        help="file with the password, or - for standard input; another one ends all sessions and tokens",
    )
    state = person.add_mutually_exclusive_group()
    state.add_argument("--close", action="store_true", help="close the account: nobody logs in, all tokens end")
    person.add_argument(
        "--forget-factor", action="store_true", help="have the person, who lost app and codes, log in with the password"
    )
    person.add_argument(
        "--reset", action="store_true", help="print a code with which the person sets another password, once, for a day"
    )
    state.add_argument("--reopen", action="store_true", help="open a closed account again")


def _root() -> Path:
    return Path(os.environ.get("FREEHOLD_MASTER_ROOT", DEFAULT_ROOT))


def _django(root: Path) -> None:
    os.environ["FREEHOLD_MASTER_ROOT"] = str(root)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "freehold.master.settings")
    import django

    django.setup()


def initialise(root: Path, names: list[str], project: str, owner: str, password: str) -> None:
    """Make a Master in a folder: keys, database, first project, its owner. What exists is left alone."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        durable.create(root / "secret.key", secrets.token_urlsafe(50).encode(), 0o600)
    _django(root)
    from freehold.master import first_schema, schema
    from freehold.master.fleet import authority
    from freehold.master.people import actions, identity
    from freehold.master.people.models import Person, Project, Role

    schema.refuse_foreign(schema.known_here())
    first_schema.migrate(schema.known_here())
    keys = root / "authority"
    if not (keys / "authority.pem").exists():
        authority.create_authority(keys, "Freehold")
    if not (keys / "server.pem").exists():
        authority.Authority(keys).sign_server(names or ["localhost", "127.0.0.1", "::1"])
    if not Project.objects.filter(name=project).exists():
        actions.add_project(project, acting=identity.system())
    if not Person.objects.filter(email=owner.lower()).exists():
        actions.add_person(owner, password, is_staff=True, acting=identity.system())
    actions.give_role(
        Person.objects.get(email=owner.lower()),
        Project.objects.get(name=project),
        Role.OWNER,
        acting=identity.system(),
    )


def _init(options: argparse.Namespace) -> int:
    initialise(options.root, options.name, options.project, options.owner, _secret(options.password_file))
    print(f"The Master in {options.root} is ready: freehold master serve --root {options.root}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    if not (options.root / "authority" / "server.pem").exists():
        print(f"There is no Master in {options.root}. Run `freehold master init` first.", file=sys.stderr)
        return 1
    _django(options.root)
    from django.conf import settings

    from freehold.master import checks, schema
    from freehold.master.server import serve

    lock = os.open(options.root / "master.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Held until the process ends, however it does.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        if settings.DATABASE_URL.startswith("sqlite"):
            print(f"Another Master serves {options.root} already; stop it first.", file=sys.stderr)
            return 1
        print(f"Warning: another Master serves {options.root} already.", file=sys.stderr)
    else:
        # Where `check` finds it.
        os.ftruncate(lock, 0)
        os.write(lock, f"{options.host} {options.port}\n".encode())
    if trouble := schema.trouble(schema.known_here()):
        print(trouble, file=sys.stderr)
        return 1
    for message in checks.clock_at_start():
        print(f"Warning: {message}", file=sys.stderr)
    trouble = serve(options.root, settings.DATABASE_URL, settings.NODE_WAIT, options.host, options.port)
    if trouble:
        print(trouble, file=sys.stderr)
    return 1 if trouble else 0


def _reconcile(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.tasks import lanes

    if failed := lanes.run_once(bulk=options.bulk):
        print(f"These failed; the reasons are above: {', '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


def _status(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.foundation import clock
    from freehold.master.tasks import queries

    statuses = queries.statuses()
    if options.json:
        json_output.print_answer(options, statuses)
    else:
        for task in statuses:
            last = clock.iso(task.began_at) if task.began_at else "never"
            line = f"{task.name:<24} {task.lane:<7} {task.state:<8} {last:<25} {task.took_ms:>7} ms {task.done:>7} done"
            print(f"{line}  {task.error}".rstrip())
    return 1 if any(task.state in queries.WRONG for task in statuses) else 0


def _check(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold import exposure
    from freehold.master import checks, protections

    wrong = checks.run() if options.ledger is None else checks.ledger(options.ledger)
    is_asked = options.ledger is None and (options.root / "secret.key").exists()
    exposed = exposure.weigh(protections.find(options.root)) if is_asked else None
    if options.json:
        verdict = {"wrong": wrong, **(msgspec.to_builtins(exposed) if exposed else {})}
        json_output.print_answer(options, verdict)
        return 1 if wrong else 0
    # How exposed it is informs and is no fault: the last words, and the exit status, are about what is wrong.
    for message in [*(exposure.lines(exposed) if exposed else []), *wrong]:
        print(message, file=sys.stderr)
    print("Everything is in order." if not wrong else f"{len(wrong)} things are wrong.")
    return 1 if wrong else 0


def _resume(options: argparse.Namespace) -> int:
    if not options.accept_loss:
        print(
            "What came after the backup is not known here any more. If there is a newer backup, restore that one; "
            "otherwise say --accept-loss.",
            file=sys.stderr,
        )
        return 1
    _django(options.root)
    from freehold.master.ordering import recovery

    print(f"{recovery.resume()} nodes begin their reports anew. What they keep unnamed: freehold node orphans.")
    return 0


def _openapi(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.api import api

    print(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), indent=1))
    return 0


def _project(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.people import actions, identity

    actions.add_project(options.name, acting=identity.system())
    print(f"Project '{options.name}' is there.")
    return 0


def _quota(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.foundation.errors import NotFound
    from freehold.master.people import identity, quotas

    acting = identity.system()
    if options.project not in acting.projects:
        raise NotFound(f"There is no project '{options.project}'.", remedy="Create it: freehold master project NAME.")
    if options.name is not None:
        quotas.set_limit(options.project, options.name, options.most, acting=acting)
    for name, most in quotas.of_project(acting.projects[options.project]).items():
        print(f"{name:16} {most}")
    return 0


def _person(options: argparse.Namespace) -> int:
    _django(options.root)
    from freehold.master.foundation import clock
    from freehold.master.foundation.errors import Invalid, NotFound
    from freehold.master.people import actions, identity, resets, second_factor
    from freehold.master.people.models import Person, Project, Role

    if options.role is not None and options.project is None:
        raise Invalid("A role is one in a project.", remedy="Say which: --project NAME.")
    acting = identity.system()
    project = None
    if options.project is not None:
        project = Project.objects.filter(name=options.project).first()
        if project is None:
            remedy = "Create it: freehold master project NAME."
            raise NotFound(f"There is no project '{options.project}'.", remedy=remedy)
    person = Person.objects.filter(email=options.email.lower()).first()
    if person is None:
        old = options.close or options.reopen or options.reset or options.forget_factor
        if project is None or options.role == "none" or old:
            raise NotFound(f"There is no person {options.email}.", remedy="A new one needs --project.")
        person = actions.add_person(options.email, _secret(options.password_file), acting=acting)
        print(f"{options.email} has an account.")
    elif options.password_file is not None:
        actions.set_password(person, _secret(options.password_file), acting=acting)
        print(f"{options.email} has another password; all sessions and tokens of it ended.")
    if options.close or options.reopen:
        actions.set_active(person, options.reopen, acting=acting)
        print(f"The account of {options.email} is {'open again' if options.reopen else 'closed'}.")
    if options.forget_factor:
        second_factor.forget(person, acting=acting)
        print(f"{options.email} logs in with the password alone.")
    if options.reset:
        code, reset = resets.make_reset(person, acting=acting)
        print(f"For {options.email}, good once, until {clock.iso(reset.expires_at)}, at /reset of this Master:\n{code}")
    if project is not None and options.role == "none":
        actions.remove_role(person, project, acting=acting)
        print(f"{options.email} is not in '{options.project}' any more.")
    elif project is not None:
        role = Role(options.role or "customer")
        actions.give_role(person, project, role, acting=acting)
        print(f"{options.email} is {role.value} of '{options.project}'.")
    return 0


def _secret(path: str | None) -> str:
    if path is None:
        raise SystemExit("A new person needs a password: give --password-file FILE, or - for standard input.")
    text = sys.stdin.readline() if path == "-" else Path(path).read_text()
    return text.rstrip("\n")


_HANDLERS = {
    "init": _init,
    "serve": _serve,
    "reconcile": _reconcile,
    "status": _status,
    "check": _check,
    "resume": _resume,
    "openapi": _openapi,
    "project": _project,
    "quota": _quota,
    "person": _person,
}

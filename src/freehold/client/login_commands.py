"""Who one is at which Master: log in, look, log out, and open its panel."""

import argparse
import getpass
import os
import sys
from pathlib import Path
from urllib.parse import quote

from freehold.client.api import Client
from freehold.client.credentials import Credentials, load_credentials, remove_credentials, save_credentials
from freehold.client.errors import ClientError, Refused
from freehold.client.terminal import Subparsers, command, open_client, read, say


def add_login_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add `login`, `whoami`, `logout` and `open`."""
    _add_login(subparsers)
    command(subparsers, "whoami", _whoami, "as whom you are logged in, where, and what your token opens")
    command(subparsers, "logout", _logout, "end the token of your login, and remove the login from this machine")
    opening = command(subparsers, "open", _open, "print the address of the panel, and open it where there is a display")
    opening.add_argument("title", nargs="?", help="the page of this service")


def _add_login(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    login = subparsers.add_parser("login", help="exchange e-mail and password for a token, and keep it")
    login.add_argument("master", metavar="URL", help="https://HOST:PORT of the Master")
    login.add_argument("--email", required=True)
    login.add_argument(
        "--password-file",
        metavar="FILE",
        help="read the password from a file, - for standard input; asked for otherwise",
    )
    login.add_argument(
        "--project", metavar="NAME", help="the only project that the token opens (default: yours, if you have one only)"
    )
    login.add_argument(
        "--all-projects",
        action="store_true",
        help="the token opens all your projects, and what you may as staff; --project is then the one that commands "
        "mean when they name none",
    )
    login.add_argument(
        "--scopes",
        nargs="+",
        choices=["read", "order", "operate", "sell", "account", "audit"],
        help="what the token opens (default: read order)",
    )
    login.add_argument(
        "--authority",
        type=Path,
        metavar="FILE",
        help="the Master's authority.pem, when its certificate is not publicly trusted",
    )
    login.set_defaults(run=_login)


def _login(options: argparse.Namespace) -> int:
    if options.password_file is None:
        password = getpass.getpass(f"Password of {options.email}: ")
    elif options.password_file == "-":
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = read(Path(options.password_file)).rstrip("\n")
    authority = read(options.authority) if options.authority else ""

    def log_in(code: str = "") -> Client:
        return Client.log_in(
            options.master,
            options.email,
            password,
            project=options.project,
            all_projects=options.all_projects,
            scopes=options.scopes,
            code=code,
            authority=authority,
        )

    try:
        client = log_in()
    except Refused as refused:
        if refused.problem.type != "second-factor-needed":
            raise
        # The password was right: the code is a line after it, or is asked for.
        is_typed = options.password_file != "-"
        client = log_in(getpass.getpass("Code of your app: ") if is_typed else sys.stdin.readline().strip())
    path = save_credentials(client.credentials)
    project = client.credentials.project
    where = f"project '{project}'" if project else "no project of its own: name one with --project"
    opens = "all your projects, " if options.all_projects else ""
    print(f"Logged in to {client.credentials.master}, {opens}{where}. Token kept in {path}.")
    return 0


def _whoami(options: argparse.Namespace) -> int:
    client = open_client()
    saved = client.credentials
    person = client.ask("GET", "/me")
    project = options.project or saved.project
    roles = {membership["name"]: membership["role"] for membership in person["projects"]}
    lines = [
        f"e-mail   {person['email']}",
        f"Master   {saved.master}",
        f"project  {project or 'none: name one with --project'}",
        f"roles    {', '.join(f'{role} of {name}' for name, role in roles.items()) or 'none'}",
        f"scopes   {' '.join(person['scopes'])}",
    ]
    answer = {
        "master": saved.master,
        "email": person["email"],
        "project": project,
        "roles": roles,
        "scopes": person["scopes"],
    }
    say(options, answer, "\n".join(lines))
    return 0


def _logout(options: argparse.Namespace) -> int:
    saved = load_credentials()
    remaining = _end_token(saved)
    path = remove_credentials()
    words = f"Logged out of {saved.master}; {path} is removed."
    if remaining:
        words += f" But {remaining} It is valid until you end it: {saved.master}/account/tokens."
    say(options, {"master": saved.master, "token_ended": not remaining}, words)
    return 0


def _end_token(saved: Credentials) -> str:
    """End the token of a login at its Master; return why it is valid still, empty when it is not."""
    if not saved.token_id:
        return "the token was made by an older Freehold, which did not note its name."
    try:
        Client(saved).ask("DELETE", "/tokens/{token}", {"token": saved.token_id})
    except Refused as refused:
        # It is valid no more: it has expired, or was ended before.
        if refused.problem.type not in ("unauthenticated", "not-found"):
            return f"the token could not be ended: {refused}"
    except ClientError as error:
        return f"the token could not be ended: {error}"
    return ""


def _open(options: argparse.Namespace) -> int:
    client = open_client()
    url = f"{client.credentials.master}/"
    if options.title is not None:
        shown = client.show(options.title, project=options.project)
        project = options.project or client.credentials.project
        url += f"services/{quote(project, safe='')}/{quote(shown.title, safe='')}"
    say(options, {"url": url}, url)
    if not options.json and sys.stdout.isatty() and _has_display():
        import webbrowser

        webbrowser.open(url)
    return 0


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))

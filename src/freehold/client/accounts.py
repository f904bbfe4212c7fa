"""`freehold account …` and `freehold people …`: passwords, tokens and sessions, and how accounts end."""

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freehold.client.api import Client
from freehold.client.terminal import command, confirmed, open_client, read, say, table

if TYPE_CHECKING:
    from freehold.client.terminal import Subparsers


_ROLES = ("customer", "operator", "sales", "accountant", "auditor", "owner")


def add_commands(subparsers: "Subparsers[argparse.ArgumentParser]") -> None:
    """Add the commands about accounts: one's own, and for staff and owners of projects those of others."""
    own = subparsers.add_parser("account", help="your own account").add_subparsers(
        dest="account_command", required=True, metavar="COMMAND"
    )
    password = command(own, "password", _password, "change your password; all your sessions and tokens end")
    password.add_argument("--stdin", action="store_true", help="read the old and the new one as two lines")
    command(own, "tokens", _tokens, "list your tokens that are valid")
    token = command(own, "end-token", _end_token, "end one of your tokens")
    token.add_argument("token", metavar="ID")
    command(own, "sessions", _sessions, "list the browsers in which you are logged in")
    session = command(own, "end-session", _end_session, "log out of one browser")
    session.add_argument("session", metavar="ID")
    ending = command(own, "end-sessions", _end_sessions, "end all your sessions and tokens, this one too")
    ending.add_argument("--keep-tokens", action="store_true", help="log out of all browsers only")
    _asked(ending)
    command(own, "export", _export, "print all that is kept about you, as JSON")
    deleting = command(own, "delete", _delete, "delete your account, for good")
    deleting.add_argument("--stdin", action="store_true", help="read the password, and a code after it, as two lines")
    _asked(deleting)
    reset = subparsers.add_parser("reset-password", help="set another password with a code from a mail or from staff")
    reset.add_argument("master", metavar="URL", help="https://HOST:PORT of the Master")
    reset.add_argument("--email", required=True)
    reset.add_argument("--authority", type=Path, metavar="FILE", help="the Master's authority.pem, as for login")
    reset.add_argument("--ask", action="store_true", help="only have a code mailed to you")
    reset.add_argument("--stdin", action="store_true", help="read the code and the new password as two lines")
    reset.set_defaults(run=_use_reset)
    people = subparsers.add_parser(
        "people", help="accounts of others (staff), and members of a project"
    ).add_subparsers(dest="people_command", required=True, metavar="COMMAND")
    command(people, "list", _people, "who has an account (staff)")
    for name, help_, run in (
        ("tokens", "list somebody's tokens (staff)", _tokens),
        ("end-token", "end one of somebody's tokens (staff)", _end_token),
        ("sessions", "list the browsers in which somebody is logged in (staff)", _sessions),
        ("end-session", "log somebody out of one browser (staff)", _end_session),
        ("end-sessions", "end somebody's sessions and tokens (staff)", _end_sessions),
        ("reset-password", "make a code with which somebody sets another password (staff)", _make_reset),
        (
            "forget-factor",
            "have who lost app and codes log in with the password alone (staff)",
            _forget_factor,
        ),
        ("close", "close an account: its sessions and tokens end (staff)", _close),
        ("reopen", "open an account again (staff)", _reopen),
        ("remove", "take somebody out of the project (its owner)", _remove),
    ):
        parser = command(people, name, run, help_)
        parser.add_argument("email")
        if name in ("end-token", "end-session"):
            parser.add_argument(name.removeprefix("end-"), metavar="ID")
        if name in ("end-sessions", "forget-factor", "close", "remove"):
            _asked(parser)
    command(people, "members", _members, "who is in the project, as what, and who is invited")
    changing = command(people, "role", _role, "give a member of the project another role (its owner)")
    changing.add_argument("email")
    changing.add_argument("role", choices=_ROLES)
    inviting = command(people, "invite", _invite, "invite somebody into the project: prints a link (its owner)")
    inviting.add_argument("email")
    inviting.add_argument("role", choices=_ROLES)
    command(people, "withdraw", _withdraw, "withdraw an invitation (the project's owner)").add_argument("email")


def _asked(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask")


def _whose(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Return whose account is meant, as a path and its parts."""
    email = getattr(options, "email", None)
    return ("/people/{email}", {"email": email}) if email else ("/me", {})


def _password(options: argparse.Namespace) -> int:
    if options.stdin:
        old, new = sys.stdin.readline().rstrip("\n"), sys.stdin.readline().rstrip("\n")
    else:
        old, new = getpass.getpass("Your password: "), getpass.getpass("The new one: ")
    open_client().ask("PUT", "/me/password", body={"old": old, "new": new})
    say(options, {}, "Your password is changed; all your sessions and tokens have ended. Log in again: freehold login.")
    return 0


def _export(options: argparse.Namespace) -> int:
    data = open_client().ask("GET", "/me/data")
    say(options, data, json.dumps(data, indent=1, ensure_ascii=False))
    return 0


def _delete(options: argparse.Namespace) -> int:
    if not (options.yes or confirmed("Delete your account? Nothing brings it back.")):
        return 1
    if options.stdin:
        password, code = sys.stdin.readline().rstrip("\n"), sys.stdin.readline().strip()
    else:
        password, code = getpass.getpass("Your password: "), getpass.getpass("Code of your app (if you have one): ")
    open_client().ask("POST", "/me/delete", body={"password": password, "code": code})
    say(options, {}, "Your account is deleted.")
    return 0


def _make_reset(options: argparse.Namespace) -> int:
    reset = open_client().ask("POST", "/people/{email}/password-reset", {"email": options.email})
    text = f"Give this code to {options.email}. It is good once, until {reset['expires_at']}, and not shown again:"
    say(options, reset, f"{text}\n{reset['code']}")
    return 0


def _forget_factor(options: argparse.Namespace) -> int:
    if not options.yes and not confirmed(f"Is it {options.email} who asks? From now on the password alone opens it."):
        return 1
    open_client().ask("DELETE", "/people/{email}/second-factor", {"email": options.email})
    say(options, {}, f"{options.email} logs in with the password alone.")
    return 0


def _use_reset(options: argparse.Namespace) -> int:
    authority = read(options.authority) if options.authority else ""
    if options.ask:
        Client.ask_reset(options.master, options.email, authority=authority)
        print(f"If {options.email} has an account there, a mail with a code is on its way. It is good for an hour.")
        return 0
    if options.stdin:
        code, new = sys.stdin.readline().strip(), sys.stdin.readline().rstrip("\n")
    else:
        code, new = getpass.getpass("The code: ").strip(), getpass.getpass("Your new password: ")
    # The link of a mail may be given as it is.
    code = code.rpartition("#")[2]
    Client.reset_password(options.master, options.email, code, new, authority=authority)
    print("Your password is changed; all your sessions and tokens have ended. Log in: freehold login.")
    return 0


def _tokens(options: argparse.Namespace) -> int:
    path, parts = _whose(options)
    tokens: list[dict[str, Any]] = open_client().ask_all(f"{path}/tokens", "id", parts)
    rows = [
        (token["id"], token["title"], " ".join(token["scopes"]), token["project"], token["expires_at"])
        for token in tokens
    ]
    say(options, tokens, table(("TOKEN", "FOR", "OPENS", "PROJECT", "UNTIL"), rows))
    return 0


def _end_token(options: argparse.Namespace) -> int:
    path, parts = _whose(options)
    path = f"{path}/tokens/{{token}}" if parts else "/tokens/{token}"
    open_client().ask("DELETE", path, {**parts, "token": options.token})
    say(options, {}, f"The token {options.token} has ended.")
    return 0


def _sessions(options: argparse.Namespace) -> int:
    path, parts = _whose(options)
    sessions: list[dict[str, Any]] = open_client().ask_all(f"{path}/sessions", "id", parts)
    rows = [
        (session["id"], session["began_at"], session["seen_at"], session["address"], session["browser"])
        for session in sessions
    ]
    say(options, sessions, table(("SESSION", "BEGUN", "LAST USED", "FROM", "BROWSER"), rows))
    return 0


def _end_session(options: argparse.Namespace) -> int:
    path, parts = _whose(options)
    open_client().ask("DELETE", f"{path}/sessions/{{session}}", {**parts, "session": options.session})
    say(options, {}, f"The session {options.session} has ended.")
    return 0


def _end_sessions(options: argparse.Namespace) -> int:
    client = open_client()
    if getattr(options, "keep_tokens", False):
        client.ask("DELETE", "/me/sessions")
        say(options, {}, "You are logged out of all browsers; your tokens are still valid.")
        return 0
    email = getattr(options, "email", None) or client.ask("GET", "/me")["email"]
    if not (options.yes or confirmed(f"End all sessions and tokens of {email}?")):
        return 0
    client.ask("DELETE", "/people/{email}/sessions", {"email": email})
    say(options, {}, "All sessions and tokens have ended.")
    return 0


def _people(options: argparse.Namespace) -> int:
    people: list[dict[str, Any]] = open_client().ask_all("/people", "email")
    rows = [
        (
            person["email"],
            "open" if person["is_open"] else "closed",
            "staff" if person["is_staff"] else "",
            ", ".join(f"{role} of {project}" for project, role in sorted(person["roles"].items())),
        )
        for person in people
    ]
    say(options, people, table(("PERSON", "ACCOUNT", "", "ROLES"), rows))
    return 0


def _close(options: argparse.Namespace) -> int:
    if not (options.yes or confirmed(f"Close the account of {options.email}? Its sessions and tokens end.")):
        return 0
    open_client().ask("POST", "/people/{email}/close", {"email": options.email})
    say(options, {}, f"The account of {options.email} is closed.")
    return 0


def _reopen(options: argparse.Namespace) -> int:
    open_client().ask("POST", "/people/{email}/reopen", {"email": options.email})
    say(options, {}, f"The account of {options.email} is open again.")
    return 0


def _remove(options: argparse.Namespace) -> int:
    if not (options.yes or confirmed(f"Take {options.email} out of the project?")):
        return 0
    parts = {"email": options.email}
    open_client().ask("DELETE", "/projects/{project}/members/{email}", parts, project=options.project)
    say(options, {}, f"{options.email} is not in the project any more.")
    return 0


def _role(options: argparse.Namespace) -> int:
    parts, body = {"email": options.email}, {"role": options.role}
    member = open_client().ask("PUT", "/projects/{project}/members/{email}", parts, body=body, project=options.project)
    say(options, member, f"{member['email']} is {member['role']} now.")
    return 0


def _members(options: argparse.Namespace) -> int:
    client = open_client()
    members = client.ask_all("/projects/{project}/members", "email", project=options.project)
    invited = client.ask_all("/projects/{project}/invitations", "email", project=options.project)
    rows = [(member["email"], member["role"], "-") for member in members]
    rows += [(invitation["email"], invitation["role"], invitation["expires_at"]) for invitation in invited]
    say(options, [*members, *invited], table(("PERSON", "ROLE", "INVITED UNTIL"), rows))
    return 0


def _invite(options: argparse.Namespace) -> int:
    body = {"email": options.email, "role": options.role}
    invitation = open_client().ask("POST", "/projects/{project}/invitations", {}, body, project=options.project)
    say(
        options,
        invitation,
        f"Give {invitation['email']} this link. It is good once, until {invitation['expires_at']}:\n"
        f"{invitation['link']}",
    )
    return 0


def _withdraw(options: argparse.Namespace) -> int:
    parts = {"email": options.email}
    open_client().ask("DELETE", "/projects/{project}/invitations/{email}", parts, project=options.project)
    say(options, {}, f"{options.email} is not invited any more.")
    return 0

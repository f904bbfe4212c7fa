"""Configuring in SlapOS's way: buildout processes the release's `instance.cfg` in the partition, without network."""

import importlib
import json
import os
import re
import signal
from pathlib import Path

import msgspec

from freehold import durable
from freehold.node.isolation.firewall import FirewallNetwork
from freehold.node.partition import layout
from freehold.node.partition.files import write
from freehold.node.partition.layout import ChildRequest, Outcome
from freehold.node.partition.order import ConfigureOrder
from freehold.protocol import UNREADABLE
from freehold.recipes.part import escaped
from freehold.release import ReleaseError

BUILDOUT_TIMEOUT = 300
RUNNER = "freehold.recipes.run"
"""Imports buildout, which takes most of a second: the fork server does it once."""
_ALLOWED = ".slapos-whitelist-firewall"
_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
"""What a parameter may be called to be an option of its own; buildout's own begin with other letters (`<`, `_`)."""
_MEANT = {"json", "recipe"}
"""All parameters together; and what would make buildout install a section, of the customer's choice: only in `json`."""
_CHILD_PUBLICATIONS, _REQUESTS, _LOG = (
    f"{layout.OURS}/given.json",
    f"{layout.OURS}/requests",
    f"{layout.OURS}/buildout.log",
)


class _Request(msgspec.Struct, frozen=True):
    """What `freehold:request` leaves."""

    spec: dict[str, object]
    returns: list[str]


def run(order: ConfigureOrder, folder: Path, release: Path) -> Outcome:
    """Process the profile; raise ReleaseError with buildout's last words."""
    profile = folder / layout.OURS / "buildout.cfg"
    write(profile, profile_text(order, release).encode(), 0o600)
    write(folder / _CHILD_PUBLICATIONS, order.child_publications.encode(), 0o600)
    status = _buildout(profile, folder / _LOG)
    log_text = (folder / _LOG).read_text(errors="replace").strip()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        raise ReleaseError(f"buildout did not end within {BUILDOUT_TIMEOUT} s in instance.cfg.")
    if status:
        _, separator, words = log_text.rpartition("\nError: ")
        words = words if separator else "\n".join(log_text.splitlines()[-15:]).removeprefix("Error: ")
        raise ReleaseError(f"buildout failed in instance.cfg:\n{words}")
    # Recipes sync nothing, and what is told next is that all of this is there.
    durable.sync_all(folder)
    return _outcome(order, folder)


def _outcome(order: ConfigureOrder, folder: Path) -> Outcome:
    parameters = json.loads(order.child_publications)
    requests, missing = [], []
    for path in sorted((folder / _REQUESTS).glob("*.json")):
        request = msgspec.json.decode(path.read_bytes(), type=_Request)
        requests.append(ChildRequest(path.stem, request.spec))
        if path.stem not in parameters or any(name not in parameters[path.stem] for name in request.returns):
            missing.append(path.stem)
    refused = layout.Served(error="A profile cannot serve shared instances; instance.py can.")
    served = {guest.instance: refused for guest in order.guests}
    return Outcome(requests=requests, missing=missing, served=served, network=_network(folder))


def _network(folder: Path) -> FirewallNetwork | None:
    """Return where a profile says that it connects, in SlapOS's file: a JSON list of addresses."""
    try:
        return FirewallNetwork(connect=msgspec.json.decode((folder / _ALLOWED).read_bytes(), type=list[str]))
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        raise ReleaseError(f"{_ALLOWED} must hold a JSON list of addresses: {error}") from None


def _buildout(profile: Path, log: Path) -> int:
    """Run buildout in a child of ours, which need not import it again when we have; return how it ended."""
    child = os.fork()
    if child == 0:
        _run_and_exit(profile, log)
    _, status = os.waitpid(child, 0)
    return status


def _run_and_exit(profile: Path, log: Path) -> None:
    status = 1
    try:
        signal.alarm(BUILDOUT_TIMEOUT)
        log_file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log_file), (2, log_file)):
            os.dup2(source, descriptor)
        os.chdir(profile.parent)
        importlib.import_module(RUNNER).main(str(profile))
        status = 0
    except SystemExit as end:
        os.write(2, f"\n{end.code}\n".encode())
    except BaseException as error:
        os.write(2, f"\nError: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(status)


def profile_text(order: ConfigureOrder, release: Path) -> str:
    """Return the profile that extends a release's `instance.cfg` with what is particular to an instance."""
    parameters = json.loads(order.parameters)
    return "".join(
        (
            _section(
                "buildout",
                {
                    "extends": str(release / "instance.cfg"),
                    "offline": "true",
                    # Offline it would still look for what it is not going to install.
                    "index": "file:///nonexistent/",
                    "directory": order.folder,
                    "parts-directory": f"{order.folder}/{layout.OURS}/parts",
                    "bin-directory": f"{order.folder}/{layout.OURS}/bin",
                    "develop-eggs-directory": f"{order.folder}/{layout.OURS}/develop-eggs",
                    "installed": f"{order.folder}/{layout.OURS}/installed.cfg",
                    "eggs-directory": f"{order.software}/eggs",
                },
            ),
            _section(
                "freehold",
                {
                    "instance": order.instance,
                    "title": order.title,
                    "type": order.type,
                    "address": order.address,
                    "partition": order.folder,
                    "software": order.software,
                    "release": str(release),
                },
            ),
            _section(
                "parameters",
                {
                    "json": json.dumps(parameters),
                    **{
                        name: value if isinstance(value, str) else json.dumps(value)
                        for name, value in parameters.items()
                        if _OPTION.fullmatch(name) and name not in _MEANT
                    },
                },
            ),
        )
    )


def _section(name: str, options: dict[str, str]) -> str:
    return f"[{name}]\n" + "".join(f"{option} = {_value(text)}\n" for option, text in options.items()) + "\n"


def _value(text: str) -> str:
    """Return a text as buildout reads it back, whatever a customer wrote: never a reference or a section.

    Buildout reads `$$` as no reference, so every dollar before a brace is doubled (recipes halve them). What
    Python reads as the end of a line must be followed by an indent to belong to its option.
    """
    return re.sub(r"\r\n|[\n\r]", "\n    ", escaped(text))

"""Making partitions on this machine: a Unix user, a folder and an address each; without root, folders and
loopback addresses.
"""

import grp
import hashlib
import ipaddress
import json
import os
import pwd
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from freehold.node.errors import HostError
from freehold.node.settings import PartitionSlot, Paths, Settings, load, save

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def prepare(
    root: Path,
    partitions: int,
    *,
    unprivileged: bool = False,
    network: str = "",
    interface: str = "lo",
    limits: Mapping[str, int] = MappingProxyType({}),
) -> Settings:
    """Make a node's folder with so many partitions and return its settings. Safe to repeat, and to grow with.

    `network` (CIDR) gives the partitions' addresses on `interface`; by default they come from a private network
    that depends on the node. `limits` are fields of `Limits`, which stay as they are when not named. Raise HostError,
    naming what to do, when the machine does not give what is needed.
    """
    if partitions < 1:
        raise HostError("A node has at least one partition: --partitions 1 or more.")
    paths = Paths(root)
    known = load(root) if paths.settings.exists() else None
    settings = Settings(
        tag=known.tag if known else "".join(secrets.choice(_LETTERS) for _ in range(8)),
        unprivileged=unprivileged or os.geteuid() != 0,
        interface=interface,
        network=network,
    )
    if known and known.slots:
        settings = known
    if partitions < len(settings.slots):
        raise HostError(
            f"The node has {len(settings.slots)} partitions already; it can grow but not shrink to {partitions}."
        )
    if wrong := [name for name, value in limits.items() if value < 0]:
        raise HostError(f"A limit is not negative: --{wrong[0].replace('_', '-')} {limits[wrong[0]]}.")
    settings = msgspec.structs.replace(settings, limits=msgspec.structs.replace(settings.limits, **limits))
    # Before anything is made: what is refused leaves no users behind.
    addresses = _addresses(settings, partitions)
    _make_folders(paths, settings)
    if not settings.slots:
        # First of all the tag: whatever ends us, the users made next can be found again by it.
        save(root, settings)
    slots = [*settings.slots]
    for number in range(len(slots), partitions):
        slots.append(_slot(paths, settings, number, addresses[number]))
    settings = msgspec.structs.replace(settings, slots=slots)
    save(root, settings)
    return settings


def keep_addresses(settings: Settings, *, on_host: bool) -> None:
    """Have the machine itself have the partitions' addresses, or none of them; after a reboot they are gone.

    They are on the host only where partitions have no networks of their own, in which each has its address.
    """
    wanted = _own_addresses(settings)
    if not wanted:
        return
    shown = _ip("-json", "address", "show", "dev", settings.interface)
    present = {
        address["local"] for link in json.loads(shown) for address in link.get("addr_info", []) if "local" in address
    }
    for address in wanted:
        if (address in present) is not on_host:
            _ip("address", "add" if on_host else "del", _host_network(address), "dev", settings.interface)
        if not on_host:
            # While nothing lives there, nobody elsewhere answers in its place. The way to a container comes first.
            _ip("route", "replace", "unreachable", _host_network(address), "metric", _LAST)


def forget_addresses(settings: Settings) -> None:
    """Take what leads to the partitions' addresses off the machine."""
    for address in _own_addresses(settings):
        arguments = ["route", "delete", "unreachable", _host_network(address), "metric", _LAST]
        subprocess.run(["ip", *arguments], capture_output=True, check=False)


_LAST = "4096"
"""The metric of a way that is taken only when there is no other."""


def _own_addresses(settings: Settings) -> list[str]:
    if settings.unprivileged:
        return []
    return [slot.address for slot in settings.slots if not ipaddress.ip_address(slot.address).is_loopback]


def _host_network(address: str) -> str:
    return f"{address}/{ipaddress.ip_address(address).max_prefixlen}"


def _make_folders(paths: Paths, settings: Settings) -> None:
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        for path, mode in (
            (paths.root, 0o711),
            (paths.identity, 0o700),
            (paths.software, 0o755),
            (paths.cache, 0o700),
            (paths.partitions, 0o711),
            (paths.run, 0o700),
        ):
            path.mkdir(exist_ok=True)
            path.chmod(mode)
    except OSError as error:
        raise HostError(f"{error.filename} cannot be made: {error.strerror}. Choose another --root.") from None
    if settings.unprivileged:
        return
    for parent in paths.root.resolve().parents:
        if not parent.stat().st_mode & 0o001:
            raise HostError(
                f"Other users cannot pass through {parent}, but partitions have their own users. "
                "Choose a --root elsewhere, such as /srv/freehold."
            )


def _slot(paths: Paths, settings: Settings, number: int, address: str) -> PartitionSlot:
    name = f"p{number}"
    folder = paths.partitions / name
    folder.mkdir(exist_ok=True)
    uid = gid = None
    if not settings.unprivileged:
        uid, gid = _user(f"fh-{settings.tag}-{number}", folder)
        os.chown(folder, uid, gid)
    folder.chmod(0o700)
    return PartitionSlot(name, address, uid, gid)


def _user(name: str, home: Path) -> tuple[int, int]:
    """Return the uid and gid of a system user, made if it is not there."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        if shutil.which("useradd") is None:
            raise HostError("There is no `useradd` here. Install the package passwd.") from None
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(home)]
        done = subprocess.run(
            [*command, "--shell", "/usr/sbin/nologin", name], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise HostError(f"The user {name} cannot be made: {done.stderr.strip()}") from None
        account = pwd.getpwnam(name)
    return account.pw_uid, grp.getgrgid(account.pw_gid).gr_gid


def _addresses(settings: Settings, count: int) -> list[str]:
    if settings.network:
        try:
            hosts = ipaddress.ip_network(settings.network).hosts()
        except ValueError as error:
            raise HostError(f"--network: {error}. Write it like 203.0.113.0/24.") from None
        addresses = [str(address) for address, _ in zip(hosts, range(count), strict=False)]
        if len(addresses) < count:
            raise HostError(f"{settings.network} has only {len(addresses)} addresses for {count} partitions.")
        return addresses
    if count > 254 * 254:
        raise HostError("More than 64,516 partitions need a --network of their own.")
    first, second = hashlib.sha256(settings.tag.encode()).digest()[:2]
    # Two nodes on one machine must not meet; the tag moves them apart: 127.x.y.z, or 10.x.y.z with root.
    start = f"127.{64 + first % 128}" if settings.unprivileged else f"10.{64 + first % 128}"
    return [f"{start}.{(second + number // 254) % 256}.{1 + number % 254}" for number in range(count)]


def _ip(*arguments: str) -> str:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise HostError("There is no `ip` here. Install the package iproute2.") from None
    if done.returncode:
        raise HostError(f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}")
    return done.stdout

"""Which files of the machine a partition sees: what programs need, and nothing that tells of others."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from freehold.node.settings import PartitionSlot

_NO_NAME = re.compile("[^a-z0-9]+")
_FOLDERS = ("/usr", "/nix", "/gnu", "/sys/devices/system/cpu")
"""Programs, and how many processors there are."""
TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links to below /usr, or folders on machines of old."""
_ETC = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "debian_version", "ethertypes", "fonts",
    "gai.conf", "host.conf", "inputrc", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "ld.so.cache",
    "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "magic", "magic.mime", "mime.types",
    "networks", "nsswitch.conf", "openssl", "os-release", "perl", "pki", "profile", "protocols", "python3",
    "python3.11", "python3.12", "python3.13", "rpc", "services", "ssl", "terminfo", "timezone", "xattr.conf",
)  # fmt: skip
"""What of /etc is about programs, and neither about people, secrets, nor the machine."""


def folders() -> list[str]:
    """Return the folders that every partition sees; each path is real, and none is inside another."""
    # Not the folder in which the agent was started, which is in the path of modules too.
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    ours = {
        *packages,
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).parents[3]),
        str(Path(sys.executable).parent),
    }
    wanted = {os.path.realpath(path) for path in ours} | ours | {path for path in TOP if not os.path.islink(path)}
    paths: list[str] = []
    for path in sorted({*_FOLDERS, *wanted}):
        if os.path.isdir(path) and not any(path == parent or path.startswith(f"{parent}/") for parent in paths):
            paths.append(path)
    return paths


def host_name(title: str) -> str:
    """Return the host name of an instance of a tree, from its title.

    `database` for `shop/database`, `standby.database` for one below that, `shop` for the root.
    """
    parts = [_NO_NAME.sub("-", part.lower()).strip("-") or "x" for part in title.split("/")]
    return ".".join(reversed(parts[1:])) or parts[0]


def files(
    etc: Path, slot: PartitionSlot, home: str, resolv_conf: str | None, peers: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """Return the files and folders below /etc that a partition sees, and where each is; some are made for it in `etc`.

    `home` is the home of its user, `peers` are addresses by host name. `resolv_conf` says where it asks for names;
    None: the machine's own says it.
    """
    targets = {f"/etc/{name}": os.path.realpath(f"/etc/{name}") for name in _ETC if os.path.exists(f"/etc/{name}")}
    uid = os.geteuid() if slot.uid is None else slot.uid
    gid = os.getegid() if slot.gid is None else slot.gid
    named = sorted((name, address) for name, address in peers.items() if name not in (slot.name, "localhost"))
    leads = "".join(f"{address}\t{name}\n" for name, address in named)
    # Without its own user or group, many a program does not start.
    written = {
        "passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\n{slot.name}:x:{uid}:{gid}::{home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "group": f"root:x:0:\n{slot.name}:x:{gid}:\nnogroup:x:65534:\n",
        "hosts": f"127.0.0.1\tlocalhost\n::1\tlocalhost\n{slot.address}\t{slot.name}\n{leads}",
        "hostname": f"{slot.name}\n",
    }
    if uid == 0:
        # It is root of nothing; it has one name.
        written["passwd"] = (
            f"root:x:0:0:root:{home}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        )
        written["group"] = "root:x:0:\nnogroup:x:65534:\n"
    if resolv_conf is None:
        targets["/etc/resolv.conf"] = os.path.realpath("/etc/resolv.conf")
    else:
        written["resolv.conf"] = resolv_conf
    etc.mkdir(parents=True, exist_ok=True)
    for name, text in written.items():
        path = etc / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            path.chmod(0o644)
        targets[f"/etc/{name}"] = str(path)
    return {path: source for path, source in targets.items() if os.path.exists(source)}

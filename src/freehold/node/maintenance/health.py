"""What a node looks at in its own machine: hardware, disk, time, certificate; and what would mend it.

`look` runs in a child of the fork server, for the agent; `findings` is what `freehold node doctor` shows.
"""

import json
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from freehold import exposure
from freehold.node import settings as node_settings
from freehold.node.errors import LinkDown, LinkError
from freehold.node.host import resolvers
from freehold.node.isolation import audit, firewall, protections, sandbox
from freehold.node.link.client import Link
from freehold.node.settings import Paths, Settings
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.node.upgrade import agent_pid
from freehold.promises import Assessment, MemoryFree, NetworkErrors, Temperature
from freehold.protocol import UNREADABLE
from freehold.protocol.report import Applied, HostPromise, ReportBatch

CERTIFICATE_DAYS = 7.0
DRIFT = 60.0
"""Seconds by which the machine's clock may differ from the Master's."""
LEAST_MEMORY = 0.04
"""Of all memory, what must be there to be had."""
EDAC = Path("/sys/devices/system/edac/mc")
"""Where Linux counts errors of memory, for controllers whose driver knows them (Documentation/admin-guide/ras.rst)."""
_NO_DISKS = ("loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd")


class Finding(msgspec.Struct, frozen=True):
    """Something that was looked at."""

    name: str
    well: bool
    message: str
    remedy: str = ""
    """A command, or what else mends it."""
    protections: Sequence[exposure.Protection] = ()
    """What the exposure was weighed of."""


def look(payload: bytes) -> bytes:
    """Return the machine's own promises, as JSON, for the folder of a node."""
    root = Path(payload.decode())
    settings = node_settings.load(root)
    findings = [*_hardware(), _disk(root, settings), certificate(settings, _now(root)), _clock(root)]
    findings += [_store(Paths(root))]
    return msgspec.json.encode([HostPromise(finding.name, finding.well, finding.message) for finding in findings])


def findings(root: Path) -> list[Finding]:
    """Return everything that was looked at, wrong or well; raise SettingsError for what is no node's folder."""
    settings = node_settings.load(root)
    paths = Paths(root)
    findings = [*_hardware(), _disk(root, settings), certificate(settings, _now(root)), _clock(root)]
    findings += [_master(paths, settings)]
    findings += [_store(paths), _permissions(paths), *_users(settings), _running(paths), _attempts(settings)]
    findings += [*_other_firewalls(settings), *_names(settings)]
    missing = protections.find(settings).missing()
    findings += [Finding(f"protection {name}", False, why, why.rpartition(": ")[2]) for name, why in missing.items()]
    return [*findings, _exposure(missing, paths)]


def _exposure(missing: dict[str, str], paths: Paths) -> Finding:
    """Weigh the protections that were tried: it informs, and what is missing is a finding of its own."""
    if agent_pid(paths) is None:
        # It is the agent that watches the disk.
        missing = {**missing, "disk": "the agent, which watches it, does not run"}
    exposed = exposure.weigh(
        [
            exposure.Protection(name, name not in missing, weight, missing.get(name, "tried here, and holds"), exposes)
            for name, (weight, exposes) in protections.WEIGHTS.items()
        ]
    )
    words = f"{exposed.exposure} of 10.0: {len(missing)} of {len(protections.WEIGHTS)} protections are missing"
    return Finding("exposure", True, words, protections=exposed.protections)


def _hardware() -> list[Finding]:
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 20)
    memory = MemoryFree(pages * LEAST_MEMORY).check()
    findings = [
        _of(
            "memory",
            memory,
            "See who uses it: freehold node status; limit partitions: freehold node prepare --memory-mb",
        ),
        _of("temperature", Temperature().check(), "Look after its fans and its place."),
        memory_errors(),
    ]
    for interface in sorted(os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else []:
        if interface != "lo" and os.path.exists(f"/sys/class/net/{interface}/device"):
            check = NetworkErrors(interface, most_per_million=1000).check()
            findings.append(
                _of(f"network {interface}", check, f"Look at its cable and port: ip -s link show {interface}")
            )
    return [*findings, *_disks()]


def _of(name: str, assessment: Assessment, remedy: str) -> Finding:
    return Finding(name, assessment.kept, assessment.message, "" if assessment.kept else remedy)


def memory_errors(controllers: Path = EDAC) -> Finding:
    """Return what the memory controllers counted: errors that they corrected, and those that they could not."""
    corrected, not_corrected = (
        [int(path.read_text()) for path in controllers.glob(f"mc*/{name}")] for name in ("ce_count", "ue_count")
    )
    if not corrected + not_corrected:
        return Finding("memory errors", True, "This machine does not count errors of its memory.")
    words = f"{sum(corrected)} errors of memory corrected, {sum(not_corrected)} not"
    remedy = "Change the memory module: edac-util -v names it." if sum(not_corrected) else ""
    return Finding("memory errors", not sum(not_corrected), words, remedy)


def _disks() -> list[Finding]:
    """Ask each disk how it is (SMART), where smartctl is there and the disk answers."""
    # Debian keeps it where only root's search path leads.
    program = shutil.which("smartctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None or os.geteuid() != 0:
        return []
    findings = []
    for name in sorted(os.listdir("/sys/block")):
        if name.startswith(_NO_DISKS):
            continue
        command = [program, "--json", "--health", "--nocheck=standby", f"/dev/{name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        try:
            passed = json.loads(done.stdout)["smart_status"]["passed"]
        except (ValueError, KeyError):
            # A virtual disk has no such thing.
            continue
        words = "SMART says it is well" if passed else "SMART says that it fails"
        remedy = "" if passed else f"Move what it holds and change it: smartctl -a /dev/{name}"
        findings.append(Finding(f"disk {name}", bool(passed), words, remedy))
    return findings


def _disk(root: Path, settings: Settings) -> Finding:
    disk = os.statvfs(root)
    free, whole = disk.f_bavail * disk.f_frsize >> 20, disk.f_blocks * disk.f_frsize >> 20
    least = min(settings.disk_reserve_mb, whole // 10)
    inodes = 100 * disk.f_favail / disk.f_files if disk.f_files else 100.0
    words = f"{free} of {whole} MB and {inodes:.0f} % of all inodes are free at {root}"
    remedy = "Remove what nothing needs: freehold node tidy; see what is large: du -xm --max-depth=2 " + str(root)
    return Finding("disk", free >= least and inodes > 2, words, "" if free >= least and inodes > 2 else remedy)


def _now(root: Path) -> float:
    """Return what time it is for the node, which knows better than the machine's own clock."""
    return Store(Database(Paths(root).store, only_look=True)).clock.now()


def certificate(settings: Settings, now: float) -> Finding:
    """Look at how long the node's certificate is good."""
    if not settings.node:
        return Finding("certificate", False, "not enrolled", "freehold node enrol --master URL --token-file FILE")
    days = (settings.certificate_ends - now) / 86400
    remedy = (
        "It is renewed by the agent as soon as it reaches the Master: freehold node run"
        if days < CERTIFICATE_DAYS
        else ""
    )
    return Finding("certificate", days >= CERTIFICATE_DAYS, f"good for {days:.0f} days", remedy)


def _clock(root: Path) -> Finding:
    store = Store(Database(Paths(root).store, only_look=True))
    if not store.clock.was_heard:
        return Finding("clock", True, "the Master has not told the time yet")
    drift = time.time() - store.clock.now()
    remedy = "timedatectl set-ntp true, or: apt-get install chrony" if abs(drift) > DRIFT else ""
    words = f"{abs(drift):.0f} s {'ahead of' if drift > 0 else 'behind'} the Master's"
    return Finding("clock", abs(drift) <= DRIFT, words, remedy)


def _master(paths: Paths, settings: Settings) -> Finding:
    if not settings.master:
        return Finding("Master", False, "none yet", "freehold node enrol --master URL --token-file FILE")
    store = Store(Database(paths.store, only_look=True))
    link = Link(settings.master, paths.authority, (paths.certificate, paths.key), time=store.clock)
    try:
        # As the agent does, by the time as it knows it; a batch of nothing says whether reports are accepted.
        batch = ReportBatch(store.outbox.epoch or settings.epoch, [])
        _, content, _ = link.call("POST", "/node/v1/reports", msgspec.json.encode(batch), timeout=10)
        known = msgspec.json.decode(content, type=Applied).sequence
    except LinkDown as error:
        return Finding("Master", False, str(error), f"Look at the network: curl -v {settings.master}/authority.pem")
    except LinkError as error:
        return Finding("Master", False, str(error), "Ask its operator.")
    except UNREADABLE as error:
        return Finding(
            "Master", False, f"{settings.master} answers what is not understood: {error}", "Update this node."
        )
    finally:
        link.close()
    if known > store.outbox.last_handed_out:
        words = (
            f"{settings.master} has report {known} of this node, whose store knows of {store.outbox.last_handed_out}"
        )
        return Finding("Master", False, words, "The agent asks for a new epoch: freehold node run")
    return Finding("Master", True, f"{settings.master} answers, is ours, and accepts reports")


def _store(paths: Paths) -> Finding:
    aside = sorted(paths.root.glob(f"{paths.store.name}.damaged-*[0-9]"))
    if not aside:
        return Finding("store", True, "whole")
    words = f"{aside[-1].name}: the store was damaged and put aside; what it held was asked of the Master again"
    return Finding("store", False, words, f"Look at the disk (smartctl -a), then: rm {paths.store}.damaged-*")


def _permissions(paths: Paths) -> Finding:
    wrong = []
    for path, forbidden in ((paths.identity, 0o077), (paths.key, 0o077), (paths.run, 0o077), (paths.settings, 0o022)):
        if path.exists():
            status = path.stat()
            if stat.S_IMODE(status.st_mode) & forbidden or status.st_uid != os.geteuid():
                wrong.append(str(path))
    remedy = f"chown -R root {paths.root}/identity && chmod -R go= {' '.join(wrong)}" if wrong else ""
    return Finding(
        "permissions", not wrong, f"others can get at {', '.join(wrong)}" if wrong else "as they should be", remedy
    )


def _users(settings: Settings) -> list[Finding]:
    gone = []
    for slot in settings.slots:
        try:
            pwd.getpwuid(slot.uid) if slot.uid is not None else None
        except KeyError:
            gone.append(slot.name)
    if not gone:
        return []
    words = f"the users of {', '.join(gone)} are gone"
    return [Finding("users", False, words, f"freehold node prepare --partitions {len(settings.slots)}")]


def _attempts(settings: Settings) -> Finding:
    """Say what of the attempts of partitions the operator is told; an audit log is the machine's own matter."""
    is_audited = not settings.unprivileged and sandbox.landlock_version() >= 7 and audit.is_on()
    words = "limits, packets and quotas that held a partition are told"
    limits_of_this_mode = (
        "and what Landlock refuses"
        if is_audited
        else ("not what Landlock refuses, such as a port to listen on: that takes root, Linux 6.15, and: auditctl -e 1")
    )
    return Finding("attempts", True, f"{words}, {limits_of_this_mode}")


def _other_firewalls(settings: Settings) -> list[Finding]:
    """Name rules of other software, such as Docker's, that refuse what partitions send and get."""
    chains = [] if settings.unprivileged else firewall.strangers()
    if not chains:
        return []
    words = f"other software refuses what it does not know on its way through this machine: {', '.join(chains)}"
    remedy = (
        f"iptables -I FORWARD -i '{firewall.LINKS}+' -j ACCEPT; iptables -I FORWARD -o '{firewall.LINKS}+' -j ACCEPT"
    )
    return [Finding("firewall", False, words, remedy)]


def _names(settings: Settings) -> list[Finding]:
    """Say when partitions cannot ask for names: each has a network of its own, where the machine's loopback is not."""
    if settings.unprivileged or resolvers.find():
        return []
    words = "partitions cannot ask for names: the machine's resolver listens on its loopback only"
    return [Finding("names", False, words, "Name a server that is reached from elsewhere in /etc/resolv.conf.")]


def _running(paths: Paths) -> Finding:
    runs = agent_pid(paths) is not None
    return Finding("agent", runs, "runs" if runs else "does not run", "" if runs else "freehold node run")

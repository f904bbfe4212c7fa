"""What this machine is."""

import os
from pathlib import Path

from freehold import __version__
from freehold.node.settings import Settings
from freehold.protocol.report import HostFacts, HostPromise, PartitionFacts


def host_facts(
    root: Path, settings: Settings, protections: dict[str, bool], promises: list[HostPromise], lease: float = 0.0
) -> HostFacts:
    """Return what the node tells of its machine."""
    disk = os.statvfs(root)
    return HostFacts(
        partitions=[PartitionFacts(slot.name, slot.address) for slot in settings.slots],
        cpus=os.cpu_count() or 0,
        memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024),
        disk_mb=disk.f_blocks * disk.f_frsize // (1024 * 1024),
        architecture=os.uname().machine,
        system=_system(),
        agent=__version__,
        protections=protections,
        promises=promises,
        lease=lease,
    )


def _system() -> str:
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return os.uname().sysname
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    return values.get("PRETTY_NAME", os.uname().sysname).strip('"')

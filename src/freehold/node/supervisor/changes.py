"""How what runs is changed into what is wanted: at once, after what must be done before, or by a signal.

What runs goes on until all has ended well that the one in its place awaits. When that never does, it goes on for ever.
"""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from freehold.node.supervisor.server import SupervisorServer
    from freehold.node.supervisor.table import Process, ProcessGroup


def replace(server: SupervisorServer, group: ProcessGroup, changed: list[Process], unwanted: list[Process]) -> None:
    """Have those end in whose place another is wanted, and those that are not wanted, when it is time for that."""
    for process in changed:
        process.postponed = process.pid != 0 and _awaits(group, process)
        if not process.postponed:
            server.end(process, leaving=False)
    # What does the work of one that is not there yet goes on with it until that is there.
    is_early = bool(changed) and all(process.postponed for process in changed)
    for process in unwanted:
        process.superfluous = is_early and process.pid != 0 and not process.spec.get("once")
        if not process.superfluous:
            server.end(process, leaving=True)


def go_on(server: SupervisorServer, group: ProcessGroup) -> None:
    """End those whose time has come, after something ended well that others await."""
    for process in list(group.processes.values()):
        if process.postponed and not _awaits(group, process):
            process.postponed = False
            server.end(process, leaving=False)
    if any(process.postponed for process in group.processes.values()):
        return
    for process in list(group.processes.values()):
        if process.superfluous:
            process.superfluous = False
            server.end(process, leaving=True)


def reload(server: SupervisorServer, process: Process) -> None:
    """Have a process read its files anew; one that did not settle yet may not know how, and is started anew."""
    if not process.told:
        server.end(process, leaving=False)
        return
    process.reloaded = process.spec.get("reload_digest", "")
    number = getattr(signal, f"SIG{process.spec.get('reload_signal', 'HUP')}")
    try:
        signal.pidfd_send_signal(process.descriptor, number)
    except ProcessLookupError:
        # It ended by itself: the next one reads them anyway.
        pass


def _awaits(group: ProcessGroup, process: Process) -> bool:
    """Return whether something has not ended well yet that must have before the one that runs is ended."""
    awaited = [group.processes.get(name) for name in process.spec.get("awaits", ())]
    return any(each is not None and not (each.done and each.digest == each.spec["digest"]) for each in awaited)

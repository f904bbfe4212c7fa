"""In which order the processes of a group end, and start again: those that come `after` others end before them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from freehold.node.supervisor.table import Process, ProcessGroup


def may_end(group: ProcessGroup) -> list[Process]:
    """Return those to ask now to end: nothing that comes after them is still to end."""
    ending = [process for process in group.processes.values() if process.ending]
    needed = {name for process in ending for name in _after(process)}
    waiting = [process for process in ending if process.kill_at is None]
    free = [process for process in waiting if process.spec["name"] not in needed]
    # When each waits for another they stand in a circle, which only a hand-written declaration can make.
    return free if free or len(waiting) < len(ending) else waiting


def may_start(group: ProcessGroup) -> list[Process]:
    """Return those that ended to be started again, and come after none that is still to do so."""
    held = [process for process in group.processes.values() if process.held]
    moving = {name for name, process in group.processes.items() if process.ending or process.held}
    free = [process for process in held if moving.isdisjoint(_after(process))]
    return free if free or len(held) < len(moving) else held


def _after(process: Process) -> set[str]:
    # A process that names itself, or a table written before there was an order, must hold up nobody.
    return set(process.spec.get("after", ())) - {process.spec["name"]}

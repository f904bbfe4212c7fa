"""What the supervisor is asked on its socket, and what it answers.

Orders are JSON lines, one object each: `{"verb": "apply", "group": …, "processes": […]}`, `lend`, `stop`, `restart`,
`status`, `watch` (answers with events until it ends), `shutdown`.
"""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from freehold.node.supervisor.server import SupervisorServer
    from freehold.node.supervisor.table import ClientConnection, Process, ProcessGroup

MOST_ORDER = 16 * 1024 * 1024
"""Bytes of one order."""


def read(server: SupervisorServer, connection: ClientConnection) -> None:
    """Follow the orders that a connection sent, and answer each; close a connection that ended."""
    try:
        data = connection.socket.recv(65536)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    connection.buffer += data
    if not data or len(connection.buffer) > MOST_ORDER:
        server.drop(connection)
        return
    *lines, connection.buffer = connection.buffer.split(b"\n")
    for line in lines:
        try:
            _execute(server, json.loads(line), connection)
        except (ValueError, KeyError, TypeError) as error:
            connection.answer(ok=False, error=f"order not understood: {error!r}")


def _execute(server: SupervisorServer, order: dict[str, Any], connection: ClientConnection) -> None:
    verb = order["verb"]
    if verb == "apply" and server.over:
        connection.answer(ok=False, error="it is shutting down")
    elif verb == "apply":
        server.apply(order["group"], order["processes"], order.get("until"), patient=order.get("patient", False))
        present = server.groups[order["group"]].processes
        names = [spec["name"] for spec in order["processes"]]
        versions = {name: present[name].version for name in names if name in present}
        events = [event(process) for process in present.values() if process.told is not None]
        connection.answer(ok=True, versions=versions, told=events)
    elif verb == "lend":
        for name, until in order["groups"].items():
            if name in server.groups:
                server.groups[name].until = until
        server.save()
        connection.answer(ok=True)
    elif verb == "stop":
        server.stop(order["group"], connection, order.get("within"))
    elif verb == "restart":
        is_known = server.restart(order["group"], order["name"])
        connection.answer(ok=is_known, error="" if is_known else "no such process")
    elif verb == "status":
        connection.answer(ok=True, groups=_status(server.groups), pid=os.getpid())
    elif verb == "watch":
        connection.watching = True
        connection.answer(ok=True)
        for group in server.groups.values():
            for process in group.processes.values():
                if process.told is not None:
                    connection.answer(ok=True, event=event(process))
    elif verb == "shutdown":
        server.over = True
        for name in list(server.groups):
            server.stop(name, connection)
        connection.answer(ok=True)
    else:
        connection.answer(ok=False, error=f"unknown verb {verb!r}")


def event(process: Process) -> dict[str, Any]:
    """Return what those who watch are told of a process."""
    return {
        "group": process.group,
        "name": process.spec["name"],
        "version": process.version,
        "well": process.told,
        "deaths": process.quick_deaths,
        "exit": process.exit,
        "since": process.started if process.pid else 0.0,
        "lived": round(process.lived, 1),
    }


def _status(groups: dict[str, ProcessGroup]) -> dict[str, Any]:
    """Return every group with its processes."""
    now = time.monotonic()
    return {
        name: {
            "dead_cpu_ms": round(group.dead_cpu_ms),
            "processes": [
                {
                    "name": process.spec["name"],
                    "pid": process.pid,
                    "state": _state(process),
                    "digest": process.digest,
                    "uptime": round(now - process.started, 3) if process.pid else 0,
                    "restarts": process.restarts,
                    "exit": process.exit,
                }
                for process in group.processes.values()
            ],
        }
        for name, group in groups.items()
    }


def _state(process: Process) -> str:
    if process.pid:
        return "stopping" if process.ending else "running"
    return "done" if process.done else "waiting"

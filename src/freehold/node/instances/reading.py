"""Reading the logs of an instance, as its user."""

from pathlib import Path

from freehold.node.errors import ConfigureError
from freehold.node.partition.log_reading import LogOrder, PartitionLog
from freehold.node.parts import EnclosuresPart, ForkServerPart
from freehold.node.settings import PartitionSlot
from freehold.node.state.instances import DesiredInstance
from freehold.protocol.stream import MOST_LINES, StreamRequest

TIMEOUT = 10.0
"""Seconds for one reading."""
MOST_LAST_LINES, MOST_FOLLOWED = 240 * 1024, 64 * 1024
"""Bytes of an instance's logs that are read at once, of all its processes together."""


def of_instance(
    request: StreamRequest,
    desired: DesiredInstance,
    slot: PartitionSlot,
    folder: Path,
    enclosures: EnclosuresPart,
    fork_server: ForkServerPart,
) -> PartitionLog:
    """Return what reads the logs that are asked for."""
    programs = [program.name for program in (*desired.layout.services, *desired.layout.runs)]
    names = [request.process.removesuffix(".log")] if request.process else ["configure", *programs]

    def call(payload: bytes) -> bytes:
        # The next tenant's log is not this one's.
        if enclosures.tenant(slot) != request.instance:
            raise ConfigureError("It has nothing on the node yet.")
        # As its user and without its walls, which are gone while it is stopped: nothing of its own runs in this.
        return fork_server.call(
            "freehold.node.partition.log_reading:read",
            payload,
            uid=slot.uid,
            gid=slot.gid,
            cwd=str(folder),
            timeout=TIMEOUT,
        )

    most = MOST_FOLLOWED if request.follow else MOST_LAST_LINES
    order = LogOrder(
        str(folder),
        list(dict.fromkeys(names)),
        bool(request.process),
        min(request.lines, MOST_LINES),
        most,
        follow=request.follow,
    )
    return PartitionLog(call, order)

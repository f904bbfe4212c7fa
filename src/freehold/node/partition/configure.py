"""Configuring an instance: runs in a child of the fork server, as the partition's user.

Two ways lead to the same layout: the typed plan of `instance.py`, and a buildout profile `instance.cfg`.
"""

from pathlib import Path

import msgspec

from freehold.node.errors import ConfigureError
from freehold.node.partition import layout, planned, profile
from freehold.node.partition.order import ConfigureOrder
from freehold.release import ReleaseError


def run(payload: bytes) -> bytes:
    """Configure as an `Order` in JSON says; return the `Layout` that came of it, in JSON."""
    order = msgspec.json.decode(payload, type=ConfigureOrder)
    folder, release = Path(order.folder), Path(order.software) / "release"
    layout.prepare(folder)
    if (release / "instance.py").exists():
        outcome = planned.run(order, folder, release)
    elif (release / "instance.cfg").exists():
        outcome = profile.run(order, folder, release)
        outcome = msgspec.structs.replace(outcome, attested=bool(layout.scan(folder).promises))
    else:
        raise ReleaseError("The release has neither instance.py nor instance.cfg.")
    try:
        return msgspec.json.encode(msgspec.structs.replace(layout.scan(folder), outcome=outcome))
    except (UnicodeEncodeError, OverflowError) as error:
        raise ConfigureError(f"A name or a text of the instance cannot be told: {error}.") from None

"""Writing files of a partition."""

import os
from pathlib import Path

from freehold.node.durable import sync_names


def write(path: Path, content: bytes, mode: int) -> bool:
    """Write a file so that it is never seen half-written and survives a power cut; return whether anything changed."""
    try:
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            # Whoever wrote it may have been killed just before.
            sync_names(path.parent)
            return False
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    # The node's store may be flushed without it, and would then know of a configuration that is not there.
    sync_names(path.parent)
    return True

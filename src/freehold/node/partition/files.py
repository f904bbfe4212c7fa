"""Writing files of a partition."""

from pathlib import Path

from freehold import durable


def write(path: Path, content: bytes, mode: int) -> bool:
    """Write a file so that it is never seen half-written and survives a power cut; return whether anything changed.

    The node's store may be flushed later, and would else know of a configuration that is not there.
    """
    try:
        if path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            # Whoever wrote it may have been killed just before.
            durable.sync_names(path.parent)
            return False
    except FileNotFoundError:
        pass
    durable.replace(path, content, mode, folder_mode=0o700)
    return True

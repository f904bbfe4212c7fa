"""Ending an instance: its last wishes, then nothing of it remains."""

import os
import shutil
import subprocess
from pathlib import Path

from freehold.node.partition import layout

PRERM_TIMEOUT = 60


def last_wishes(payload: bytes) -> bytes:
    """Run the executables of `etc/prerm`, each with a time limit; in a child, as the partition's user.

    What fails is written to the log and hinders nothing: destruction was asked for.
    """
    folder = Path(payload.decode())
    prerm = folder / layout.PRERM
    for path in sorted(prerm.iterdir()) if prerm.is_dir() else []:
        try:
            subprocess.run([str(path)], cwd=folder, stdin=subprocess.DEVNULL, timeout=PRERM_TIMEOUT, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"prerm/{path.name}: {error}", flush=True)
    return b""


def empty(folder: Path) -> None:
    """Remove everything in a partition's folder, following no links; the folder stays."""
    if not folder.is_dir():
        return
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            _make_removable(Path(entry.path))
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def _make_removable(folder: Path) -> None:
    """Give back the right to look into folders, so that an unprivileged node can remove them."""
    if os.geteuid() == 0:
        return
    os.chmod(folder, 0o700)
    for parent, directories, _ in os.walk(folder):
        for name in directories:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o700)

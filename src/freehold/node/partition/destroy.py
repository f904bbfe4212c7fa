"""The pre-destroy programs of an instance: what its release runs before its data goes."""

import subprocess
import time
from pathlib import Path

from freehold.node.partition import layout

PRERM_TIMEOUT = 20.0
"""Seconds that all executables of `etc/prerm` have together."""


def run_pre_destroy_hook(payload: bytes) -> bytes:
    """Run the executables of `etc/prerm`, within a time limit for all; in a child, as the partition's user.

    What fails is written to the log and hinders nothing: destruction was asked for.
    """
    folder = Path(payload.decode())
    prerm = folder / layout.PRERM
    end = time.monotonic() + PRERM_TIMEOUT
    for path in sorted(prerm.iterdir()) if prerm.is_dir() else []:
        left = max(0.1, end - time.monotonic())
        try:
            subprocess.run([str(path)], cwd=folder, stdin=subprocess.DEVNULL, timeout=left, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"prerm/{path.name}: {error}", flush=True)
    return b""

"""Waits until another process of the partition accepts connections; by the standard library alone, copied into it.

    python ready.py ADDRESS PORT
    python ready.py SOCKET

It looks as the partition's user, in its walls: a supervisor that connected to what a partition names could be led
astray.
"""

from __future__ import annotations

import os
import socket
import sys
import time

PAUSE = 0.05
PATIENCE = 1.0
"""Seconds that one attempt may take."""


def accepts(where: list[str]) -> bool:
    """Return whether something accepts connections at an address and port, or at a socket's path."""
    try:
        if len(where) == 2:
            socket.create_connection((where[0], int(where[1])), PATIENCE).close()
            return True
        folder, _, name = where[0].rpartition("/")
        with socket.socket(socket.AF_UNIX) as notify_socket:
            notify_socket.settimeout(PATIENCE)
            # A long folder name does not fit into a socket's address; a relative one does.
            os.chdir(folder or ".")
            notify_socket.connect(name)
        return True
    except OSError:
        return False


def main(where: list[str]) -> int:
    """Wait for as long as it takes; whoever started us ends us."""
    here = os.getcwd()
    while not accepts(where):
        time.sleep(PAUSE)
        os.chdir(here)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

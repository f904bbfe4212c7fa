"""Points at which a test ends a process as a loss of power would: at this very instruction.

`FREEHOLD_FAILPOINTS` names a folder. A process that comes by a point whose name is a file there removes the file and
kills itself, so each fires once, in whichever process is first. Without the variable nothing is looked at.
"""

import os
import signal

VARIABLE = "FREEHOLD_FAILPOINTS"
_FOLDER = os.environ.get(VARIABLE)


def failpoint(name: str) -> None:
    """Be a point with a name, which is unique in the code."""
    if _FOLDER is None:
        return
    try:
        os.unlink(os.path.join(_FOLDER, name))
    except OSError:
        return
    os.kill(os.getpid(), signal.SIGKILL)

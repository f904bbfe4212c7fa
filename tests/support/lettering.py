"""Letters in tests: sent by the Master, and the codes in them."""

import re
from typing import Any

from support.mailbox import text


def deliver() -> None:
    """Have the Master send what waits."""
    from freehold.master.notifications import reconcile

    reconcile.deliver()


def code_of(mail: Any) -> str:
    """Return the code in the link of a letter."""
    (code,) = set(re.findall(r"https://cloud\.example\.net/[\w/-]+#(fh[rc]_[\w-]{43})", text(mail)))
    return str(code)

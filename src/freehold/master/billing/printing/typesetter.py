"""The child process that sets one document: data as JSON comes in by standard input, the PDF goes out.

Apart from the Master, which a document that takes for ever, or all memory, would take along.
"""

import resource
import sys
from pathlib import Path

import typst

TEMPLATE = Path(__file__).parent / "document.typ"
SECONDS = 30
"""Of processor time."""
MEMORY = 3 << 30
"""Bytes of address space; the compiler, its fonts and Python take a fourth of it."""


def main(fonts: str, timestamp: str) -> None:
    """Write the PDF of the data that comes; the moment (seconds since 1970) is that of its making."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    data = sys.stdin.buffer.read().decode()
    # Fonts of the system are ignored: the same document is the same bytes on each machine with that one package.
    pdf = typst.compile(
        str(TEMPLATE),
        root=str(TEMPLATE.parent),
        font_paths=[fonts],
        ignore_system_fonts=True,
        sys_inputs={"data": data},
        timestamp=int(timestamp),
    )
    sys.stdout.buffer.write(pdf)


if __name__ == "__main__":
    main(*sys.argv[1:])

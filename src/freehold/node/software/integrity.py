"""Whether a finished build is still what it was: the hash of each file, written down last and looked at again later.

Run as a program by `build`, for reading a release takes its time:

    python -m freehold.node.software.integrity seal FOLDER     # write them down
    python -m freehold.node.software.integrity check FOLDER    # print the paths of what is not as written down
"""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

import msgspec

from freehold import durable
from freehold.escaping import is_text
from freehold.failpoints import failpoint
from freehold.protocol import UNREADABLE

MARK = ".complete"
"""Makes a build count; holds its `Seal`."""
LINK = "-> "
"""Before where a link leads, in a `Seal`."""
ODD_LINK = "=> "
"""Before it in the form of a URL, when it is no text."""


class Seal(msgspec.Struct, frozen=True):
    """What a finished build is made of."""

    files: dict[str, str]
    """By path: SHA-256 of a file, or where a link leads, after an arrow.

    A path whose name is no text stands with a slash before it, in the form of a URL: no other one begins so.
    """


def seal(folder: Path, known: dict[str, str] | None = None) -> None:
    """Write down what a finished build is made of, after all of it is on the disk; from then on it counts.

    `known`: what a `Seal` is to say, by whoever just wrote it. Raise OSError when the disk failed.
    """
    content = msgspec.json.encode(Seal(_as_text(dict(_look(folder)) if known is None else known)))
    # A power cut may not leave a build that counts and lacks what was not written yet.
    durable.sync_all(folder)
    failpoint("seal-synced")
    durable.replace(folder / MARK, content, 0o644)
    failpoint("seal-written")


def damaged(folder: Path) -> list[str]:
    """Return the paths of what is no longer as it was built; nothing for a build that was never sealed so."""
    try:
        text = (folder / MARK).read_bytes()
    except FileNotFoundError:
        return []
    if not text:
        # An earlier version did not write it down.
        return []
    try:
        then = msgspec.json.decode(text, type=Seal).files
    except UNREADABLE:
        return [MARK]
    now = _as_text(dict(_look(folder)))
    return [path for path in sorted({*then, *now}) if then.get(path) != now.get(path)]


def path_of(folder: Path, named: str) -> Path:
    """Return the path in a build that a `Seal` names so."""
    return folder / (os.fsdecode(unquote_to_bytes(named[1:])) if named.startswith("/") else named)


def _look(folder: Path) -> Iterator[tuple[str, str]]:
    for parent, folders, files in os.walk(folder):
        for name in (*files, *folders):
            path = os.path.join(parent, name)
            mode, inside = os.lstat(path).st_mode, os.path.relpath(path, folder)
            if stat.S_ISLNK(mode):
                yield inside, LINK + os.readlink(path)
            elif stat.S_ISREG(mode) and inside != MARK:
                yield inside, _sha256(path)


def _as_text(files: dict[str, str]) -> dict[str, str]:
    digests = {}
    for path, content in files.items():
        is_link = content.startswith(LINK)
        target = content.removeprefix(LINK)
        value = content if not is_link or is_text(target) else f"{ODD_LINK}{quote(os.fsencode(target))}"
        digests[path if is_text(path) else f"/{quote(os.fsencode(path))}"] = value
    return digests


def _sha256(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        # A disk that cannot read it any more.
        return f"unreadable: {os.strerror(error.errno or 0)}"


if __name__ == "__main__":
    where = Path(sys.argv[2])
    if sys.argv[1] == "seal":
        seal(where)
    else:
        print(*damaged(where), sep="\n", end="")

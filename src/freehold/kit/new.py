"""`freehold software new`: a release that works, to be changed into one's own."""

import shutil
from pathlib import Path

from freehold.protocol.descriptor import NAME
from freehold.release import ReleaseError
from freehold.release import folder as release_folder

TEMPLATE = Path(__file__).parent / "template"
_PLACEHOLDER = "myservice"


def create(name: str, parent: Path) -> Path:
    """Make the folder of a release in `parent` and return it; raise ReleaseError, having made nothing."""
    if not NAME.fullmatch(name):
        raise ReleaseError(f"'{name}' cannot be a product's name: lower-case letters, digits and dashes, 63 at most.")
    folder = parent / name
    if folder.exists():
        raise ReleaseError(f"{folder} is there already. Choose another name, or remove it first.")
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.iterdir():
        path.write_text(path.read_text().replace(_PLACEHOLDER, name))
    for file, text in release_folder.generate(release_folder.load(folder)).items():
        (folder / file).write_text(text)
    return folder

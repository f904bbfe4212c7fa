"""Releases that a test writes as its author would: an `instance.py`, and what follows from it."""

from pathlib import Path

from freehold.release.folder import generate, load


def written(folder: Path, instance: str) -> Path:
    """Write a release that builds nothing into a folder, from the text of its `instance.py`; return the folder."""
    (folder / "instance.py").write_text(instance)
    (folder / "software.cfg").write_text("[buildout]\nparts =\n")
    for name, text in generate(load(folder)).items():
        (folder / name).write_text(text)
    return folder

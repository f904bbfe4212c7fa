"""Making a machine as it was before it was a node: its partitions are there, empty; everything else is forgotten."""

import shutil
from pathlib import Path

import msgspec

from freehold.node import settings as node_settings
from freehold.node.host.trees import empty
from freehold.node.instances.enclosure import note_of_tenant
from freehold.node.settings import Paths


def contents(root: Path) -> list[Path]:
    """Return what would be emptied or removed."""
    paths, settings = Paths(root), node_settings.load(root)
    folders = [paths.partitions / slot.name for slot in settings.slots]
    folders += [note_of_tenant(paths, slot) for slot in settings.slots]
    folders += [paths.software, paths.cache, root / "packages", paths.identity]
    return [path for path in [*folders, *sorted(root.glob("node.sqlite*"))] if path.exists()]


def forget(root: Path) -> None:
    """Do it; nothing of the node may run."""
    settings = node_settings.load(root)
    # First of all who it is: from then on no agent starts, however far the rest comes.
    fields = {"master": "", "node": "", "epoch": 0, "title": "", "certificate_ends": 0.0, "certificate_begins": 0.0}
    folders = contents(root)
    node_settings.save(root, msgspec.structs.replace(settings, **fields))
    for path in folders:
        if not path.is_dir():
            path.unlink(missing_ok=True)
        elif path.name == "packages":
            shutil.rmtree(path)
        else:
            empty(path)

"""What a node no longer needs: releases, downloads and logs of builds that nothing names, and long logs of its own."""

import os
import re
import shutil
from pathlib import Path

from freehold.node.settings import Paths
from freehold.node.software import store as packages
from freehold.node.state.store import Store

LOG_LIMIT = 10 * 1024 * 1024
_RELEASE = re.compile(r"([0-9a-f]{64})(\.log|\.tar\.gz)?")


def strays(paths: Paths, store: Store) -> list[Path]:
    """Return builds, logs of builds and archives of releases that this node neither has nor is to have."""
    known = {software.release for software in store.software.planned()} | {
        desired.release for desired in store.instances.all()
    }
    unneeded = []
    for folder in (paths.software, paths.cache):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            name = _RELEASE.fullmatch(path.name)
            if name and name[1] not in known:
                unneeded.append(path)
    return unneeded


def clean_up(paths: Paths, store: Store) -> list[Path]:
    """Remove what is stray, and packages that no release has any more; begin long logs of the node anew."""
    unneeded = strays(paths, store)
    for path in unneeded:
        if path.is_dir():
            # Without its mark first: a half-removed build never counts.
            (path / ".complete").unlink(missing_ok=True)
            shutil.rmtree(path)
        else:
            path.unlink()
    if unneeded:
        packages.prune(paths.root)
    for log in (*paths.run.glob("*.log"), paths.root / "agent.log"):
        if log.is_file() and not log.is_symlink() and log.stat().st_size > LOG_LIMIT:
            # Whoever writes it appends, and goes on.
            shutil.copyfile(log, log.with_suffix(".log.1"))
            os.truncate(log, 0)
    return unneeded

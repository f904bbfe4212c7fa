"""Good-bye: what a stopped node tells its Master, so that nobody waits for it or looks for a fault."""

import os
import time
from pathlib import Path

from freehold.node.assembly import take_lock
from freehold.node.errors import SettingsError
from freehold.node.link.client import Link
from freehold.node.link.sync import OutboxSender
from freehold.node.settings import Paths, Settings, load
from freehold.node.state.database import Database
from freehold.node.state.store import Store
from freehold.protocol.report import FarewellReport
from freehold.protocol.states import Stopped

PATIENCE = 5.0
"""Seconds in which a Master that can be reached has heard it."""


def say(root: Path, stopped: Stopped) -> str:
    """Tell the Master of a node whose agent has ended what its operator stopped, after all that waits to be told.

    One try is made. Return why it could not be told; empty when it was, or when there is nobody to tell. What could
    not be told is told when the agent runs again, and is over then.
    """
    paths, settings = Paths(root), load(root)
    if not settings.node or not paths.store.exists():
        return ""
    try:
        lock = take_lock(paths)
    except SettingsError:
        # It was started again meanwhile.
        return ""
    try:
        return _told(paths, settings, stopped)
    finally:
        os.close(lock)


def _told(paths: Paths, settings: Settings, stopped: Stopped) -> str:
    store = Store(Database(paths.store), budget=settings.outbox_mb * 1024 * 1024)
    store.outbox.add(FarewellReport(stopped))
    link = Link(settings.master, paths.authority, (paths.certificate, paths.key), time=store.clock)
    sender = OutboxSender(link, store)
    sender.start()
    deadline = time.monotonic() + PATIENCE
    while store.outbox.count() and not sender.trouble and time.monotonic() < deadline:
        time.sleep(0.02)
    sender.stop()
    return (sender.trouble or f"it did not answer within {PATIENCE:g} s") if store.outbox.count() else ""

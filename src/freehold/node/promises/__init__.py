"""Checking promises: when each is due (pure), who checks it (workers), and the loop between them."""

from freehold.node.promises.scheduler import Result, Scheduler, Watch

__all__ = ["Result", "Scheduler", "Watch"]

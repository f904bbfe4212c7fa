"""The end of a tree that a person no longer wants: it stops at once, and is destroyed after a time of grace.

Until then whoever may order has it back as it was, with its data, by asking for it to be started (or stopped). What is
asked to end *now* has no grace, nor has what another instance requested: that has its own (`trees.end_orphans`).
"""

import json
import logging
from typing import Any

from django.conf import settings

from freehold.master.fleet import revisions
from freehold.master.foundation import clock, events
from freehold.master.foundation.errors import Conflict, MasterError
from freehold.master.foundation.transactions import audit, run, writing
from freehold.master.ordering import history, trees
from freehold.master.ordering.events import AskGrace, Changed, Ending, KeptOn
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.states import Wanted

ACTOR = "freehold"
STEADY_S = 180.0
"""For so long the clock went evenly before an end falls due by it, so that nodes had the time to contradict it."""
_log = logging.getLogger(__name__)


def grace_ends_at(instance: str) -> int | None:
    """Return until when (milliseconds) a root can be had back if it is destroyed now; None when its end is at once."""
    question = AskGrace(instance, settings.DESTROY_GRACE_S)
    events.send(question)
    return clock.now() + round(question.seconds * clock.SECOND) if question.seconds > 0 else None


def begin(row: dict[str, Any], ends_at: int, actor: str) -> None:
    """Stop the tree of a root, in a transaction of the caller, and have it destroyed at a moment (milliseconds).

    Raise Conflict when one of its hosts serves shared instances of other trees.
    """
    # What is paid for it is locked before the clock, as by every order.
    events.send(Ending(row["id"]))
    # Before looking at guests: one that is placed right now is seen.
    revisions.take_turn()
    trees.refuse_guests(row["tree"])
    run(QUERIES["set_end"], id=row["id"], ends_at=ends_at, now=clock.now())
    trees.settle(row["tree"])
    # The time in which it is stopped so is not time in which a promise could be broken.
    history.remember(row["id"], actor, row["release_id"], row["parameters"], Wanted.STOPPED)
    audit(actor, "instance.end", row["id"], project=row["project_id"], title=row["title"], ends_at=clock.iso(ends_at))


def keep_on(row: dict[str, Any], actor: str) -> None:
    """Have the end of a root forgotten, in a transaction of the caller, who then settles its tree."""
    events.send(KeptOn(row["id"]))
    run(QUERIES["set_end"], id=row["id"], ends_at=None, now=clock.now())
    audit(actor, "instance.keep-on", row["id"], project=row["project_id"], title=row["title"])


def protect(row: dict[str, Any], protected: bool | None, actor: str) -> bool:
    """Record whether an instance may be destroyed, unless nothing is said of it; return whether that is news."""
    if protected is None or protected == bool(row["protected"]):
        return False
    run(QUERIES["protect"], id=row["id"], protected=protected, now=clock.now())
    verb = "instance.protect" if protected else "instance.unprotect"
    audit(actor, verb, row["id"], project=row["project_id"], title=row["title"])
    return True


def refuse_protected(title: str, protected: bool) -> None:
    """Raise Conflict for an instance that its owner protected."""
    if protected:
        raise Conflict(
            f"'{title}' is protected: it is not destroyed, and its data is not given up.",
            remedy=f"Take that off first: freehold request '{title}' --protected no",
        )


def refuse_ending(row: dict[str, Any]) -> None:
    """Raise Conflict for an instance that is to be destroyed."""
    if row["ends_at"] is not None:
        raise Conflict(
            f"'{row['title']}' is to be destroyed, at {clock.iso(row['ends_at'])}.",
            remedy=f"`freehold start {row['title']}` has it back; `freehold destroy {row['title']} --now` ends it.",
        )


def end_due() -> int:
    """Destroy the trees whose time of grace is over; return how many. The trouble of one does not stop the others."""
    if clock.steadiness.look() < STEADY_S:
        return 0
    count = 0
    for row in run(QUERIES["due_to_end"], now=clock.now(), id=""):
        try:
            with writing():
                trees.lock(row["tree"])
                if not run(QUERIES["due_to_end"], now=clock.now(), id=row["id"]):
                    # It was had back, or ended, meanwhile.
                    continue
                events.send(Changed(row["id"], json.loads(row["parameters"]), Wanted.DESTROYED))
                run(QUERIES["ask_end"], id=row["id"])
                trees.settle(row["tree"])
                history.remember(row["id"], ACTOR, row["release_id"], row["parameters"], Wanted.DESTROYED)
                audit(ACTOR, "instance.end-due", row["id"], project=row["project_id"], title=row["title"])
        except MasterError as error:
            _log.warning("'%s' cannot be destroyed yet: %s", row["title"], error)
            continue
        except Exception:
            _log.exception("'%s' cannot be destroyed", row["title"])
            continue
        count += 1
    return count

"""What happened in a project as an Atom feed."""

from collections.abc import Sequence

from freehold.master.foundation.atom import FeedEntry, feed
from freehold.master.notifications.kinds import LASTING, CauseEvent, CauseKind
from freehold.master.notifications.models import Cause
from freehold.master.notifications.wording import entry

LENGTH = 100
"""Entries of one document; `next` leads to older ones."""


def atom(project: str, identity: str, causes: Sequence[Cause], base: str) -> bytes:
    """Return the feed of a project with causes, the newest first, in the active language; `base` is its address."""
    following = f"{base}?after={causes[-1].id}" if len(causes) == LENGTH else ""
    return feed(project, identity, [_entry(cause) for cause in causes], base, following=following)


def _entry(cause: Cause) -> FeedEntry:
    is_over = CauseKind(cause.kind) in LASTING and cause.ended_at is not None
    words = entry(cause, CauseEvent.ENDED if is_over else CauseEvent.OPENED)
    return FeedEntry(
        identity=cause.id,
        title=words.title,
        content="\n".join(words.lines),
        published_at=cause.noticed_at,
        updated_at=max(cause.noticed_at, cause.ended_at or 0),
        category=cause.kind,
        url=words.url,
    )

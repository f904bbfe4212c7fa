"""Streams: what a node is asked to show now, such as the end of a log, and how it sends that.

A stream is asked for in the feed and sent as parts, each a request of its own (`POST /node/v1/streams/STREAM`), which
is answered when the reader has room for more. So it passes whatever a node's other requests pass. It is in nobody's
store: when one side forgets it, it is over.
"""

from typing import Annotated

import msgspec

from freehold.protocol import MAX_MESSAGE, MAX_NAME

LOG = "log"
"""The kind of stream that shows logs."""
MOST_LINES = 5000
"""Lines of the end of a log that can be asked for."""
MOST_TEXT = 256 * 1024
"""Characters of a part, all its pieces together."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class StreamRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be shown; of a `kind` that a node does not know it shows nothing, and says so."""

    stream: str
    kind: str
    instance: str
    process: str = ""
    """Of a log: whose; empty: of every process of the instance."""
    lines: Count = 100
    """So many lines of what was written before, of each log."""
    follow: bool = False
    """Then what is written from now on, until nobody reads it."""


class StreamPiece(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whole lines of one log."""

    process: Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
    text: Annotated[str, msgspec.Meta(max_length=MOST_TEXT)] = ""
    left_out: Count = 0
    """Bytes that stood before this one and are not sent."""


class StreamPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node sends at once; without pieces it asks whether anybody still reads."""

    number: Count
    """1, 2, 3 …: one that was sent before is not taken again."""
    pieces: Annotated[list[StreamPiece], msgspec.Meta(max_length=1000)] = []
    over: bool = False
    why: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE)] = ""
    """Why it is over, where it could not be sent as asked."""


class StreamAnswer(msgspec.Struct, frozen=True):
    """The Master's answer to a part."""

    more: bool
    """Whether the next part is wanted; otherwise the stream is over."""

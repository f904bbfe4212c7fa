"""The contract between a Master and its Nodes: typed messages, states and versions.

This package imports nothing of ours and does no input or output, so that any other implementation can be
checked against it. `docs/protocol.md` describes the same contract in prose.
"""

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding bytes from elsewhere raises: of another form, not text at all, or nested without end."""

VERSION = 1
"""The protocol version spoken here. It grows only when an old peer could misread a message.

New optional fields do not raise it: both sides ignore what they do not know and give what they do not
receive its default.
"""

OLDEST_VERSION = 1
"""The oldest version this code still understands."""

MAX_BODY = 4 * 1024 * 1024
"""The largest request body, in bytes, a Master reads from a node or a person."""

MAX_MESSAGE = 4000
"""The longest free text (log tail, promise message) in a report, in characters; the sender keeps the end."""

MAX_NAME = 200
"""The longest name (promise, series, instance, …) in a report, in characters."""

MAX_PUBLICATION = 256 * 1024
"""The largest publication of an instance, in bytes of JSON."""

MAX_DEPTH = 32
"""How deeply a publication or the parameters of a request may be nested."""

MAX_PROMISES = 300
"""The most promises of one instance."""

MAX_ITEM = 2 * 1024 * 1024
"""The largest item of a report, in bytes of JSON: with it a request stays well below `MAX_BODY`."""

JOB_PROMISE = "job-"
"""How the promise of a job begins, that its last run ended well and is not overdue; so it is asked to run now, too."""

MAX_PROCESSES = 256
"""The most services of one instance."""

FUTURE = 300.0
"""Seconds by which a time that a node reports may be ahead of the Master's clock."""

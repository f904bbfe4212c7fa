"""Reading the log of a service: who may, where it is, and what of it is not shown."""

from collections.abc import Iterator
from typing import Any

from freehold.master.catalog import queries as catalog
from freehold.master.catalog.secrets import is_secret
from freehold.master.fleet import contact
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict, Invalid
from freehold.master.ordering import queries
from freehold.master.people.identity import Caller, Scope
from freehold.master.streams.board import StreamNews, StreamSource, new_name, streams
from freehold.master.streams.redaction import redaction
from freehold.protocol import MAX_NAME
from freehold.protocol.states import Wanted
from freehold.protocol.stream import LOG, MOST_LINES, StreamRequest

USUAL_LINES = 100


def open_log(
    project: str, title: str, *, process: str = "", lines: int = USUAL_LINES, follow: bool = False, acting: Caller
) -> str:
    """Ask the node of a service for the end of its logs; return the name of the stream in which they come.

    Raise NotFound for a service that is not the project's, Conflict where nothing can be shown, and why; Busy when as
    many logs are read already as may be at once.
    """
    owner = acting.project(project, Scope.READ)
    row = queries.by_title(owner, title)
    if not 0 <= lines <= MOST_LINES:
        raise Invalid(f"{lines} lines cannot be shown.", remedy=f"Ask for up to {MOST_LINES} lines.")
    if len(process) > MAX_NAME:
        raise Invalid("No process has such a long name.", remedy=f"A name has up to {MAX_NAME} characters.")
    if row["host"] is not None:
        raise Conflict(f"'{title}' is shared: it has no log of its own.", remedy="Read the log of what serves it.")
    if row["wanted"] == Wanted.DESTROYED:
        raise Conflict(f"'{title}' is destroyed, and its logs with it.", remedy="")
    if (silence := contact.silence(row)) is not None:
        raise Conflict(
            f"Its node '{row['node']}' has not been heard from since {clock.iso(silence.since)}: "
            "its log cannot be read now.",
            remedy="Ask again when the node is heard; `freehold show` tells.",
        )
    request = StreamRequest(new_name(), LOG, row["id"], process, lines, follow)
    return streams.open(StreamSource(owner, row["node_id"]), redaction(_secrets(row)), request)


def read_log(project: str, title: str, stream: str, *, after: int = 0, acting: Caller) -> StreamNews:
    """Return what came in a stream since so many pieces; raise NotFound."""
    owner = acting.project(project, Scope.READ)
    return streams.read(owner, queries.by_title(owner, title)["id"], stream, max(0, after))


def _secrets(row: dict[str, Any]) -> Iterator[Any]:
    """Yield the secrets that a service was given or gives, now and before, and those of what it requested."""
    yield queries.seed(row["id"])
    below, left_out = queries.below(row)
    if left_out:
        raise Conflict(
            f"It is made of more than {len(below)} services, whose secrets cannot all be taken out of its log.",
            remedy="Read the logs of its parts, or ask whoever runs its node.",
        )
    for instance in (row, *below):
        schema = catalog.type_schemas(instance["release_id"], instance["type"])
        yield from (value for name, value in instance["parameters"].items() if is_secret(name, schema.request))
        yield from (value for name, value in (instance["published"] or {}).items() if is_secret(name, schema.response))
    schema = catalog.type_schemas(row["release_id"], row["type"])
    for past in queries.history(row["id"])[0]:
        yield from (value for name, value in past["parameters"].items() if is_secret(name, schema.request))

"""For whoever looks into a service from afar: the last lines of its logs, and what is written from then on."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from freehold.master.api.auth import caller, in_project
from freehold.master.api.bodies import StrictBody
from freehold.master.people.identity import Scope
from freehold.master.streams import logs
from freehold.protocol.stream import MOST_LINES

router = Router()


class LogIn(StrictBody):
    title: str
    process: str = Field("", description="Only of this one; empty: of every process of the service.")
    lines: int = Field(logs.USUAL_LINES, ge=0, le=MOST_LINES, description="The last so many lines of each log.")
    follow: bool = Field(False, description="And what is written from then on, for a quarter of an hour at most.")


class StreamOut(Schema):
    stream: str = Field(description="What to name when reading; it is forgotten a minute after its end.")


class LogPieceOut(Schema):
    process: str
    text: str = Field(description="Whole lines; known secrets stand as [secret], control characters as escapes.")
    left_out: int = Field(description="Bytes before this that are not shown.")


class LogPartOut(Schema):
    pieces: list[LogPieceOut]
    next: int = Field(description="What to send as `after` next time: what was read is not kept.")
    over: bool
    why: str = Field(description="Why it is over, where not all could be shown.")


@router.post(
    "/projects/{project}/logs",
    response={201: StreamOut},
    auth=in_project(Scope.READ),
    summary="Ask for the last lines of a service's logs, which then come as a stream",
)
def open_log(request: HttpRequest, project: str, body: LogIn) -> tuple[int, dict[str, Any]]:
    return 201, {"stream": logs.open_log(project, **body.dict(), acting=caller(request))}


@router.get(
    "/projects/{project}/logs",
    response=LogPartOut,
    auth=in_project(Scope.READ),
    summary="What came of a service's logs; it waits up to ten seconds for more",
)
def read_log(
    request: HttpRequest,
    project: str,
    title: str,
    stream: Annotated[str, Query(description="The name that was answered.")],
    after: Annotated[int, Query(ge=0, description="`next` of the answer before.")] = 0,
) -> dict[str, Any]:
    news = logs.read_log(project, title, stream, after=after, acting=caller(request))
    pieces = [{"process": piece.process, "text": piece.text, "left_out": piece.left_out} for piece in news.pieces]
    return {"pieces": pieces, "next": news.next, "over": news.over, "why": news.why}

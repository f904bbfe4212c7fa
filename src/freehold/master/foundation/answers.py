"""Problem documents from Django's side: the one place where errors become answers there."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from freehold.master.foundation.errors import MasterError
from freehold.protocol.problem import MEDIA_TYPE

_log = logging.getLogger(__name__)


def problem_response(error: MasterError) -> HttpResponse:
    """Return the answer that says no."""
    return HttpResponse(msgspec.json.encode(error.problem()), status=error.status, content_type=MEDIA_TYPE)


def with_problems(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Make a view answer our errors with problem documents, and any other with one that hides its cause."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *arguments: Any, **named: Any) -> HttpResponse:
        try:
            return view(request, *arguments, **named)
        except MasterError as error:
            return problem_response(error)
        except Exception:
            _log.exception("%s %s failed", request.method, request.path)
            return problem_response(MasterError("The Master could not answer; it noted why."))

    return wrapped

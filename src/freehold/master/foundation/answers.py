"""Problem documents from Django's side: the one place where errors become answers there."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from freehold.master.foundation.errors import MasterError, MethodNotAllowed, NotFound
from freehold.protocol.problem import MEDIA_TYPE

_log = logging.getLogger(__name__)


def problem_response(error: MasterError) -> HttpResponse:
    """Return the answer that says no."""
    return HttpResponse(msgspec.json.encode(error.problem()), status=error.status, content_type=MEDIA_TYPE)


class ProblemsForPrograms:
    """Middleware: what Django itself refuses below the doors of programs is a problem document too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if request.path.startswith(("/api/", "/node/")):
            if response.status_code == 404 and response["Content-Type"] != MEDIA_TYPE:
                return problem_response(NotFound("There is nothing at this path.", remedy="See /api/v1/docs."))
            if response.status_code == 405:
                allowed = response.get("Allow", "")
                response = problem_response(MethodNotAllowed(f"{request.method} is not possible here, only {allowed}."))
                response["Allow"] = allowed
        return response


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

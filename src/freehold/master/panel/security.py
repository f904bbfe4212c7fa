"""What browsers may load from our pages: only our own, and no script from within a page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

STRICT = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
DOCS = STRICT.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
    "img-src 'self'", "img-src 'self' data:"
)
"""The API's browser (Swagger UI) styles its elements from script."""


class ContentSecurityPolicy:
    """Middleware that sets the policy on every answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response["Content-Security-Policy"] = DOCS if request.path == "/api/v1/docs" else STRICT
        return response

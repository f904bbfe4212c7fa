"""Each view declares who may come in; one that does not is not served."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver

V = TypeVar("V", bound=Callable[..., Any])


def declares(right: object) -> Callable[[V], V]:
    """Declare the right that a view checks itself, by who it asks the caller to be."""

    def declared(view: V) -> V:
        view.right = right  # type: ignore[attr-defined]
        return view

    return declared


def check(patterns: Iterable[URLPattern | URLResolver], declared_elsewhere: Iterable[str]) -> None:
    """Raise ImproperlyConfigured for a view without a declared right; the others' routes are in tables of their own."""
    elsewhere = set(declared_elsewhere)
    for pattern in patterns:
        if str(pattern.pattern) in elsewhere:
            continue
        if isinstance(pattern, URLResolver):
            check(pattern.url_patterns, elsewhere)
        elif not hasattr(pattern.callback, "right"):
            raise ImproperlyConfigured(f"The view of '{pattern.pattern}' does not declare who may come in.")

"""The panel without a server and a browser: what a test needs of it in one object."""

import html
import re
from typing import Any

from support.rooms import Rooms
from support.running import tiny_release


class Visitor:
    """Somebody who is logged in (`who` is their caller; None for a stranger) and opens pages."""

    def __init__(self, who: Any, language: str = "en") -> None:
        from django.test import Client

        from freehold.master.people.models import Person

        self._client = Client(headers={"accept-language": language}, raise_request_exception=True)
        if who is not None:
            self._client.force_login(
                Person.objects.get(id=who.person), backend="django.contrib.auth.backends.ModelBackend"
            )

    def get(self, path: str, **headers: str) -> Any:
        return self._client.get(path, secure=True, headers=headers)

    def post(self, path: str, values: Any = None, **headers: str) -> Any:
        return self._client.post(path, values or {}, secure=True, headers=headers)

    def reads(self, path: str) -> str:
        """Return the text of a page, which must be there."""
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        return text(answer)


def staff(email: str = "owner@example.org") -> Any:
    """Return the caller for a person who is staff of the Master from now on."""
    from freehold.master.people import identity
    from freehold.master.people.models import Person

    Person.objects.filter(email=email).update(is_staff=True)
    return identity.by_person(Person.objects.get(email=email).id)


def text(answer: Any) -> str:
    """Return what a person reads of an answer, spaces made one."""
    content = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return html.unescape(re.sub(r"\s+", " ", content))


def inputs(answer: Any) -> dict[str, dict[str, str]]:
    """Return the attributes of the inputs of a page, by name."""
    found: dict[str, dict[str, str]] = {}
    for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", answer.content.decode()):
        attributes = {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        attributes.update(dict.fromkeys(re.findall(r"\s(checked|required|hidden)(?=[\s>])", tag), ""))
        if "name" in attributes:
            found[attributes["name"]] = attributes
    return found


def ready_shop(rooms: Rooms, **content: Any) -> Any:
    """Have one node offer the product `tiny`, made as `running.tiny_release` says; return its release."""
    release = rooms.publish(tiny_release(**content))
    rooms.supply(release, rooms.node("one"))
    return release

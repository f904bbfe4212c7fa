"""The lists of the API, and somebody who may ask for all of them."""

import json
from collections.abc import Iterator
from typing import Any

from support.machines import REPOSITORY
from support.rooms import Rooms

DOCUMENT = json.loads((REPOSITORY / "docs" / "openapi.json").read_text())
LISTS = {
    path.removeprefix("/api/v1"): operations["get"]
    for path, operations in DOCUMENT["paths"].items()
    if "get" in operations
    and operations["get"]["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    .get("type") == "array"
}  # fmt: skip
WAYS = {
    "/people/{email}/tokens": "/people/owner@example.org/tokens",
    "/people/{email}/sessions": "/people/owner@example.org/sessions",
    **{path: path.replace("{code}", "FR") for path in LISTS if path.startswith("/entities")},
}


class Asker:
    """A member of staff who owns project `provider` and reads `shop`, with the API in this process."""

    def __init__(self, rooms: Rooms) -> None:
        from django.test import Client

        from freehold.master.people import actions, identity
        from freehold.master.people.identity import Scope
        from freehold.master.people.models import Person, Project, Role

        person = Person.objects.get(id=rooms.owner.person)
        person.is_staff = True
        person.save()
        actions.give_role(person, Project.objects.get(name="shop"), Role.CUSTOMER, acting=identity.system())
        for number in range(4):
            actions.make_token(person, title=f"token {number}", scopes=frozenset(Scope))
        token, _ = actions.make_token(person, title="asking", scopes=frozenset(Scope))
        self._client = Client(headers={"authorization": f"Bearer {token}"})

    def get(self, path: str, expected: int = 200, **query: Any) -> Any:
        answer = self._client.get(f"/api/v1{path}", query, secure=True)
        assert answer.status_code == expected, answer.content
        return json.loads(answer.content)

    def parts(self, path: str, cursor: str, limit: int, **query: Any) -> Iterator[list[Any]]:
        after = ""
        while part := self.get(path, after=after, limit=limit, **query):
            yield part
            after = part[-1][cursor]

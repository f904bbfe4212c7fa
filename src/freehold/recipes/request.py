"""`freehold:request`: another instance, below this one.

Options: `product`, `title` (default: the part's name), `type`, `release`, `state`, `config-NAME` (its parameters, as
texts), `parameters` (a JSON object, for those that are no texts), `constraint-NAME`, `return` (names of what it must
publish). Others use `${PART:connection-NAME}`; a part that does is left out until the value is there. See
`docs/authors/reference.md`.
"""

import json
from pathlib import Path
from typing import Any

from freehold import release
from freehold.recipes.part import AWAITED, Options, RecipePart, escaped

GIVEN = ".freehold/given.json"
"""What the requested instances published, by title: written before buildout runs."""
REQUESTS = ".freehold/requests"
"""A file for each request of the profile."""


class Request(RecipePart):
    required = ("product",)
    optional = ("parameters", "release", "return", "state", "title", "type")

    def __init__(self, buildout: Any, name: str, options: Options) -> None:
        super().__init__(buildout, name, options)
        self.request = self._request()
        published = self._published()
        for value in self.request.returns:
            options[f"connection-{value}"] = AWAITED
        for value, text in published.items():
            options[f"connection-{value}"] = escaped(text if isinstance(text, str) else json.dumps(text))

    def make(self) -> list[str]:
        content = {"spec": self.request.spec(), "returns": self.request.returns, "part": self.name}
        path = self.partition / REQUESTS / f"{self.request.title}.json"
        return [self.write(path, json.dumps(content), 0o600)]

    def _request(self) -> release.Request:
        text = self.options.get("parameters", "{}")
        try:
            parameters = json.loads(text)
        except ValueError as error:
            raise self.mistake(f"parameters: this is not JSON: {error}.") from None
        if not isinstance(parameters, dict):
            raise self.mistake('parameters: this must be a JSON object, such as {"size": 3}.')
        state: Any = self.options.get("state", "started")
        try:
            return release.Request(
                self.options.get("title", self.name),
                self.options["product"],
                self.options.get("type", "default"),
                parameters | self._named("config-"),
                tuple(self.options.get("return", "").split()),
                self.options.get("release", ""),
                self._named("constraint-"),
                state,
            )
        except TypeError as error:
            raise self.mistake(str(error).partition("': ")[2] or str(error)) from None

    def _named(self, beginning: str) -> dict[str, str]:
        return {
            option.removeprefix(beginning): value
            for option, value in self.options.items()
            if option.startswith(beginning)
        }

    def _published(self) -> dict[str, Any]:
        path: Path = self.partition / GIVEN
        answers = json.loads(path.read_text()) if path.exists() else {}
        published: dict[str, Any] = answers.get(self.request.title, {})
        return published

"""`freehold:publish`: what the requester gets back: every option but `recipe`."""

import json

from freehold.recipes.part import RecipePart


class Publish(RecipePart):
    def make(self) -> list[str]:
        values = {name: value for name, value in self.options.items() if name != "recipe"}
        return [self.write(self.partition / ".freehold" / "published.json", json.dumps(values), 0o600)]

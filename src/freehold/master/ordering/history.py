"""What was asked of an instance, and by whom: appended with each act; only secrets are taken out, at the end."""

import json

from freehold.master.catalog.queries import type_schemas
from freehold.master.catalog.secrets import hide, holds_secret, is_secret
from freehold.master.foundation import clock
from freehold.master.foundation.transactions import run
from freehold.master.ordering.models import Instance, PublicationRow, RequestRow
from freehold.master.ordering.queries import QUERIES
from freehold.protocol.states import Wanted


def remember(instance: str, actor: str, release: str, parameters: str, state: Wanted) -> None:
    """Append what is asked of an instance from now on, in a transaction of the caller."""
    run(
        QUERIES["add_request"],
        instance=instance,
        now=clock.now(),
        actor=actor,
        release=release,
        parameters=parameters,
        requested_state=state.value,
    )


def forget_secrets(instance: str) -> None:
    """Take the secrets out of all that is kept of an instance that is gone, in a transaction of the caller.

    A backup that was made before still has them.
    """
    row = Instance.objects.only("type", "release_id", "parameters").get(id=instance)
    row.parameters = _hidden(row.parameters, type_schemas(row.release_id, row.type).request)
    # Secrets of its release derive from this.
    row.seed = ""
    row.child_publications = "{}"
    row.save(update_fields=["parameters", "seed", "child_publications"])
    for asked_row in RequestRow.objects.filter(instance=instance).only("release_id", "parameters"):
        schema = type_schemas(asked_row.release_id, row.type).request
        if holds_secret(schema, schema):
            asked_row.parameters = _hidden(asked_row.parameters, schema)
            asked_row.save(update_fields=["parameters"])
    schema = type_schemas(row.release_id, row.type).response
    if holds_secret(schema, schema):
        for published_row in PublicationRow.objects.filter(instance=instance).only("published"):
            published_row.published = _hidden(published_row.published, schema)
            published_row.save(update_fields=["published"])


def _hidden(text: str, schema: dict[str, object]) -> str:
    return json.dumps(hide(json.loads(text), lambda name: is_secret(name, schema)), separators=(",", ":"))

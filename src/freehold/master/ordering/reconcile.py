"""Keeps what instances leave behind bounded."""

from freehold.master.foundation.transactions import change, writing
from freehold.master.ordering import clusters
from freehold.master.ordering.queries import QUERIES
from freehold.master.people import quotas
from freehold.master.people.quotas import Quota

KEPT = 100
"""Observations and publications of each instance that are kept."""


def clean_up() -> int:
    """Keep the last hundred observations and publications of each instance, and each project's share of its history.

    Return how many rows went.
    """
    count = 0
    for name in ("tidy_observations", "tidy_publications"):
        with writing():
            count += change(QUERIES[name], kept=KEPT)
    count += clusters.clean_up()
    with writing():
        return count + change(QUERIES["tidy_requests"], usual=quotas.USUAL[Quota.HISTORY])

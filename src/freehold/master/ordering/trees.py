"""Writes that concern a whole tree: what follows for its instances, what children give their parents, the end
of what nobody requests any more.
"""

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings

from freehold.master.fleet import revisions
from freehold.master.foundation import clock
from freehold.master.foundation.errors import Conflict
from freehold.master.foundation.transactions import audit, locking, run, writing
from freehold.master.ordering.queries import QUERIES
from freehold.master.ordering.states import Branch, effective
from freehold.protocol.states import Wanted

DEEPEST = 10
"""Instances from a root to its remotest descendant."""
_MOST_NEWS = 1000
"""Publications that are in memory at once."""
_OVERLAP = 2000
"""Publications before the bookmark that are looked at again: on PostgreSQL numbers become visible out of turn."""


def lock(tree: str) -> None:
    """Keep others from changing a tree until the transaction ends."""
    run(locking(QUERIES["lock_tree"], "i"), tree=tree)


def ancestors(parent: str | None) -> list[dict[str, Any]]:
    """Return an instance's parent, its parent's parent and so on."""
    ancestors: list[dict[str, Any]] = []
    while parent is not None:
        (row,) = run(QUERIES["parent"], id=parent)
        ancestors.append(row)
        parent = row["parent"]
    return ancestors


def refuse_circle(parent: dict[str, Any], product: str, type_name: str) -> None:
    """Raise Conflict when an instance of this kind below that parent would request itself without end."""
    chain = [parent, *ancestors(parent["parent"])]
    names = [f"{row['product']} ({row['type']})" for row in reversed(chain)]
    kind = f"{product} ({type_name})"
    if kind in names:
        raise Conflict(
            f"A circular request: {' → '.join([*names, kind])}.",
            remedy="An instance cannot request what it is itself a part of. Correct the release's requests.",
        )
    if len(chain) >= DEEPEST:
        raise Conflict(
            f"The tree is {DEEPEST} instances deep already: {' → '.join(names)}.",
            remedy="Request fewer levels.",
        )


def settle(tree: str) -> bool:
    """Make what is wanted of each instance of a tree follow from what is asked; return whether anything changed.

    Call it in the transaction that changed what is asked. Raise Conflict when a host would end that serves
    shared instances of other trees.
    """
    rows = run(QUERIES["tree"], tree=tree)
    states = effective(
        Branch(row["id"], row["parent"], Wanted(row["requested_state"]), _is_held_back(row)) for row in rows
    )
    changed = [row for row in rows if states[row["id"]] != row["wanted"]]
    ending = {row["id"] for row in changed if states[row["id"]] is Wanted.DESTROYED}
    if ending:
        # Before looking at guests: one that is placed right now is seen.
        revisions.take_turn()
        refuse_guests(tree, {row["title"] for row in rows if row["id"] in ending})
    news: dict[str, int] = {}
    for row in changed:
        wanted = states[row["id"]]
        if row["node_id"] not in news:
            news[row["node_id"]] = revisions.bump(row["node_id"])
        run(
            QUERIES["want"],
            id=row["id"],
            wanted=wanted.value,
            requested_state=wanted.value if wanted is Wanted.DESTROYED else row["requested_state"],
            revision=news[row["node_id"]],
            now=clock.now(),
        )
    return bool(changed)


def end_orphans() -> int:
    """Destroy what its parent has not requested for the time of grace; return how many."""
    before = clock.now() - int(settings.CHILD_GRACE_S * 1000)
    with writing():
        run(QUERIES["unlearn_orphans"], now=clock.now(), latest=clock.latest())
    count = 0
    for row in run(QUERIES["orphans"], before=before, id=""):
        try:
            with writing():
                lock(row["tree"])
                if not run(QUERIES["orphans"], before=before, id=row["id"]):
                    continue
                run(QUERIES["ask_end"], id=row["id"])
                settle(row["tree"])
                audit("freehold", "instance.orphaned", row["id"], project=row["project_id"], title=row["title"])
        except Conflict:
            # It serves others: it stays until they are gone.
            continue
        count += 1
    return count


class PublicationForwarder:
    """Gives parents what their children published. The bookmark in memory only saves time.

    `ready` says which of some instances (ids) are started and ready, with all below them: for children whose parent
    waits for that. What a parent was given once it keeps, whatever becomes of the child.
    """

    def __init__(self, ready: Callable[[list[str]], set[str]]) -> None:
        self._bookmark, self._ready = 0, ready

    def __call__(self) -> int:
        """Forward what is new; return how many publications were looked at."""
        return self._forward_published() + self._forward_ready()

    def _forward_ready(self) -> int:
        after, count = "", 0
        while rows := run(QUERIES["awaited"], after=after, most=_MOST_NEWS):
            ready = self._ready([row["id"] for row in rows])
            _give_each([row for row in rows if row["id"] in ready])
            after, count = rows[-1]["id"], count + len(rows)
        return count

    def _forward_published(self) -> int:
        (last,) = run(QUERIES["last_publication"])
        after, count = self._bookmark, 0
        while rows := run(QUERIES["news"], bookmark=after, most=_MOST_NEWS):
            _give_each(rows)
            after, count = rows[-1]["row_id"], count + len(rows)
        self._bookmark = max(0, (last["row_id"] or 0) - _OVERLAP)
        return count


def await_ready(child: str, awaits_ready: bool) -> None:
    """Record when the parent of an instance is given what that publishes, in a transaction with the tree locked."""
    run(QUERIES["await_ready"], id=child, awaits_ready=awaits_ready)
    if not awaits_ready:
        # The bookmark of the forwarder may be behind it already.
        for row in run(QUERIES["withheld"], id=child):
            _give(row["parent"], [row])


def name_in_parent(title: str) -> str:
    """Return the title that a parent gave its child."""
    return title.rpartition("/")[2]


def _give_each(rows: list[dict[str, Any]]) -> None:
    by_parent: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_parent.setdefault(row["parent"], []).append(row)
    for parent, of_parent in by_parent.items():
        with writing():
            _give(parent, of_parent)


def _give(parent: str, rows: list[dict[str, Any]]) -> None:
    lock(rows[0]["tree"])
    parents = run(QUERIES["parent"], id=parent)
    for row in rows:
        run(QUERIES["note_forwarded_publication"], id=row["id"], row_id=row["row_id"])
    if not parents or parents[0]["wanted"] == Wanted.DESTROYED:
        return
    publications = json.loads(parents[0]["child_publications"])
    news = {name_in_parent(row["title"]): json.loads(row["published"]) for row in rows}
    if all(publications.get(name) == published for name, published in news.items()):
        return
    revision = revisions.bump(parents[0]["node_id"])
    text = json.dumps({**publications, **news}, separators=(",", ":"))
    run(QUERIES["set_child_publications"], id=parent, child_publications=text, revision=revision)


def _is_held_back(row: dict[str, Any]) -> bool:
    return any(row[since] is not None for since in ("orphaned_at", "suspended_at", "barred_at", "ends_at"))


def refuse_guests(tree: str, ending: set[str] | None = None) -> None:
    """Raise Conflict when a host of a tree (of these titles) serves shared instances of other trees."""
    serving = {row["title"]: row["guests"] for row in run(QUERIES["guests"], tree=tree)}
    for title in sorted(serving if ending is None else serving.keys() & ending):
        raise Conflict(
            f"'{title}' serves {serving[title]} shared instances of others.",
            remedy="They must be destroyed first; nobody's data ends by surprise.",
        )

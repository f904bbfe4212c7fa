"""Clusters: instances of one kind that an instance requests together, made, changed and ended one at a time.

What is to be done next is decided by `rollout` from what is in the tables, within the transaction that does it, with
the tree locked: a Master that is killed goes on from there, and of two that look at once one acts.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from freehold.master.catalog import queries as catalog
from freehold.master.fleet import revisions
from freehold.master.foundation import clock, hints, ids, sql
from freehold.master.foundation.errors import Conflict, Invalid, MasterError
from freehold.master.foundation.transactions import audit, change, locking, run, writing
from freehold.master.ordering import actions, moves, resolving, trees
from freehold.master.ordering.actions import Order, Request
from freehold.master.ordering.queries import QUERIES
from freehold.master.ordering.rollout import (
    Member,
    Policy,
    RolloutStep,
    RolloutVerb,
    Sight,
    is_settled,
    next_step,
    progress,
)
from freehold.protocol.states import Wanted

SQL = sql.load(Path(__file__).parent / "sql" / "clusters.sql", prepared=True)
MOST_STEPS = 500
"""What is done to one cluster before others are looked at."""
RETRY_S = 10.0
"""Seconds after which what was refused to a cluster is tried again."""
_PAGE = 200
_LONGEST_WHY = 500
Sights = Callable[[list[str]], Mapping[str, Sight]]
"""Says of instances, by id, what is known of them with all below them."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ClusterRequest:
    """ "So many instances like this one should exist, and are changed so." """

    member: Request
    """Of each; its title is not looked at."""
    size: int
    most_down: int = 1
    ready_within: float = 300.0
    """Seconds that a member may take to be ready with a change, before it goes back."""
    leave_within: float = 60.0
    """Seconds that a member may take to leave, before it goes all the same."""
    shares: tuple[str, ...] = ()
    """What of its publication each is told of the others."""
    awaits_ready: bool = False


@dataclass(frozen=True)
class _Found:
    """A cluster as it is in the tables."""

    row: dict[str, Any]
    members: list[dict[str, Any]]
    secret: str

    @property
    def policy(self) -> Policy:
        row = self.row
        return Policy(row["size"], row["most_down"], row["ready_within"], row["leave_within"], bool(row["is_refused"]))

    def title(self, ordinal: int) -> str:
        return f"{self.row['parent_title']}/{self.row['name']}-{ordinal}"

    def member(self, ordinal: int) -> dict[str, Any]:
        return next(member for member in self.members if member["ordinal"] == ordinal)

    def view(self, member: dict[str, Any]) -> str:
        """Return what the node of a member is told of its siblings, as JSON."""
        shares = json.loads(self.row["shares"])
        siblings = [
            {
                "ordinal": present["ordinal"],
                "title": present["title"],
                "address": present["address"] or "",
                "node": present["node"],
                "site": present["site"],
                "published": {} if present is member else _shared(present["published"], shares),
            }
            for present in self.members
        ]
        known = {"name": self.row["name"], "ordinal": member["ordinal"], "secret": self.secret, "members": siblings}
        return _text(known | ({"leaving": True} if member["leaving_at"] is not None else {}))

    def seen(self, sights: Mapping[str, Sight]) -> list[Member]:
        """Return the members as `rollout` looks at them."""
        steady = clock.steadiness.look()
        return [
            Member(
                member["ordinal"],
                sights.get(member["id"], Sight(is_heard=False)),
                is_new=member["ready_at"] is None,
                has_change=self.has_change(member),
                has_view=member["view"] == self.view(member),
                is_tried=bool(member["former"]),
                is_leaving=member["leaving_at"] is not None,
                must_move=bool(member["must_move"]),
                # By a clock that went evenly while this process looked: after a restart nothing is over yet.
                told_for=min(steady, (clock.now() - member["told_at"]) / clock.SECOND),
            )
            for member in self.members
        ]

    def has_change(self, member: dict[str, Any]) -> bool:
        row = self.row
        wanted = (row["release_id"], row["parameters"], row["member_size"])
        return bool((member["release_id"], member["parameters"], member["size"]) == wanted)

    @property
    def is_quiet(self) -> bool:
        """Whether it was settled, and nothing was told since that anybody would have to wait for."""
        return bool(self.row["is_settled"]) and all(
            member.has_change
            and member.has_view
            and not (member.is_new or member.is_tried or member.is_leaving or member.must_move)
            for member in self.seen({})
        )


def put(parent: dict[str, Any], name: str, spec: ClusterRequest, *, actor: str) -> None:
    """Make a cluster of an instance be as wished: a new one is there when this returns, another one is changed later.

    `parent`: the row of the instance. Raise what ordering an instance raises; then nothing is changed.
    """
    actions.check_title(f"{name}-{spec.size}")
    if spec.most_down < 1 or spec.ready_within <= 0 or spec.leave_within < 0 or spec.size < 0:
        raise Invalid(f"'{name}' cannot be changed so.", remedy="Let at least one member be down, for some time.")
    with writing():
        trees.lock(parent["tree"])
        rows = run(SQL["cluster"], parent=parent["id"], name=name)
        if rows:
            _change(rows[0], parent, spec)
        else:
            _add(parent, name, spec, actor)
        hints.after_commit(hints.REPORTED)


def titles(parent: str) -> dict[str, set[str]]:
    """Return the titles that the members of each cluster of an instance (its id) have in it."""
    rows = run(SQL["names"], parent=parent)
    titles: dict[str, set[str]] = {row["name"]: set() for row in rows}
    for row in rows:
        members = run(SQL["members"], first=row["id"], last=row["id"])
        titles[row["name"]] = {trees.name_in_parent(member["title"]) for member in members}
    return titles


def keep_only(parent: dict[str, Any], names: set[str]) -> None:
    """Forget the clusters of an instance but these: their members are requested no more, and end as others do."""
    gone = [row for row in run(SQL["names"], parent=parent["id"]) if row["name"] not in names]
    if gone:
        with writing():
            trees.lock(parent["tree"])
            for row in gone:
                run(SQL["forget_members"], cluster=row["id"])
                run(SQL["forget"], id=row["id"])


def clean_up() -> int:
    """Forget the clusters of instances that are gone; return how many rows went."""
    with writing():
        change(SQL["tidy_drained"])
        return change(SQL["tidy_members"]) + change(SQL["tidy_clusters"])


class Rollouts:
    """Has each cluster become what is wanted of it, step by step."""

    def __init__(self, sights: Sights) -> None:
        self._sights = sights

    def __call__(self) -> int:
        """Do all that can be done now; return how much that was. The trouble of one does not stop the others."""
        after, count = "", 0
        while rows := run(SQL["clusters"], after=after, most=_PAGE):
            for cluster in _read(rows):
                try:
                    count += self._advance(cluster)
                except Exception:
                    _log.exception(
                        "the cluster '%s' of %s does not go on", cluster.row["name"], cluster.row["parent_id"]
                    )
            after = rows[-1]["id"]
        return count

    def _advance(self, cluster: _Found) -> int:
        if cluster.is_quiet or _is_put_off(cluster.row):
            return 0
        count = 0
        for _ in range(MOST_STEPS):
            # Looked at without a lock first: mostly there is nothing to do.
            seen = cluster.seen(self._look(cluster))
            if next_step(cluster.policy, seen) is None:
                _note(cluster, seen)
                return count
            try:
                self._step(cluster.row)
            except MasterError as error:
                _note_trouble(cluster, error)
                return count
            count += 1
            again = _one(cluster.row["id"])
            if again is None:
                return count
            cluster = again
        return count

    def _look(self, cluster: _Found) -> Mapping[str, Sight]:
        return self._sights([member["id"] for member in cluster.members])

    def _step(self, row: dict[str, Any]) -> None:
        with writing():
            trees.lock(row["tree"])
            run(locking(SQL["lock_children"], "i"), parent=row["parent_id"])
            cluster = _one(row["id"])
            if cluster is None:
                return
            sights = self._look(cluster)
            step = next_step(cluster.policy, cluster.seen(sights))
            if step is not None:
                _take(cluster, step, sights)


def _add(parent: dict[str, Any], name: str, spec: ClusterRequest, actor: str) -> None:
    wanted = resolving.resolve(spec.member, parent["project_id"])
    if wanted.choice.host:
        raise Conflict(
            f"{wanted.choice.product} ({wanted.choice.type}) is shared: it has no members.",
            remedy="Request one of a type that has a partition of its own.",
        )
    cluster = ids.new("clst")
    run(
        SQL["add"],
        id=cluster,
        parent=parent["id"],
        name=name,
        product=wanted.choice.product,
        type=wanted.choice.type,
        release=wanted.choice.release,
        parameters=wanted.parameters,
        constraints=wanted.constraints,
        member_size=wanted.size,
        now=clock.now(),
        **_terms(spec),
    )
    run(locking(SQL["lock_children"], "i"), parent=parent["id"])
    audit(actor, "cluster.request", cluster, project=parent["project_id"], name=name, size=spec.size)
    state = _one(cluster)
    if state is not None and (step := next_step(state.policy, [])) is not None:
        _take(state, step, {})


def _change(row: dict[str, Any], parent: dict[str, Any], spec: ClusterRequest) -> None:
    request = spec.member
    for field in ("product", "type"):
        if (getattr(request, field) or row[field]) != row[field]:
            raise Conflict(
                f"'{row['name']}' is {field} '{row[field]}', not '{getattr(request, field)}'.",
                remedy="Give the other one another name.",
            )
    if request.release is None:
        request = msgspec.structs.replace(request, release=catalog.version(row["release_id"]))
    wanted = resolving.resolve(request, parent["project_id"])
    if wanted.constraints != row["constraints"]:
        raise Conflict(
            f"'{row['name']}' is placed already; its constraints cannot change.",
            remedy="Leave the constraints as they were, or give it another name.",
        )
    present = (row["release_id"], row["parameters"], row["member_size"])
    is_same = (wanted.choice.release, wanted.parameters, wanted.size) == present
    terms = _terms(spec)
    if is_same and all(row[name] == value for name, value in terms.items()):
        return
    run(
        SQL["change"],
        id=row["id"],
        release=wanted.choice.release,
        parameters=wanted.parameters,
        member_size=wanted.size,
        is_refused=bool(row["is_refused"]) and is_same,
        now=clock.now(),
        **terms,
    )
    audit(f"instance:{parent['id']}", "cluster.change", row["id"], project=parent["project_id"], size=spec.size)


def _terms(spec: ClusterRequest) -> dict[str, Any]:
    return {
        "size": spec.size,
        "most_down": spec.most_down,
        "ready_within": spec.ready_within,
        "leave_within": spec.leave_within,
        "shares": json.dumps(sorted(spec.shares)),
        "awaits_ready": spec.awaits_ready,
    }


def _take(cluster: _Found, step: RolloutStep, sights: Mapping[str, Sight]) -> None:
    """Do what comes next, in a transaction with the tree and its members locked."""
    row = cluster.row
    if step.verb is RolloutVerb.ADD:
        _add_members(cluster, step.ordinals)
        return
    (ordinal,) = step.ordinals
    member, now = cluster.member(ordinal), clock.now()
    if step.verb is RolloutVerb.KEEP:
        run(SQL["keep_member"], instance=member["id"], now=now)
    elif step.verb is RolloutVerb.SHOW:
        _tell(cluster, member, is_told=False)
    elif step.verb is RolloutVerb.MOVE:
        (instance,) = run(QUERIES["moving"], project=row["project_id"], title=cluster.title(ordinal))
        moves.move_within(instance, actor="freehold")
        again = _one(row["id"])
        assert again is not None
        # Its new node is told of the move by the revision of that.
        _tell(again, again.member(ordinal), is_told=True)
    elif step.verb is RolloutVerb.CHANGE:
        present = _text(_terms_of(member["release_id"], member["parameters"], member["size"]))
        former = member["former"] or ("" if member["ready_at"] is None else present)
        is_told = _order(cluster, ordinal, _terms_of(row["release_id"], row["parameters"], row["member_size"]))
        run(SQL["change_member"], instance=member["id"], former=former, now=now)
        _tell(cluster, member, is_told=is_told)
    elif step.verb is RolloutVerb.GO_BACK:
        _order(cluster, ordinal, json.loads(member["former"]))
        run(SQL["change_member"], instance=member["id"], former="", now=now)
        why = sights[member["id"]].message[:_LONGEST_WHY]
        words = f"'{cluster.title(ordinal)}' did not become ready with the change, and has what it had before: {why}"
        run(SQL["refuse"], id=row["id"], trouble=words.removesuffix(": "), now=now)
        _audit(cluster, "cluster.go-back", ordinal)
    elif step.verb is RolloutVerb.LEAVE:
        run(SQL["leave"], instance=member["id"], now=now)
        _tell(cluster, {**member, "leaving_at": now}, is_told=False)
        _audit(cluster, "cluster.leave", ordinal)
    else:
        actions.apply(
            replace(
                _asked(cluster, ordinal), spec=Request("", cluster.title(ordinal), state=Wanted.DESTROYED), now=True
            )
        )
        run(SQL["end_member"], instance=member["id"])
        if step.verb is RolloutVerb.END_LATE:
            words = f"'{cluster.title(ordinal)}' did not leave within {row['leave_within']:g} s, and is destroyed."
            run(SQL["notice"], id=row["id"], notice=words)
            _audit(cluster, "cluster.leave-late", ordinal)


def _add_members(cluster: _Found, ordinals: tuple[int, ...]) -> None:
    row = cluster.row
    for ordinal in ordinals:
        order = _asked(cluster, ordinal)
        spec = msgspec.structs.replace(
            order.spec,
            product=row["product"],
            type=row["type"],
            release=catalog.version(row["release_id"]),
            parameters=json.loads(row["parameters"]),
            constraints=json.loads(row["constraints"]),
            size=json.loads(row["member_size"]),
        )
        answer = actions.apply(replace(order, spec=spec))
        run(SQL["add_member"], instance=answer.instance, cluster=row["id"], ordinal=ordinal, now=clock.now())
    again = _one(row["id"])
    assert again is not None
    for ordinal in ordinals:
        # Their revision is of this transaction: their nodes are told all at once.
        run(SQL["tell"], instance=again.member(ordinal)["id"], view=again.view(again.member(ordinal)))


def _terms_of(release: str, parameters: str, size: str) -> dict[str, Any]:
    return {"release": release, "parameters": json.loads(parameters), "size": json.loads(size)}


def _order(cluster: _Found, ordinal: int, terms: dict[str, Any]) -> bool:
    """Change the release, parameters and size of a member; return whether its node is told."""
    order = _asked(cluster, ordinal)
    version = catalog.version(terms["release"])
    spec = msgspec.structs.replace(order.spec, release=version, parameters=terms["parameters"], size=terms.get("size"))
    return actions.apply(replace(order, spec=spec)).changed


def _asked(cluster: _Found, ordinal: int) -> Order:
    row = cluster.row
    (parent,) = run(QUERIES["parent"], id=row["parent_id"])
    title = cluster.title(ordinal)
    return Order(
        Request("", title, state=Wanted.STARTED),
        row["project_id"],
        f"instance:{row['parent_id']}",
        title,
        parent,
        shared=False,
        awaits_ready=bool(row["awaits_ready"]),
    )


def _tell(cluster: _Found, member: dict[str, Any], *, is_told: bool) -> None:
    """Have the node of a member be told who its siblings are."""
    after = replace(
        cluster, members=[member if present["id"] == member["id"] else present for present in cluster.members]
    )
    run(SQL["tell"], instance=member["id"], view=after.view(member))
    if not is_told:
        run(QUERIES["touch"], id=member["id"], revision=revisions.bump(member["node_id"]))


def _note(cluster: _Found, seen: list[Member]) -> None:
    """Write down how far a cluster is, where that is news."""
    row, policy = cluster.row, cluster.policy
    settled = is_settled(policy, seen)
    message = "" if settled else progress(f"{row['parent_title']}/{row['name']}", policy, seen)
    trouble = row["trouble"] if policy.is_refused else ""
    if (bool(row["is_settled"]), row["trouble"], row["message"]) != (settled, trouble, message):
        _write_note(row, settled, trouble, message)


def _note_trouble(cluster: _Found, error: MasterError) -> None:
    words = f"'{cluster.row['parent_title']}/{cluster.row['name']}' goes no further: {error.detail}"[:_LONGEST_WHY]
    _write_note(cluster.row, False, words, cluster.row["message"])


def _write_note(row: dict[str, Any], settled: bool, trouble: str, message: str) -> None:
    with writing():
        trees.lock(row["tree"])
        run(SQL["note"], id=row["id"], is_settled=settled, trouble=trouble, message=message, now=clock.now())


def _is_put_off(row: dict[str, Any]) -> bool:
    is_refused_by_us = bool(row["trouble"]) and not row["is_refused"]
    return is_refused_by_us and 0 <= clock.now() - row["changed_at"] < RETRY_S * clock.SECOND


def _audit(cluster: _Found, verb: str, ordinal: int) -> None:
    row = cluster.row
    audit("freehold", verb, row["id"], project=row["project_id"], title=cluster.title(ordinal))


def _one(cluster: str) -> _Found | None:
    return next(iter(_read(run(SQL["one"], id=cluster))), None)


def _read(rows: list[dict[str, Any]]) -> list[_Found]:
    if not rows:
        return []
    members: dict[str, list[dict[str, Any]]] = {row["id"]: [] for row in rows}
    for member in run(SQL["members"], first=rows[0]["id"], last=rows[-1]["id"]):
        if member["cluster_id"] in members:
            members[member["cluster_id"]].append(member)
    return [_Found(row, members[row["id"]], _secret(row)) for row in rows]


def _secret(row: dict[str, Any]) -> str:
    """Return from what the secrets derive that all members of a cluster know, and nobody else."""
    (parent,) = run(SQL["parent_seed"], id=row["parent_id"])
    return hmac.new(bytes.fromhex(parent["seed"]), f"cluster:{row['name']}".encode(), hashlib.sha256).hexdigest()


def _shared(published: str | None, names: list[str]) -> dict[str, Any]:
    values = json.loads(published or "{}") if names else {}
    return {name: values[name] for name in names if name in values}


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":"), sort_keys=True)

"""What a node is told: the feed, read from the database."""

import json
import time

import msgspec

from freehold.master.gateway.database import DatabaseConnection
from freehold.protocol.feed import (
    Feed,
    Installation,
    SharedInstance,
    WantedInstance,
    WantedMembership,
    WantedPeer,
    WantedRestart,
)
from freehold.protocol.size import WantedSize
from freehold.protocol.states import SoftwareWanted, Wanted


def read_feed(reader: DatabaseConnection, node: str, since: int, pace: float) -> Feed:
    """Return what changed for a node since a revision; all of it when it knows nothing, or more than there is."""
    # The revision is read before the rows: what changes in between is sent twice, never missed.
    ((revision, lease, epoch, is_unsettled),) = reader.rows("node_revision", {"node": node})
    snapshot = since == 0 or since > revision
    since = 0 if snapshot else since
    installations = [
        Installation(release, changed, SoftwareWanted(wanted), f"{name} {version}")
        for release, changed, wanted, name, version in reader.rows("feed_installations", {"node": node, "since": since})
    ]
    instances = [
        WantedInstance(
            instance,
            changed,
            partition,
            release,
            type_name,
            Wanted(wanted),
            title,
            tree,
            msgspec.Raw(parameters.encode()),
            seed,
            msgspec.Raw(child_publications.encode()),
            bool(movable),
            bool(movable and is_unsettled),
            _last(restarts),
            _membership(cluster),
            _peers(reader, tree, instance) if knows_peers else [],
            WantedSize() if size == "{}" else msgspec.json.decode(size, type=WantedSize),
        )
        for (
            instance, changed, partition, release, type_name, wanted, title, tree, parameters, seed, child_publications,
            movable, restarts, cluster, size, knows_peers,
        ) in reader.rows("feed_instances", {"node": node, "since": since})
    ]  # fmt: skip
    instances += [
        WantedInstance(instance, changed, partition, release, type_name, Wanted.DESTROYED, title, tree)
        for instance, changed, partition, release, type_name, title, tree in reader.rows(
            "feed_departures", {"node": node, "since": since}
        )
    ]
    shared = [
        SharedInstance(instance, changed, host, type_name, Wanted(wanted), msgspec.Raw(parameters.encode()), seed)
        for instance, changed, host, type_name, wanted, parameters, seed in reader.rows(
            "feed_shared", {"node": node, "since": since}
        )
    ]
    return Feed(revision, time.time(), pace, snapshot, installations, instances, shared, float(lease), epoch)


def _peers(reader: DatabaseConnection, tree: str, instance: str) -> list[WantedPeer]:
    """Return the others of a tree; few want to know."""
    rows = reader.rows("feed_peers", {"tree": tree, "besides": instance})
    return [WantedPeer(title, address) for title, address in rows]


def _membership(view: str) -> WantedMembership | None:
    """Return what a member of a cluster is told of it; few are in one."""
    return msgspec.json.decode(view, type=WantedMembership) if view else None


def _last(restarts: str) -> list[WantedRestart]:
    """Return the last token of each service, of all that are kept."""
    # Few have any.
    return (
        [] if restarts == "{}" else [WantedRestart(name, tokens[-1]) for name, tokens in json.loads(restarts).items()]
    )

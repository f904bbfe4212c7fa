-- name: identify
-- The node that a certificate speaks for.
SELECT kind, subject, not_after, revoked_at FROM fleet_certificate WHERE fingerprint = :fingerprint

-- name: node_revision
-- The present revision of a node, its lease, its epoch, and whether what can move may still run elsewhere.
SELECT revision, lease, epoch, (SELECT settles_at IS NOT NULL FROM generation_generation WHERE id = 1)
FROM fleet_node WHERE id = :node

-- name: changed_nodes
-- The nodes that changed after a revision.
SELECT id, revision FROM fleet_node WHERE revision > :revision ORDER BY revision

-- name: feed_installations
-- What a node must have built, as changed after a revision.
SELECT s.release_id, s.revision, s.wanted, p.name, r.version
FROM fleet_supply s
JOIN catalog_release r ON r.id = s.release_id
JOIN catalog_product p ON p.id = r.product_id
WHERE s.node_id = :node AND s.revision > :since
ORDER BY s.revision

-- name: feed_instances
-- The instances of a node, as changed after a revision.
SELECT i.id, i.revision, i.partition, i.release_id, i.type, i.wanted, i.title, i.tree, i.parameters, i.seed, i.child_publications,
       NOT t.holds_data AS movable, i.restarts, coalesce(m.view, '') AS cluster, i.size,
       t.knows_peers
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
LEFT JOIN ordering_clustermember m ON m.instance_id = i.id
WHERE i.node_id = :node AND i.revision > :since AND i.gone_at IS NULL AND i.host IS NULL
ORDER BY i.revision

-- name: feed_peers
-- The instances of a tree that have an address of their own, without one of them.
SELECT i.title, a.address
FROM ordering_instance i
JOIN fleet_partition a ON a.node_id = i.node_id AND a.name = i.partition
WHERE i.tree = :tree AND i.gone_at IS NULL AND i.host IS NULL AND i.id <> :besides
ORDER BY i.title, i.id

-- name: feed_departures
-- The instances that left a node for another, and of which it is to remove what is left.
SELECT d.instance_id, d.revision, d.partition, i.release_id, i.type, i.title, i.tree
FROM ordering_departure d
JOIN ordering_instance i ON i.id = d.instance_id
WHERE d.node_id = :node AND d.revision > :since
ORDER BY d.revision

-- name: moves
-- How often instances were moved, so that what is remembered of their nodes may be wrong.
SELECT value FROM fleet_movecount WHERE id = 1

-- name: departed
-- Whether an instance left a node that is still to remove what is left of it.
SELECT revision FROM ordering_departure WHERE instance_id = :instance AND node_id = :node

-- name: feed_shared
-- The shared instances that hosts of a node serve, as changed after a revision.
SELECT id, revision, host, type, wanted, parameters, seed
FROM ordering_instance
WHERE node_id = :node AND revision > :since AND gone_at IS NULL AND host IS NOT NULL
ORDER BY revision

-- name: head
-- Where the chain of a node ends.
SELECT n.epoch, c.sequence, c.hash
FROM fleet_node n
LEFT JOIN fleet_chain c ON c.node_id = n.id AND c.epoch = n.epoch
WHERE n.id = :node

-- name: owner
-- The node on which an instance lives, who requested it if that was another, and when.
SELECT node_id, parent, created_at FROM ordering_instance WHERE id = :instance AND gone_at IS NULL

-- name: standing
-- What this Master knows of itself: its generation, whether it doubts, its last revision and the head of its ledgers.
SELECT g.value, EXISTS (SELECT 1 FROM generation_doubt d WHERE d.generation >= g.value),
  (SELECT value FROM fleet_revisionclock WHERE id = 1),
  coalesce(b.id, 0), coalesce(b.digest, '')
FROM generation_generation g
LEFT JOIN accounting_batch b ON b.id = (SELECT max(id) FROM accounting_batch)
WHERE g.id = 1

-- name: known
-- What this Master knows of what it once said.
SELECT n.epoch, c.epoch, c.sequence, (SELECT digest FROM accounting_batch WHERE id = :ledger)
FROM fleet_node n
LEFT JOIN fleet_chain c ON c.node_id = n.id
WHERE n.id = :node

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
SELECT i.id, i.revision, i.partition, i.release_id, i.type, i.wanted, i.title, i.tree, i.parameters, i.seed, i.given,
       NOT t.holds_data AS movable
FROM ordering_instance i
JOIN catalog_releasetype t ON t.release_id = i.release_id AND t.name = i.type
WHERE i.node_id = :node AND i.revision > :since AND i.gone_at IS NULL AND i.host IS NULL
ORDER BY i.revision

-- name: feed_departures
-- The instances that left a node for another, and of which it is to remove what is left.
SELECT d.instance_id, d.revision, d.partition, i.release_id, i.type, i.title, i.tree
FROM ordering_departure d
JOIN ordering_instance i ON i.id = d.instance_id
WHERE d.node_id = :node AND d.revision > :since
ORDER BY d.revision

-- name: moves
-- How often instances were moved, so that what is remembered of their nodes may be wrong.
SELECT value FROM fleet_revisionclock WHERE id = 2

-- name: departed
-- Whether an instance left a node that is still to remove what is left of it.
SELECT revision FROM ordering_departure WHERE instance_id = :instance AND node_id = :node

-- name: add_departed
-- Nothing is left on a node of an instance that had left it.
INSERT INTO ordering_departedrow (instance_id, node_id, at) VALUES (:instance, :node, :at)

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

-- name: begin_chain
-- The first reports of a node, or of its new epoch; no row, when others came before.
INSERT INTO fleet_chain (node_id, epoch, sequence, hash, received_at)
VALUES (:node, :epoch, :sequence, :hash, :received_at)
ON CONFLICT (node_id) DO UPDATE SET epoch = excluded.epoch,
  sequence = excluded.sequence,
  hash = excluded.hash,
  received_at = excluded.received_at
WHERE fleet_chain.epoch < excluded.epoch

-- name: move_chain
-- Reports were applied; no row, when the one before them is not the last any more.
UPDATE fleet_chain SET sequence = :sequence, hash = :hash, received_at = :received_at
WHERE node_id = :node AND epoch = :epoch AND hash = :before

-- name: move_chain_arrays
-- The same for many, on PostgreSQL.
UPDATE fleet_chain c SET sequence = told.sequence, hash = told.hash, received_at = told.received_at
FROM unnest(CAST(:node AS varchar[]), CAST(:epoch AS integer[]), CAST(:sequence AS bigint[]), CAST(:hash AS varchar[]),
  CAST(:received_at AS bigint[]), CAST(:before AS varchar[])) AS told (node, epoch, sequence, hash, received_at, before)
WHERE c.node_id = told.node AND c.epoch = told.epoch AND c.hash = told.before

-- name: add_refused
-- An item that could not be true.
INSERT INTO fleet_refuseditem (node_id, sequence, reason, item, received_at)
VALUES (:node, :sequence, :reason, :item, :received_at)

-- name: trim_refused
-- Of what a node told that could not be true, its share stays: the newest, so many and of so many characters.
DELETE FROM fleet_refuseditem WHERE id IN (
  SELECT id FROM (
    SELECT id,
           row_number() OVER (ORDER BY id DESC) AS place,
           sum(length(item)) OVER (ORDER BY id DESC) AS size
    FROM fleet_refuseditem
    WHERE node_id = :node
  ) newest
  WHERE place > :most OR size > :characters
)

-- name: count_overflow
-- So many were let go.
INSERT INTO fleet_refusedoverflow (node_id, items) VALUES (:node, :items)
ON CONFLICT (node_id) DO UPDATE SET items = fleet_refusedoverflow.items + excluded.items

-- name: add_host
-- What a node says of itself.
INSERT INTO fleet_hostfactsrow (node_id, facts, received_at) VALUES (:node, :facts, :received_at)

-- name: add_software
-- What a node says of a release.
INSERT INTO fleet_softwarerow (node_id, release, state, message, at)
VALUES (:node, :release, :state, :message, :at)

-- name: add_instance
-- What a node says of an instance.
INSERT INTO ordering_instancerow (instance_id, revision, state, message, promises, at)
VALUES (:instance, :revision, :state, :message, :promises, :at)

-- name: add_publication
-- What an instance gave back.
INSERT INTO ordering_publicationrow (instance_id, revision, published, at)
VALUES (:instance, :revision, :published, :at)

-- name: add_assessment
-- The result of a promise.
INSERT INTO monitoring_assessment (instance_id, revision, promise, kept, message, at)
VALUES (:instance, :revision, :promise, :kept, :message, :at)

-- name: add_assessment_arrays
-- The same for many, on PostgreSQL.
INSERT INTO monitoring_assessment (instance_id, revision, promise, kept, message, at)
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:revision AS bigint[]), CAST(:promise AS varchar[]),
  CAST(:kept AS boolean[]), CAST(:message AS varchar[]), CAST(:at AS bigint[]))

-- name: counters
-- The last reading of each series of an instance.
SELECT series, at, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out
FROM usage_counter WHERE instance_id = :instance

-- name: set_counters
-- The last reading of a series.
INSERT INTO usage_counter (instance_id, series, at, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out)
VALUES (:instance, :series, :at, :cpu_ms, :memory_mb_s, :disk_mb_s, :network_in, :network_out)
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at,
  cpu_ms = excluded.cpu_ms,
  memory_mb_s = excluded.memory_mb_s,
  disk_mb_s = excluded.disk_mb_s,
  network_in = excluded.network_in,
  network_out = excluded.network_out

-- name: set_counters_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_counter (instance_id, series, at, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out)
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:series AS varchar[]), CAST(:at AS bigint[]),
  CAST(:cpu_ms AS bigint[]), CAST(:memory_mb_s AS bigint[]), CAST(:disk_mb_s AS bigint[]), CAST(:network_in AS bigint[]), CAST(:network_out AS bigint[]))
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at,
  cpu_ms = excluded.cpu_ms,
  memory_mb_s = excluded.memory_mb_s,
  disk_mb_s = excluded.disk_mb_s,
  network_in = excluded.network_in,
  network_out = excluded.network_out

-- name: add_hours
-- What was used in an hour, to what is known of it.
INSERT INTO usage_hour (instance_id, hour, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out)
VALUES (:instance, :hour, :cpu_ms, :memory_mb_s, :disk_mb_s, :network_in, :network_out)
ON CONFLICT (instance_id, hour) DO UPDATE SET
  cpu_ms = coalesce(usage_hour.cpu_ms + excluded.cpu_ms, usage_hour.cpu_ms, excluded.cpu_ms),
  memory_mb_s = coalesce(usage_hour.memory_mb_s + excluded.memory_mb_s, usage_hour.memory_mb_s, excluded.memory_mb_s),
  disk_mb_s = coalesce(usage_hour.disk_mb_s + excluded.disk_mb_s, usage_hour.disk_mb_s, excluded.disk_mb_s),
  network_in = coalesce(usage_hour.network_in + excluded.network_in, usage_hour.network_in, excluded.network_in),
  network_out = coalesce(usage_hour.network_out + excluded.network_out, usage_hour.network_out, excluded.network_out)

-- name: add_hours_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_hour (instance_id, hour, cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out)
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:hour AS bigint[]),
  CAST(:cpu_ms AS bigint[]), CAST(:memory_mb_s AS bigint[]), CAST(:disk_mb_s AS bigint[]), CAST(:network_in AS bigint[]), CAST(:network_out AS bigint[]))
ON CONFLICT (instance_id, hour) DO UPDATE SET
  cpu_ms = coalesce(usage_hour.cpu_ms + excluded.cpu_ms, usage_hour.cpu_ms, excluded.cpu_ms),
  memory_mb_s = coalesce(usage_hour.memory_mb_s + excluded.memory_mb_s, usage_hour.memory_mb_s, excluded.memory_mb_s),
  disk_mb_s = coalesce(usage_hour.disk_mb_s + excluded.disk_mb_s, usage_hour.disk_mb_s, excluded.disk_mb_s),
  network_in = coalesce(usage_hour.network_in + excluded.network_in, usage_hour.network_in, excluded.network_in),
  network_out = coalesce(usage_hour.network_out + excluded.network_out, usage_hour.network_out, excluded.network_out)

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

-- name: add_doubt
-- It said more than it knows.
INSERT INTO generation_doubt (node, generation, revision, epoch, reason, at)
VALUES (:node, :generation, :revision, :epoch, :reason, :at)
ON CONFLICT (node, generation) DO NOTHING

-- name: add_forgery
-- A node showed what was never said to it.
INSERT INTO generation_forgery (node, day, reason, at) VALUES (:node, :day, :reason, :at)
ON CONFLICT (node, day) DO NOTHING

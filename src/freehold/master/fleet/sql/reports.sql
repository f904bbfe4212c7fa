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

-- name: note_farewell
-- The operator of a node stopped it; it holds as long as nothing comes after this report.
INSERT INTO fleet_farewell (node_id, epoch, sequence, stopped)
SELECT id, epoch, :sequence, :stopped FROM fleet_node WHERE id = :node
ON CONFLICT (node_id) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence, stopped = excluded.stopped

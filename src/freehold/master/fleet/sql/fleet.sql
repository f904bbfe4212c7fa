-- name: next_revision
-- Take the next revision; the clock's row stays ours until the transaction ends. No row, while this Master is in doubt.
UPDATE fleet_revisionclock SET value = value + 1
WHERE id = 1 AND NOT EXISTS (SELECT 1 FROM generation_doubt d JOIN generation_generation g ON g.value <= d.generation)
RETURNING value

-- name: bump
-- Give a node a revision.
UPDATE fleet_node SET revision = :revision WHERE id = :node

-- name: sync_supplies
-- Copy what a node has free, and whether it is open, to its supplies.
UPDATE fleet_supply SET
  free = n.free,
  open = (fleet_supply.wanted = 'available' AND n.open AND n.lost_at IS NULL AND n.silent_since IS NULL AND n.used < n.capacity)
FROM fleet_node n
WHERE n.id = fleet_supply.node_id AND n.id = :node

-- name: fallen_silent
-- The nodes that were heard before a moment, and not since.
SELECT n.id, n.project_id, c.received_at
FROM fleet_node n
JOIN fleet_chain c ON c.node_id = n.id
WHERE n.silent_since IS NULL AND c.received_at < :before

-- name: stopped
-- The nodes that are not known to be silent, and said last that their operator stops them.
SELECT n.id, n.project_id, c.received_at, f.stopped
FROM fleet_farewell f
JOIN fleet_node n ON n.id = f.node_id AND n.epoch = f.epoch
JOIN fleet_chain c ON c.node_id = f.node_id AND c.epoch = f.epoch AND c.sequence = f.sequence
WHERE n.silent_since IS NULL

-- name: heard_again
-- The nodes that were silent and were heard since: at another moment, which is an earlier one where the clock had run ahead.
SELECT n.id, n.project_id
FROM fleet_node n
JOIN fleet_chain c ON c.node_id = n.id
WHERE n.silent_since IS NOT NULL AND c.received_at <> n.silent_since

-- name: unlearn_contacts
-- No node was heard in the future: the clock ran ahead when that was noted.
UPDATE fleet_chain SET received_at = :now WHERE received_at > :latest

-- name: unlearn_losses
-- No node was lost in the future: until then, nothing that it says would bring it back.
UPDATE fleet_node SET lost_at = :now WHERE lost_at > :latest

-- name: count_move
-- Whoever remembers where instances are, looks again.
UPDATE fleet_movecount SET value = value + 1 WHERE id = 1

-- name: take_partition
-- Give the first free partition of a node to an instance.
UPDATE fleet_partition SET instance = :instance
WHERE id = (SELECT id FROM fleet_partition
            WHERE node_id = :node AND instance IS NULL AND present
            ORDER BY number LIMIT 1)
  AND instance IS NULL
RETURNING name, address

-- name: take_capacity
-- Count an instance on a node, unless it became too heavy for it meanwhile.
UPDATE fleet_node SET free = free - 1, used = used + :weight, revision = :revision
WHERE id = :node AND open AND free > 0 AND used + :weight <= capacity
RETURNING id

-- name: free_partition
-- Take a partition back from an instance.
UPDATE fleet_partition SET instance = NULL
WHERE node_id = :node AND name = :partition AND instance = :instance
RETURNING present

-- name: free_capacity
-- Stop counting an instance on a node.
UPDATE fleet_node SET used = used - :weight, free = free + :partitions
WHERE id = :node

-- name: keep_partition
-- The partition belongs to what is left, which is no instance any more.
UPDATE fleet_partition SET instance = :left
WHERE node_id = :node AND name = :partition AND instance = :instance

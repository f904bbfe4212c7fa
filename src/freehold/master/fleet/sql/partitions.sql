-- name: take_partition
-- Give the first free partition of a node to an instance.
UPDATE fleet_partition
SET instance = :instance, kept_cpu_percent = :cpu_percent, kept_memory_mb = :memory_mb, kept_disk_mb = :disk_mb
WHERE id = (SELECT id FROM fleet_partition
            WHERE node_id = :node AND instance IS NULL AND present
            ORDER BY number LIMIT 1)
  AND instance IS NULL
RETURNING name, address

-- name: take_capacity
-- Count an instance on a node, unless it became too heavy for it meanwhile. A tenth of the memory and of the disk is the
-- machine's own.
UPDATE fleet_node
SET free = free - 1, used = used + :weight, revision = :revision, kept_cpu_percent = kept_cpu_percent + :cpu_percent,
    kept_memory_mb = kept_memory_mb + :memory_mb, kept_disk_mb = kept_disk_mb + :disk_mb
WHERE id = :node AND open AND free > 0 AND used + :weight <= capacity
  AND (:cpu_percent = 0 OR kept_cpu_percent + :cpu_percent <= cpus * 100)
  AND (:memory_mb = 0 OR kept_memory_mb + :memory_mb <= memory_mb * 9 / 10)
  AND (:disk_mb = 0 OR kept_disk_mb + :disk_mb <= disk_mb * 9 / 10)
RETURNING id

-- name: kept
-- What of a node is kept for what lives in a partition of it.
SELECT kept_cpu_percent AS cpu_percent, kept_memory_mb AS memory_mb, kept_disk_mb AS disk_mb
FROM fleet_partition WHERE node_id = :node AND name = :partition AND instance = :instance

-- name: resize_capacity
-- Keep more of a node, or less, for an instance that lives there, unless it has not so much.
UPDATE fleet_node
SET kept_cpu_percent = kept_cpu_percent + :more_cpu_percent, kept_memory_mb = kept_memory_mb + :more_memory_mb,
    kept_disk_mb = kept_disk_mb + :more_disk_mb
WHERE id = :node
  AND (:more_cpu_percent <= 0 OR kept_cpu_percent + :more_cpu_percent <= cpus * 100)
  AND (:more_memory_mb <= 0 OR kept_memory_mb + :more_memory_mb <= memory_mb * 9 / 10)
  AND (:more_disk_mb <= 0 OR kept_disk_mb + :more_disk_mb <= disk_mb * 9 / 10)
RETURNING id

-- name: resize_partition
-- What of a node is kept for what lives in a partition of it from now on.
UPDATE fleet_partition
SET kept_cpu_percent = :cpu_percent, kept_memory_mb = :memory_mb, kept_disk_mb = :disk_mb
WHERE node_id = :node AND name = :partition AND instance = :instance

-- name: free_partition
-- Take a partition back from an instance.
UPDATE fleet_partition SET instance = NULL
WHERE node_id = :node AND name = :partition AND instance = :instance
RETURNING present, kept_cpu_percent AS cpu_percent, kept_memory_mb AS memory_mb, kept_disk_mb AS disk_mb

-- name: free_capacity
-- Stop counting an instance on a node.
UPDATE fleet_node
SET used = used - :weight, free = free + :partitions, kept_cpu_percent = kept_cpu_percent - :cpu_percent,
    kept_memory_mb = kept_memory_mb - :memory_mb, kept_disk_mb = kept_disk_mb - :disk_mb
WHERE id = :node

-- name: keep_partition
-- The partition belongs to what is left, which is no instance any more.
UPDATE fleet_partition SET instance = :left
WHERE node_id = :node AND name = :partition AND instance = :instance

-- name: so_far
-- The last counters of an instance.
SELECT cpu_ms, memory_mb_s, disk_mb_s, network_in, network_out
FROM usage_counterrow WHERE instance_id = :instance ORDER BY id DESC LIMIT 1

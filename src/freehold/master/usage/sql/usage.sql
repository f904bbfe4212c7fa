-- name: so_far
-- What an instance used since it was placed: the last counters of each series, added up.
SELECT CAST(sum(cpu_ms) AS bigint) AS cpu_ms, CAST(sum(memory_mb_s) AS bigint) AS memory_mb_s, CAST(sum(disk_mb_s) AS bigint) AS disk_mb_s,
  CAST(sum(network_in) AS bigint) AS network_in, CAST(sum(network_out) AS bigint) AS network_out
FROM usage_counter WHERE instance_id = :instance

-- name: stretch
-- The last of so many instances, after one.
SELECT max(id) AS last FROM (SELECT id FROM ordering_instance WHERE id > :after ORDER BY id LIMIT :most) part

-- name: forget
-- Forget the hours of a stretch of instances from before an hour.
DELETE FROM usage_hour WHERE hour < :before
  AND instance_id IN (SELECT id FROM ordering_instance WHERE id > :after AND id <= :last)

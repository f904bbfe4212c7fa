-- name: so_far
-- What an instance used since it was placed: the last counters of each series, added up.
SELECT CAST(sum(cpu_ms) AS bigint) AS cpu_ms, CAST(sum(memory_mb_s) AS bigint) AS memory_mb_s, CAST(sum(disk_mb_s) AS bigint) AS disk_mb_s,
  CAST(sum(network_in) AS bigint) AS network_in, CAST(sum(network_out) AS bigint) AS network_out
FROM usage_counter WHERE instance_id = :instance

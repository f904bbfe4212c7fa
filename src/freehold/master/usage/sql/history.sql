-- name: used
-- What a service used in steps of so many hours, and in how many hours of each it is known.
SELECT hour / :hours AS step,
  CAST(sum(cpu_ms) AS bigint) AS cpu_ms, count(cpu_ms) AS cpu_ms_hours,
  CAST(sum(memory_mb_s) AS bigint) AS memory_mb_s, count(memory_mb_s) AS memory_mb_s_hours,
  CAST(sum(disk_mb_s) AS bigint) AS disk_mb_s, count(disk_mb_s) AS disk_mb_s_hours,
  CAST(sum(network_in) AS bigint) AS network_in, count(network_in) AS network_in_hours,
  CAST(sum(network_out) AS bigint) AS network_out, count(network_out) AS network_out_hours
FROM usage_hour
WHERE instance_id = :instance AND hour >= :since AND hour < :before
GROUP BY 1 ORDER BY 1

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

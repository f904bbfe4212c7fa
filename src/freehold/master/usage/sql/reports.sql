-- name: counters
-- The last reading of each series of an instance.
SELECT series, at, {{each meter ", ": $name}} FROM usage_lastreading WHERE instance_id = :instance

-- name: set_counters
-- The last reading of a series.
INSERT INTO usage_lastreading (instance_id, series, at, {{each meter ", ": $name}})
VALUES (:instance, :series, :at, {{each meter ", ": :$name}})
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at, {{each meter ", ": $name = excluded.$name}}

-- name: set_counters_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_lastreading (instance_id, series, at, {{each meter ", ": $name}})
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:series AS varchar[]), CAST(:at AS bigint[]),
  {{each meter ", ": CAST(:$name AS bigint[])}})
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at, {{each meter ", ": $name = excluded.$name}}

-- name: add_hours
-- What was used in an hour, to what is known of it.
INSERT INTO usage_hour (instance_id, hour, {{each meter ", ": $name}})
VALUES (:instance, :hour, {{each meter ", ": :$name}})
ON CONFLICT (instance_id, hour) DO UPDATE SET
  {{each meter ", ": $name = coalesce(usage_hour.$name + excluded.$name, usage_hour.$name, excluded.$name)}}

-- name: add_hours_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_hour (instance_id, hour, {{each meter ", ": $name}})
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:hour AS bigint[]),
  {{each meter ", ": CAST(:$name AS bigint[])}})
ON CONFLICT (instance_id, hour) DO UPDATE SET
  {{each meter ", ": $name = coalesce(usage_hour.$name + excluded.$name, usage_hour.$name, excluded.$name)}}

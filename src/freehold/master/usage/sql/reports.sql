-- name: counters
-- The last reading of each series of an instance.
SELECT series, at, {{each meter ", ": $meter}} FROM usage_counter WHERE instance_id = :instance

-- name: set_counters
-- The last reading of a series.
INSERT INTO usage_counter (instance_id, series, at, {{each meter ", ": $meter}})
VALUES (:instance, :series, :at, {{each meter ", ": :$meter}})
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at, {{each meter ", ": $meter = excluded.$meter}}

-- name: set_counters_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_counter (instance_id, series, at, {{each meter ", ": $meter}})
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:series AS varchar[]), CAST(:at AS bigint[]),
  {{each meter ", ": CAST(:$meter AS bigint[])}})
ON CONFLICT (instance_id, series) DO UPDATE SET at = excluded.at, {{each meter ", ": $meter = excluded.$meter}}

-- name: add_hours
-- What was used in an hour, to what is known of it.
INSERT INTO usage_hour (instance_id, hour, {{each meter ", ": $meter}})
VALUES (:instance, :hour, {{each meter ", ": :$meter}})
ON CONFLICT (instance_id, hour) DO UPDATE SET
  {{each meter ", ": $meter = coalesce(usage_hour.$meter + excluded.$meter, usage_hour.$meter, excluded.$meter)}}

-- name: add_hours_arrays
-- The same for many, on PostgreSQL.
INSERT INTO usage_hour (instance_id, hour, {{each meter ", ": $meter}})
SELECT * FROM unnest(CAST(:instance AS varchar[]), CAST(:hour AS bigint[]),
  {{each meter ", ": CAST(:$meter AS bigint[])}})
ON CONFLICT (instance_id, hour) DO UPDATE SET
  {{each meter ", ": $meter = coalesce(usage_hour.$meter + excluded.$meter, usage_hour.$meter, excluded.$meter)}}

-- name: counted
-- The last day that was counted for every service.
SELECT max(day) AS day FROM monitoring_countedday

-- name: done
-- A day was counted for every service.
INSERT INTO monitoring_countedday (id, day) VALUES (1, :day) ON CONFLICT (id) DO UPDATE SET day = excluded.day

-- name: uncounted
-- So many services, after one, that were there on a day which is not counted for them.
SELECT i.id, CASE WHEN i.gone_at IS NOT NULL OR n.lost_at IS NOT NULL THEN 1 ELSE 0 END AS is_final
FROM ordering_instance i
JOIN fleet_node n ON n.id = i.node_id
WHERE i.id > :after AND i.created_at < :end AND (i.gone_at IS NULL OR i.gone_at > :begin)
  AND NOT EXISTS (SELECT 1 FROM monitoring_keptday k WHERE k.instance_id = i.id AND k.day = :day)
ORDER BY i.id LIMIT :most

-- name: unknown
-- So many days, after one, of which something was not known, and of whose services later results came since, or none will
-- come: what a node tells comes in its order. A day has `length` milliseconds.
SELECT k.instance_id, k.day, CASE WHEN i.gone_at IS NOT NULL OR n.lost_at IS NOT NULL THEN 1 ELSE 0 END AS is_final
FROM monitoring_keptday k
JOIN ordering_instance i ON i.id = k.instance_id
JOIN fleet_node n ON n.id = i.node_id
WHERE k.unknown > 0 AND (k.day > :day OR k.day = :day AND k.instance_id > :after)
  AND (i.gone_at IS NOT NULL OR n.lost_at IS NOT NULL OR EXISTS (
    SELECT 1 FROM monitoring_assessment a
    WHERE a.instance_id = k.instance_id AND a.at >= CAST(k.day + 1 AS bigint) * :length))
ORDER BY k.day, k.instance_id LIMIT :most

-- name: spoke
-- When the last result of an instance was.
SELECT max(at) AS at FROM monitoring_assessment WHERE id IN (
  SELECT max(id) FROM monitoring_assessment WHERE instance_id = :instance GROUP BY promise)

-- name: write
-- What is known of a day.
INSERT INTO monitoring_keptday (instance_id, day, kept, counted, unknown)
VALUES (:instance, :day, :kept, :counted, :unknown)
ON CONFLICT (instance_id, day) DO UPDATE SET
  kept = excluded.kept, counted = excluded.counted, unknown = excluded.unknown

-- name: sum_sites
-- The sums of a day over the services of each site.
INSERT INTO monitoring_siteday (site_id, day, kept, counted, unknown)
SELECT n.site_id, k.day, CAST(sum(k.kept) AS bigint), CAST(sum(k.counted) AS bigint), CAST(sum(k.unknown) AS bigint)
FROM monitoring_keptday k
JOIN ordering_instance i ON i.id = k.instance_id
JOIN fleet_node n ON n.id = i.node_id
WHERE k.day = :day AND k.counted > 0
GROUP BY n.site_id, k.day
ON CONFLICT (site_id, day) DO UPDATE SET
  kept = excluded.kept, counted = excluded.counted, unknown = excluded.unknown

-- name: of_instance
-- The days of a service, from one on.
SELECT day, kept, counted, unknown FROM monitoring_keptday WHERE instance_id = :instance AND day >= :since ORDER BY day

-- name: forget
-- Forget days of before one.
DELETE FROM monitoring_keptday WHERE day < :before

-- name: forget_sites
-- Forget days of sites of before one.
DELETE FROM monitoring_siteday WHERE day < :before

-- name: unlearn
-- Forget days of after one.
DELETE FROM monitoring_keptday WHERE day > :last

-- name: unlearn_sites
-- Forget days of sites of after one.
DELETE FROM monitoring_siteday WHERE day > :last
